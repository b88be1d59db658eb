# SPDX-License-Identifier: Apache-2.0
"""How far globs reach: to which entities, scripts, executions and groups."""

from fakes import FakeClock, new_execution
import pytest

from gateway_node.access.seen_entities import SeenEntities
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.entities_manifest import Declaration, EntitiesManifest
from gateway_node.entities.errors import AreaNotFound, EntityNotFound, FunctionNotFound
from gateway_node.entities.values import EntityRef, GraphSnapshot, NodeName
from gateway_node.executions.globs import covered
from gateway_node.executions.group import Group, SCRIPT_ID
from gateway_node.executions.scopes import EVERYTHING, Scope

ARM = EntityRef.from_path('apps/arm_left')
HOST = EntityRef.from_path('components/robot')


@pytest.mark.parametrize(
    ('globs', 'patterns', 'expected'),
    [
        (['apps/arm_*'], ['apps/arm_left'], True),
        (['apps/arm_*'], ['apps/arm_*'], True),
        (['apps/arm_*'], ['apps/arm_l*', 'apps/arm_?'], True),
        (['apps/arm_*'], ['apps/*'], False),
        (['apps/arm_*'], ['apps/arm_left', 'apps/leg'], False),
        (['apps/arm_?'], ['apps/arm_?'], True),
        (['apps/arm_?'], ['apps/arm_*'], False),
        (['apps/arm_?'], ['apps/arm_[12]'], False),
        (['apps/[ab]*'], ['apps/a'], False),
        (['apps/*', 'components/*'], ['components/*', 'apps/?'], True),
        (['apps/*', 'components/*'], ['*'], False),
        (['*'], ['*', '?', 'apps/*'], True),
        ([], ['apps/arm'], False),
        ([], [], True),
    ],
)
def test_a_glob_covers_a_pattern_where_it_matches_all_that_this_does(
    globs: list[str], patterns: list[str], expected: bool
) -> None:
    """By one glob alone; where it is not sure, it says no."""
    assert covered(globs, patterns) == expected


@pytest.mark.parametrize(
    ('scope', 'expected'),
    [
        (EVERYTHING, True),
        (Scope(entities=('apps/arm_*',)), True),
        (Scope(entities=('components/*',)), False),
        (Scope(scripts=('self_test',)), True),
        (Scope(scripts=('Self*',)), True),
        (Scope(scripts=('other',)), False),
        (Scope(tags=('brakes', 'x')), True),
        (Scope(tags=('x',)), False),
        (Scope(entities=('*',), scripts=('*',), tags=('*',)), True),
        (Scope(entities=('*',), scripts=('*',), tags=()), False),
    ],
)
def test_an_execution_is_within_as_its_script_was(scope: Scope, expected: bool) -> None:
    """Entity, id or name, and one of the tags: all of them."""
    execution = new_execution(
        1, entity=ARM, script_id='self_test', script_name='Self test', script_tags=('brakes',)
    )
    assert scope.has_execution(execution) == expected


@pytest.mark.parametrize(
    ('scope', 'expected'),
    [
        (EVERYTHING, True),
        (Scope(entities=('apps/arm_*',)), True),
        (Scope(entities=('apps/arm_left', 'components/*')), False),
        (Scope(scripts=('check*',)), True),
        (Scope(scripts=('group',)), False),
        (Scope(tags=('all',)), True),
        (Scope(tags=('none',)), False),
    ],
)
def test_a_group_is_within_where_all_that_it_asked_for_is(scope: Scope, expected: bool) -> None:
    """Its entity is the host, and its script's id the same for all: neither tells anything."""
    group = Group(script='check.sh', entities=('apps/arm_left', 'apps/arm_r*'))
    execution = new_execution(
        1, entity=HOST, script_id=SCRIPT_ID, script_name='check.sh', script_tags=('all',)
    ).evolve(group=group)
    assert scope.has_execution(execution) == expected


def directory() -> EntityDirectory:
    """Return a directory of two arms and a leg, each in a namespace of its own."""
    functions = (
        Declaration(id='moving', name='Moving', namespaces=('/arms/*', '/legs')),
        Declaration(id='standing', name='Standing', namespaces=('/legs',)),
        Declaration(id='flying', name='Flying', namespaces=('/wings',)),
    )
    directory = EntityDirectory(
        host_name='robot',
        own_node=NodeName(namespace='/', name='gateway_node'),
        clock=FakeClock(),
        is_held=lambda _: False,
        manifest=EntitiesManifest(functions=functions),
    )
    nodes = [('/arms/left', 'arm_left'), ('/arms/right', 'arm_right'), ('/legs', 'leg')]
    directory.update(
        GraphSnapshot(
            nodes=frozenset(NodeName(namespace=space, name=name) for space, name in nodes)
        )
    )
    return directory


def test_who_sees_everything_sees_the_directory() -> None:
    """As it is; a function that nobody serves at the moment too."""
    whole, seen = directory(), SeenEntities(directory())
    assert seen.apps() == whole.apps()
    assert seen.components() == whole.components()
    assert seen.areas() == whole.areas()
    assert seen.functions() == whole.functions()
    assert seen.refs() == whole.refs()
    assert seen.app('leg') == whole.app('leg')
    assert seen.function('flying') == whole.function('flying')


def test_who_is_narrowed_sees_a_smaller_robot() -> None:
    """What is left of areas, functions and components; nothing that would be empty."""
    seen = SeenEntities(directory()).seen_by(
        Scope(entities=('apps/arm_left', 'components/robot', 'components/arms_right'))
    )
    assert [app.id for app in seen.apps()] == ['arm_left']
    assert [(each.id, each.app_ids) for each in seen.components()] == [
        ('robot', ('arm_left',)),
        ('arms_right', ()),
    ]
    assert [(each.id, each.component_ids) for each in seen.areas()] == [('arms', ('arms_right',))]
    assert [(each.id, each.app_ids) for each in seen.functions()] == [('moving', ('arm_left',))]
    assert [ref.path for ref in seen.refs()] == [
        'apps/arm_left',
        'components/robot',
        'components/arms_right',
    ]
    assert seen.area('arms') == seen.areas()[0]
    assert seen.function('moving') == seen.functions()[0]
    assert seen.component('robot') == seen.components()[0]
    with pytest.raises(AreaNotFound):
        seen.area('legs')
    for function in ('standing', 'flying', 'unknown'):
        with pytest.raises(FunctionNotFound):
            seen.function(function)
    for path in ('apps/leg', 'components/legs', 'apps/unknown'):
        with pytest.raises(EntityNotFound):
            seen.check(EntityRef.from_path(path))


def test_an_app_shows_its_area_where_that_is_seen() -> None:
    """One of its components has to be."""
    of_apps = SeenEntities(directory(), Scope(entities=('apps/*',)))
    assert of_apps.app('arm_left').area_id is None
    of_all = SeenEntities(directory(), Scope(entities=('apps/arm_left', 'components/arms_left')))
    assert of_all.app('arm_left').area_id == 'arms'
