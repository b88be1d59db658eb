# SPDX-License-Identifier: Apache-2.0
"""Which component is the host: its first hostname, made an id, which then stays."""

from collections.abc import Collection, Iterable, Sequence

from gateway_node.entities.identities import Identity
from gateway_node.entities.names import id_from_name
from gateway_node.entities.values import EntityType
from gateway_node.manifest_files import ManifestInvalid

HOST_HOLDER = 'host'
"""The host among the holders of ids; the other holders of components are namespaces, with a slash
in front."""


def remembers_host(remembered: Iterable[Identity]) -> bool:
    """Tell whether the host's id is among the pairs of an earlier life."""
    return any(_is_host(identity) for identity in remembered)


def host_id(
    host_name: str,
    declared: Collection[str],
    remembered: Sequence[Identity],
    used_components: Sequence[str],
) -> str:
    """Return the id that the host had in an earlier life, else the one that it wishes for now.

    Earlier gateways called the host by its hostname of the day and remembered nothing of it. So
    one of `used_components`, on which something hangs (the likeliest first), is the host where
    nothing else explains it; that of today's name goes before the others.

    ManifestInvalid: the manifest declares the host's id.
    """
    for identity in remembered:
        if _is_host(identity):
            check_undeclared(identity.ref.entity_id, declared)
            return identity.ref.entity_id
    taken = {*declared, *(each.ref.entity_id for each in remembered if _is_component(each))}
    own = id_from_name(host_name)
    unexplained = [each for each in used_components if each not in taken]
    if own in unexplained or not unexplained:
        check_undeclared(own, declared)
        return own
    return unexplained[0]


def check_undeclared(entity_id: str, declared: Collection[str]) -> None:
    """Return where the host's id is its own; ManifestInvalid where the manifest declares it."""
    if entity_id in declared:
        raise ManifestInvalid(
            f'the entities manifest declares the component {entity_id!r}, '
            'which is the id of this host; choose another id'
        )


def _is_component(identity: Identity) -> bool:
    return identity.ref.entity_type is EntityType.COMPONENT


def _is_host(identity: Identity) -> bool:
    return _is_component(identity) and identity.holder == HOST_HOLDER
