# SPDX-License-Identifier: Apache-2.0
"""Tells which arguments a launch fragment declares; reading a fragment executes it.

`launch` is imported only where something is read.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from gateway_node.child.messages import FragmentArgument, FragmentDescription
from gateway_node.strict_json import clip


def describe(fragment: str) -> FragmentDescription:
    """Return the arguments that the fragment declares, and whether those are surely all.

    Of one that cannot be read: how that `failed`, in a few words.
    """
    try:
        return _declaration(fragment)
    except Exception as error:  # a fragment of Python can raise anything
        return {'failed': clip(' '.join(f'{type(error).__name__}: {error}'.split()))}


def _declaration(fragment: str) -> FragmentDescription:
    """Return what `describe` does, or raise what the fragment does.

    What launch takes without being given it is not required. What the fragment sets itself, or
    declares on a condition, has no choices: whatever depends on how it runs is launch's to say.
    """
    from launch.launch_description_sources import get_launch_description_from_any_launch_file

    description = get_launch_description_from_any_launch_file(fragment)
    names_set = list(_names_set(description.entities))
    unconditional = set(_declared_unconditionally(description.entities))
    declared = []
    for (
        argument,
        includes,
    ) in description.get_launch_arguments_with_include_launch_description_actions():
        passed = [name for include in includes or () for name, _ in include.launch_arguments]
        optional = argument.default_value is not None or argument._conditionally_included
        declared.append(
            FragmentArgument(
                name=argument.name,
                required=not optional and not _may_be_among(passed, argument.name),
                choices=argument.choices
                if argument.name in unconditional
                and not argument._conditionally_included
                and not _may_be_among([*passed, *names_set], argument.name)
                else None,
            )
        )
    return {'arguments': declared, 'complete': _is_complete(description.entities)}


def _may_be_among(names: Iterable[Any], name: str) -> bool:
    """Tell whether one of `names`, which are texts with substitutions, is `name`, or may be."""
    from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

    from launch import LaunchContext

    for each in names:
        try:
            known = perform_substitutions(
                LaunchContext(), normalize_to_list_of_substitutions(each)
            )
        except Exception:
            # It shows only while the fragment runs, and may be any name.
            return True
        if known == name:
            return True
    return False


def _sub_entities(entity: Any) -> Iterator[Any]:
    """Yield what an entity holds, whether on a condition or not."""
    yield from entity.describe_sub_entities()
    for _, group in entity.describe_conditional_sub_entities():
        yield from group


def _declared_unconditionally(entities: Iterable[Any]) -> Iterator[str]:
    """Yield the names that are declared however the fragment runs.

    Of what is nested in a condition launch itself marks the first level only.
    """
    from launch.actions import DeclareLaunchArgument

    for entity in entities:
        if isinstance(entity, DeclareLaunchArgument) and entity.condition is None:
            yield entity.name
        yield from _declared_unconditionally(entity.describe_sub_entities())


def _names_set(entities: Iterable[Any]) -> Iterator[Any]:
    """Yield the names of the arguments that the fragment sets, or unsets, by itself."""
    from launch.actions import SetLaunchConfiguration, UnsetLaunchConfiguration

    for entity in entities:
        if isinstance(entity, SetLaunchConfiguration | UnsetLaunchConfiguration):
            yield entity.name
        yield from _names_set(_sub_entities(entity))


def _is_complete(entities: Iterable[Any]) -> bool:
    """Return False where something may declare arguments only while it runs."""
    from launch.actions import IncludeLaunchDescription, OpaqueFunction

    return all(
        not isinstance(entity, IncludeLaunchDescription | OpaqueFunction)
        and _is_complete(_sub_entities(entity))
        for entity in entities
    )
