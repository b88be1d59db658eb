# SPDX-License-Identifier: Apache-2.0
"""The scripts manifest: a YAML file that names scripts which are on the robot already.

The form of the file is in docs/writing_scripts.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
import math
import os
from pathlib import Path
import re
from typing import Any

from gateway_node.entities.names import is_id, RESERVED_IDS
from gateway_node.entities.values import EntityRef
from gateway_node.manifest_files import items, ManifestInvalid, mapping, read_manifest, text
from gateway_node.scripts.errors import InstanceRefused, ScriptRefused
from gateway_node.scripts.file_names import (
    kind_by_name,
    KNOWN_NAMES,
    LAUNCH_ENDINGS,
    may_be_launch_fragment,
    plain_name_fault,
)
from gateway_node.scripts.installed_executables import PackageExecutable
from gateway_node.scripts.instances import InstanceDefinition, parse_instance
from gateway_node.scripts.managed import hash_file, ManagedScript
from gateway_node.scripts.metadata import Metadata, parse_metadata, SCRIPT_FIELDS
from gateway_node.scripts.script_folders import is_uploaded_id
from gateway_node.scripts.values import ArgumentDefinition, Script, ScriptKind
from gateway_node.strict_json import shown

_METADATA_KEYS = ('name', *SCRIPT_FIELDS)
_OWN_KEYS = ('id', 'path', 'package', 'executable', 'kind', 'entities', 'args', 'environment')
_KEYS = (*_OWN_KEYS, *_METADATA_KEYS, 'instances')
_PACKAGE = re.compile(r'[A-Za-z][A-Za-z0-9_-]*')
_VARIABLE = re.compile(r'[A-Za-z_][A-Za-z0-9_]*')


def load_scripts_manifest(
    path: Path,
    on_look: Callable[[Path], None] = lambda _path: None,
    *,
    max_rate_hz: float = math.inf,
) -> tuple[ManagedScript, ...]:
    """Read a manifest file and hash the scripts that it names; blocks.

    `on_look` is told of each script's file before it is looked at; `max_rate_hz` is how often a
    second conditions of instances look at topics.

    Raises:
        ManifestInvalid: one line with the file, the place in it, the value and what is allowed.
    """
    return read_manifest(
        path, lambda document: _parse(document, path.parent, on_look, max_rate_hz)
    )


def _parse(
    document: object, folder: Path, on_look: Callable[[Path], None], max_rate_hz: float
) -> tuple[ManagedScript, ...]:
    top = mapping(document, 'the document', ('scripts',))
    scripts: list[ManagedScript] = []
    places: dict[str, str] = {}
    for index, item in enumerate(items(top.get('scripts') or [], 'scripts')):
        place = f'scripts[{index}]'
        managed = _managed_script(item, place, folder, on_look)
        instances = _instances(item.get('instances') or [], f'{place}.instances', max_rate_hz)
        earlier = places.setdefault(managed.script.id, place)
        if earlier != place:
            raise ManifestInvalid(f'{place}.id is {managed.script.id!r}, as is {earlier}.id')
        scripts.append(replace(managed, instances=instances))
    return tuple(scripts)


def _managed_script(
    value: object, place: str, folder: Path, on_look: Callable[[Path], None]
) -> ManagedScript:
    item = mapping(value, place, _KEYS)
    in_package = bool(item.keys() & {'package', 'executable'})
    for key in ('id', *(('package', 'executable') if in_package else ('path',)), 'entities'):
        if key not in item:
            raise ManifestInvalid(f'{place} has no {key!r}')
    file = _executable(item, place) if in_package else _file(item, place, folder, on_look)
    metadata = _metadata({key: item[key] for key in _METADATA_KEYS if key in item}, place)
    script_id = _script_id(item['id'], f'{place}.id')
    kind = file.kind
    arguments = _arguments(item.get('args') or [], f'{place}.args')
    if arguments and kind is ScriptKind.LAUNCH:
        raise ManifestInvalid(
            f'{place}.args: a launch fragment takes no arguments; its launch arguments are the '
            'parameters'
        )
    script = Script(
        id=script_id,
        name=metadata.name or script_id,
        kind=kind,
        path=file.path,
        version=file.version,
        size=file.size,
        managed=True,
        **metadata.script_fields(),
        argument_definitions=arguments,
        environment=_environment(item.get('environment') or {}, f'{place}.environment'),
    )
    entities = _entities(item['entities'], f'{place}.entities')
    return ManagedScript(script=script, executable=file.executable, entities=entities)


def _script_id(value: object, place: str) -> str:
    if not isinstance(value, str) or not is_id(value):
        raise ManifestInvalid(
            f'{place} is {shown(value)}; allowed: letters, digits, "_", "-", "."'
        )
    if value in RESERVED_IDS:
        raise ManifestInvalid(f'{place} is {value!r}, which is kept for descriptions')
    if is_uploaded_id(value):
        raise ManifestInvalid(f"{place} is {value!r}, which has the form of an uploaded script's")
    return value


@dataclass(frozen=True, kw_only=True)
class _File:
    """What runs, as it is when the manifest is read; of an executable of a package that is
    looked for later."""

    path: Path
    kind: ScriptKind
    version: str = ''
    size: int = 0
    executable: PackageExecutable | None = None


def _file(
    item: Mapping[str, object], place: str, folder: Path, on_look: Callable[[Path], None]
) -> _File:
    path = _path(item['path'], f'{place}.path', folder, on_look)
    try:
        version, size = hash_file(path)
    except OSError as error:
        raise ManifestInvalid(f'{place}.path: {path} cannot be read: {error.strerror}') from error
    kind = _kind(item.get('kind'), f'{place}.kind', path)
    return _File(path=path, kind=kind, version=version, size=size)


def _executable(item: Mapping[str, object], place: str) -> _File:
    if 'path' in item:
        raise ManifestInvalid(f"{place} has both 'package' and 'path'; allowed: one of them")
    package, name = item['package'], item['executable']
    if not isinstance(package, str) or not _PACKAGE.fullmatch(package):
        raise ManifestInvalid(
            f'{place}.package is {shown(package)}; allowed: the name of a package'
        )
    if not isinstance(name, str) or plain_name_fault(name) is not None:
        raise ManifestInvalid(
            f'{place}.executable is {shown(name)}; allowed: the name of an executable'
        )
    kinds = {kind.value: kind for kind in ScriptKind if kind is not ScriptKind.LAUNCH}
    kind = item.get('kind', ScriptKind.EXECUTABLE.value)
    if not isinstance(kind, str) or kind not in kinds:
        raise ManifestInvalid(f'{place}.kind is {shown(kind)}; allowed: {", ".join(kinds)}')
    executable = PackageExecutable(package=package, name=name)
    return _File(path=Path('lib', package, name), kind=kinds[kind], executable=executable)


def _path(value: object, place: str, folder: Path, on_look: Callable[[Path], None]) -> Path:
    if not isinstance(value, str) or not value or '\0' in value:
        raise ManifestInvalid(f'{place} is {shown(value)}; allowed: a path')
    path = Path(os.path.abspath(folder / value))
    on_look(path)
    try:
        found = path.is_file()
    except OSError as error:
        raise ManifestInvalid(f'{place} is {shown(value)}: {error.strerror}') from error
    if not found:
        raise ManifestInvalid(f'{place} is {value!r}: there is no file {path}')
    return path


def _kind(value: object, place: str, path: Path) -> ScriptKind:
    executable = os.access(path, os.X_OK)
    if value is None:
        by_name = kind_by_name(path.name)
        if by_name is None and not executable:
            raise ManifestInvalid(
                f'{place} is missing: {path.name!r} has no known suffix ({KNOWN_NAMES}) '
                'and is not executable'
            )
        return by_name or ScriptKind.EXECUTABLE
    for kind in ScriptKind:
        if value == kind.value:
            if kind is ScriptKind.EXECUTABLE and not executable:
                raise ManifestInvalid(f'{place} is {value!r}, but {path} is not executable')
            if kind is ScriptKind.LAUNCH and not may_be_launch_fragment(path.name):
                raise ManifestInvalid(
                    f'{place} is {value!r}, but {path.name!r} does not tell the form of a launch '
                    f'fragment; allowed: names that end with {LAUNCH_ENDINGS}'
                )
            return kind
    allowed = ', '.join(kind.value for kind in ScriptKind)
    raise ManifestInvalid(f'{place} is {shown(value)}; allowed: {allowed}')


def _metadata(document: dict[str, Any], place: str) -> Metadata:
    try:
        return parse_metadata(document)
    except ScriptRefused as error:
        first = error.violations[0]
        where = place + first.path.replace('/', '.')
        raise ManifestInvalid(f'{where} {first.reason}') from error


def _instances(value: object, place: str, max_rate_hz: float) -> tuple[InstanceDefinition, ...]:
    instances: dict[str, InstanceDefinition] = {}
    for index, document in enumerate(items(value, place)):
        where = f'{place}[{index}]'
        try:
            instance = parse_instance(document, max_rate_hz=max_rate_hz)
        except InstanceRefused as error:
            first = error.violations[0]
            raise ManifestInvalid(
                f'{where}{first.path.replace("/", ".")} {first.reason}'
            ) from error
        if instance.name in instances:
            raise ManifestInvalid(f'{where}.name is {instance.name!r}, as is an earlier one')
        instances[instance.name] = instance
    return tuple(instances.values())


def _entities(value: object, place: str) -> tuple[str, ...]:
    globs = items([value] if isinstance(value, str) else value, place)
    if not globs:
        raise ManifestInvalid(f'{place} is empty; allowed: globs such as "apps/*"')
    for glob in globs:
        try:
            EntityRef.from_path(glob)
        except (ValueError, AttributeError) as error:
            raise ManifestInvalid(
                f'{place} has {shown(glob)}; allowed: globs that begin with "apps/" or '
                '"components/", such as "apps/*"'
            ) from error
    return tuple(globs)


def _arguments(value: object, place: str) -> tuple[ArgumentDefinition, ...]:
    definitions = []
    for index, each in enumerate(items(value, place)):
        item = mapping(each, f'{place}[{index}]', ('name', 'flag'))
        flag = item.get('flag')
        definitions.append(
            ArgumentDefinition(
                name=text(item.get('name'), f'{place}[{index}].name'),
                flag=None if flag is None else text(flag, f'{place}[{index}].flag'),
            )
        )
    return tuple(definitions)


def _environment(value: object, place: str) -> dict[str, str]:
    environment = {}
    for name, setting in mapping(value, place).items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise ManifestInvalid(
                f'{place} has {shown(name)}; allowed: letters, digits and "_", no digit first'
            )
        environment[name] = text(setting, f'{place}.{name}', may_be_empty=True)
    return environment
