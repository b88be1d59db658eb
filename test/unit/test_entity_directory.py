# SPDX-License-Identifier: Apache-2.0
"""The directory of entities and the ids in it, fed with graphs by hand."""

from collections.abc import Sequence
from pathlib import Path

from fakes import FakeClock
from hypothesis import given, strategies
import pytest

from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.entities_manifest import (
    Declaration,
    EntitiesManifest,
    load_entities_manifest,
)
from gateway_node.entities.errors import (
    AreaNotFound,
    EntityNotFound,
    FunctionNotFound,
)
from gateway_node.entities.host import HOST_HOLDER
from gateway_node.entities.identities import Identity, REMEMBERED_SEC
from gateway_node.entities.names import id_from_name, is_id, MAX_ID_LENGTH
from gateway_node.entities.values import (
    ComponentKind,
    EntityRef,
    EntityType,
    GraphSnapshot,
    NodeName,
)
from gateway_node.manifest_files import ManifestInvalid

OWN = NodeName(namespace='/', name='gateway_node')


def node(fully_qualified_name: str) -> NodeName:
    """Read a node's name."""
    namespace, _, name = fully_qualified_name.rpartition('/')
    return NodeName(namespace=namespace or '/', name=name)


def app_ref(app_id: str) -> EntityRef:
    """Name an app."""
    return EntityRef(entity_type=EntityType.APP, entity_id=app_id)


class Robot:
    """A directory, its clock, and what hangs on its entities."""

    def __init__(
        self,
        manifest: EntitiesManifest | None = None,
        remembered: Sequence[Identity] = (),
        host_name: str = 'robot',
        used_components: Sequence[str] = (),
        ignored_nodes: Sequence[str] = (),
    ) -> None:
        self.clock = FakeClock()
        self.held: set[EntityRef] = set()
        self.directory = EntityDirectory(
            host_name=host_name,
            own_node=OWN,
            clock=self.clock,
            is_held=lambda ref: ref in self.held,
            manifest=manifest,
            ignored_nodes=ignored_nodes,
            remembered=remembered,
            used_components=used_components,
        )

    def show(self, *names: str) -> None:
        """Let the graph hold these nodes, and the gateway."""
        self.directory.update(GraphSnapshot(nodes=frozenset({OWN, *map(node, names)})))

    def apps(self) -> dict[str, str]:
        """Return the ids of all apps and what they stand for; offline ones in brackets."""
        return {
            app.id: app.node.fully_qualified_name if app.online else f'({app.node.name})'
            for app in self.directory.apps()
        }


def test_an_app_is_called_as_its_node() -> None:
    """Hidden nodes and the gateway itself are left out."""
    robot = Robot()
    robot.show('/powertrain/engine/temp_sensor', '/_hidden', '/_private/x', '/lonely')
    assert robot.apps() == {
        'temp_sensor': '/powertrain/engine/temp_sensor',
        'lonely': '/lonely',
    }


def test_nodes_that_are_ignored_are_no_apps() -> None:
    """By their names wherever they are, or by their fully qualified ones; case counts."""
    robot = Robot(ignored_nodes=('launch_ros_*', '/arm/*'))
    robot.show('/launch_ros_4711', '/base/launch_ros_4712', '/arm/hand/x', '/base/Launch_ros_1')
    assert robot.apps() == {'Launch_ros_1': '/base/Launch_ros_1'}
    assert 'arm_hand' not in {component.id for component in robot.directory.components()}


def test_the_second_of_a_name_gets_its_namespace_in_front_and_then_a_number() -> None:
    """`temp_sensor`, `chassis_brakes_temp_sensor`, then `_2`; each keeps what it has."""
    robot = Robot()
    robot.show('/powertrain/engine/temp_sensor')
    robot.show('/powertrain/engine/temp_sensor', '/chassis/brakes/temp_sensor')
    robot.show('/chassis/brakes/temp_sensor', '/chassis_brakes/temp_sensor')
    assert robot.apps() == {
        'temp_sensor': '(temp_sensor)',
        'chassis_brakes_temp_sensor': '/chassis/brakes/temp_sensor',
        'chassis_brakes_temp_sensor_2': '/chassis_brakes/temp_sensor',
    }


def test_an_id_is_forgotten_a_day_after_its_node_went() -> None:
    """Before, it stays with the node; afterwards the next one of the name may have it."""
    robot = Robot()
    robot.show('/a/camera')
    robot.show()
    robot.clock.advance(REMEMBERED_SEC)
    robot.show('/b/camera')
    assert robot.apps() == {'camera': '(camera)', 'b_camera': '/b/camera'}
    robot.clock.advance(1)
    robot.show('/b/camera', '/c/camera')
    assert robot.apps() == {'b_camera': '/b/camera', 'camera': '/c/camera'}


def test_a_node_that_was_there_for_days_is_remembered_for_a_day_all_the_same() -> None:
    """The day begins when the node goes, though the graph had not changed for long."""
    robot = Robot()
    robot.show('/a/camera')
    robot.clock.advance(10 * REMEMBERED_SEC)
    robot.show()
    assert robot.apps() == {'camera': '(camera)'}
    robot.clock.advance(REMEMBERED_SEC)
    robot.show('/b/camera')
    assert robot.apps() == {'camera': '(camera)', 'b_camera': '/b/camera'}
    assert {component.id for component in robot.directory.components()} >= {'a', 'b'}


def test_the_day_is_counted_over_lives_that_are_shorter() -> None:
    """A robot that is up for 23 hours at a time forgets in its second life, as one that stays."""
    robot = Robot()
    robot.show('/a/camera', '/a/lidar')
    robot.show('/a/lidar')
    for expected in ({'camera': '(camera)', 'lidar': '(lidar)'}, {'lidar': '(lidar)'}):
        robot.clock.advance(REMEMBERED_SEC - 3600)
        robot.directory.forget_stale()
        robot = Robot(remembered=robot.directory.identities())
        assert robot.apps() == expected


def test_a_node_that_returns_in_each_life_is_never_forgotten() -> None:
    """Coming back sets the count to zero, whatever earlier lives counted."""
    robot = Robot()
    robot.show('/a/camera')
    for _ in range(10):
        robot.show()
        robot.clock.advance(REMEMBERED_SEC - 3600)
        robot.directory.forget_stale()
        robot = Robot(remembered=robot.directory.identities())
        assert robot.apps() == {'camera': '(camera)'}
        robot.show('/a/camera')


def test_ids_are_forgotten_without_a_change_of_the_graph() -> None:
    """Apps and components go; what is there stays, however long the graph stands still."""
    robot = Robot()
    robot.show('/a/camera', '/b/lidar')
    robot.show('/b/lidar')
    robot.clock.advance(REMEMBERED_SEC + 1)
    robot.directory.forget_stale()
    assert robot.apps() == {'lidar': '/b/lidar'}
    assert {component.id for component in robot.directory.components()} == {'robot', 'b'}
    holders = {identity.holder for identity in robot.directory.identities()}
    assert holders == {HOST_HOLDER, '/b/lidar', '/b'}


def test_nothing_is_forgotten_at_the_start() -> None:
    """What hangs on an id may be known only once everything is loaded."""
    stale = Identity(ref=app_ref('camera'), holder='/a/camera', unseen_sec=2 * REMEMBERED_SEC)
    robot = Robot(remembered=[stale])
    robot.held.add(app_ref('camera'))
    robot.show()
    assert robot.apps() == {'camera': '(camera)'}
    robot.held.clear()
    robot.directory.forget_stale()
    assert robot.apps() == {}


def test_identities_change_only_with_a_graph_or_a_forgetting() -> None:
    """Whoever keeps them can tell by comparison whether there is something to keep."""
    robot = Robot()
    robot.show('/a/camera')
    robot.show()
    kept = robot.directory.identities()
    robot.clock.advance(60)
    assert robot.directory.identities() == kept
    robot.directory.forget_stale()
    ages = {each.holder: each.unseen_sec for each in robot.directory.identities()}
    assert ages == {HOST_HOLDER: 0, '/a/camera': 60, '/a': 60}


def test_an_id_stays_while_something_hangs_on_it() -> None:
    """Scripts and executions keep it for years."""
    robot = Robot()
    robot.show('/a/camera')
    robot.held.add(app_ref('camera'))
    robot.show()
    robot.clock.advance(1000 * REMEMBERED_SEC)
    robot.show('/b/camera')
    assert robot.apps() == {'camera': '(camera)', 'b_camera': '/b/camera'}


def test_nothing_gets_an_id_behind_which_a_path_says_something_else() -> None:
    """A node, a namespace, an area and a host called `docs`: `/apps/docs` describes the apps."""
    robot = Robot(host_name='docs')
    robot.show('/docs', '/a/docs', '/docs/camera')
    assert robot.apps() == {
        'docs_2': '/docs', 'a_docs': '/a/docs', 'camera': '/docs/camera'
    }  # fmt: skip
    robot.show('/b/docs')
    assert 'b_docs' in robot.apps()
    kinds = {each.id: each.kind for each in robot.directory.components()}
    assert kinds == {
        'docs_2': ComponentKind.HOST,
        'a': ComponentKind.NAMESPACE,
        'b': ComponentKind.NAMESPACE,
        'docs_3': ComponentKind.NAMESPACE,
    }
    assert robot.directory.component('docs_3').area_id == 'docs-area'
    assert robot.directory.area('docs-area').component_ids == ('docs_3',)


def test_such_an_id_of_an_earlier_gateway_stays_while_something_hangs_on_it() -> None:
    """What hangs on it stays where it was; then who is still there gets another id at once."""
    earlier = Identity(ref=app_ref('docs'), holder='/a/docs')
    robot = Robot(remembered=[earlier])
    robot.held.add(app_ref('docs'))
    robot.show('/a/docs', '/b/docs')
    assert robot.apps() == {'docs': '/a/docs', 'b_docs': '/b/docs'}
    robot.held.clear()
    robot.directory.forget_stale()
    assert robot.apps() == {'a_docs': '/a/docs', 'b_docs': '/b/docs'}
    again = Robot(remembered=[earlier])
    again.show('/a/docs')
    assert again.apps() == {'a_docs': '/a/docs'}


@pytest.mark.parametrize('year', [1970, 2099])
def test_a_jump_of_the_wall_clock_forgets_nothing(year: int) -> None:
    """What is remembered is counted on the monotonic clock."""
    robot = Robot()
    robot.show('/a/camera')
    robot.show()
    robot.clock.wall = robot.clock.wall.replace(year=year)
    robot.directory.forget_stale()
    robot.show('/b/camera')
    assert robot.apps() == {'camera': '(camera)', 'b_camera': '/b/camera'}


def test_ids_of_an_earlier_life_hold() -> None:
    """The pairs that were kept are there before any node is, offline and addressable."""
    earlier = Robot()
    earlier.show('/a/camera', '/b/camera')
    robot = Robot(remembered=earlier.directory.identities())
    assert robot.apps() == {'camera': '(camera)', 'b_camera': '(camera)'}
    robot.show('/b/camera')
    assert robot.apps() == {'camera': '(camera)', 'b_camera': '/b/camera'}
    assert robot.directory.app('camera').node == node('/a/camera')


def test_a_declared_component_takes_its_id_from_a_remembered_namespace() -> None:
    """The namespace gets another id, which no other namespace has, and keeps it."""
    earlier = Robot()
    earlier.show('/arm/x', '/arm_2/y')
    manifest = EntitiesManifest(
        components=(Declaration(id='arm', name='Arm', nodes=('/somewhere/*',)),)
    )
    robot = Robot(manifest, remembered=earlier.directory.identities())
    for _ in range(2):
        robot.show('/arm/x', '/somewhere/z')
        components = {each.id: each for each in robot.directory.components()}
        assert components['arm'].kind is ComponentKind.MANIFEST
        assert components['arm'].app_ids == ('z',)
        assert components['arm_2'].namespace == '/arm_2'
        assert components['arm_3'].namespace == '/arm'
        assert components['arm_3'].app_ids == ('x',)
        robot = Robot(manifest, remembered=robot.directory.identities())


def declaring(*component_ids: str, glob: str = '/*') -> EntitiesManifest:
    """Return a manifest of components that choose the same nodes; the first one has them."""
    return EntitiesManifest(
        components=tuple(Declaration(id=each, name=each, nodes=(glob,)) for each in component_ids)
    )


def components_of(robot: Robot) -> dict[str, bool]:
    """Return the ids of all components but the host, and whether each is online."""
    return {each.id: each.online for each in robot.directory.components()[1:]}


def test_another_manifest_takes_the_place_of_the_one_before() -> None:
    """Components and functions are those of the new one; apps keep their ids and move."""
    robot = Robot(declaring('arm', 'leg'))
    robot.show('/a/camera')
    see = Declaration(id='see', name='See', nodes=('*/camera',))
    robot.directory.take_manifest(
        EntitiesManifest(components=declaring('leg', 'hand').components, functions=(see,))
    )
    assert components_of(robot) == {'leg': True, 'hand': True, 'a': True}
    assert robot.directory.app('camera').component_id == 'leg'
    assert robot.directory.function('see').app_ids == ('camera',)
    robot.directory.take_manifest(EntitiesManifest())
    assert components_of(robot) == {'a': True}
    assert robot.directory.app('camera').component_id == 'a'
    assert robot.directory.functions() == ()


def test_a_component_that_is_declared_no_more_stays_while_something_hangs_on_it() -> None:
    """Offline, in the next life too; nothing else gets its id until nothing hangs on it."""
    robot = Robot(declaring('arm', glob='/tool/x'))
    arm = EntityRef.from_path('components/arm')
    robot.held.add(arm)
    robot.show('/tool/x')
    robot.directory.take_manifest(EntitiesManifest())
    assert components_of(robot) == {'arm': False, 'tool': True}
    assert robot.directory.component('arm').app_ids == ()
    robot = Robot(remembered=robot.directory.identities())
    robot.held.add(arm)
    robot.show('/arm/x')
    assert components_of(robot) == {'arm': False, 'arm_2': True, 'tool': False}
    robot.directory.take_manifest(declaring('arm', glob='/arm/x'))
    assert robot.directory.component('arm').online
    assert robot.directory.app('arm_x').component_id == 'arm'
    robot.directory.take_manifest(EntitiesManifest())
    robot.held.clear()
    robot.directory.forget_stale()
    assert components_of(robot) == {'arm_2': True, 'tool': False}


def test_a_manifest_that_declares_the_host_is_not_taken() -> None:
    """Whatever the host is called today."""
    robot = Robot(remembered=Robot(host_name='arm').directory.identities(), host_name='leg')
    robot.directory.check_manifest(declaring('leg'))
    with pytest.raises(ManifestInvalid, match="'arm', which is the id of this host"):
        robot.directory.check_manifest(declaring('arm'))


def hosts(robot: Robot) -> tuple[str, str]:
    """Return id and name of the host, which comes first."""
    host = robot.directory.components()[0]
    assert host.kind is ComponentKind.HOST
    return host.id, host.name


def before_the_host_was_remembered(robot: Robot) -> list[Identity]:
    """Return what an earlier gateway would have kept."""
    return [each for each in robot.directory.identities() if each.holder != HOST_HOLDER]


def test_the_host_keeps_its_id_under_another_hostname() -> None:
    """Its name is today's; apps are located on it as before, and it is never forgotten."""
    robot = Robot(host_name='a1b2c3')
    robot.show('/lonely')
    for name in ('d4e5f6', 'robot.lab.example', 'a1b2c3'):
        robot.clock.advance(2 * REMEMBERED_SEC)
        robot.directory.forget_stale()
        robot = Robot(remembered=robot.directory.identities(), host_name=name)
        assert hosts(robot) == ('a1b2c3', name)
        robot.show('/lonely')
        assert robot.directory.app('lonely').component_id == 'a1b2c3'
        assert hosts(robot) == ('a1b2c3', name)


def test_nothing_else_ever_gets_the_id_of_the_host() -> None:
    """Neither a namespace, whatever the hostname is today, nor a declared component."""
    robot = Robot(host_name='arm')
    robot = Robot(remembered=robot.directory.identities(), host_name='leg')
    robot.show('/arm/x', '/leg/y')
    namespaces = {each.id: each.namespace for each in robot.directory.components()}
    assert namespaces == {'arm': None, 'arm_2': '/arm', 'leg': '/leg'}
    manifest = EntitiesManifest(components=(Declaration(id='arm', name='Arm', nodes=('/x',)),))
    with pytest.raises(ManifestInvalid, match="'arm'"):
        Robot(manifest, remembered=robot.directory.identities(), host_name='leg')
    manifest = EntitiesManifest(components=(Declaration(id='hand', name='Hand', nodes=('/x',)),))
    robot = Robot(manifest, remembered=robot.directory.identities(), host_name='hand')
    assert hosts(robot) == ('arm', 'hand')


def test_the_first_hostname_takes_no_id_from_a_namespace() -> None:
    """What hangs on the namespace stays there; the host gets a number behind its name."""
    earlier = Robot()
    earlier.show('/arm/x')
    robot = Robot(remembered=before_the_host_was_remembered(earlier), host_name='arm')
    kinds = {each.id: each.kind for each in robot.directory.components()}
    assert kinds == {'arm_2': ComponentKind.HOST, 'arm': ComponentKind.NAMESPACE}


@pytest.mark.parametrize(
    ('used', 'found'),
    [
        ((), 'new'),
        (('old',), 'old'),
        (('older', 'old'), 'older'),
        (('old', 'new'), 'new'),
        (('arm', 'hand', 'old'), 'old'),
        (('arm', 'hand'), 'new'),
    ],
)
def test_the_host_of_an_earlier_gateway_is_found_by_what_hangs_on_it(
    used: tuple[str, ...], found: str
) -> None:
    """What is neither a namespace's nor declared; today's name first, else the last used."""
    earlier = Robot()
    earlier.show('/arm/x')
    manifest = EntitiesManifest(components=(Declaration(id='hand', name='Hand', nodes=('/x',)),))
    robot = Robot(manifest, before_the_host_was_remembered(earlier), 'new', used)
    assert hosts(robot) == (found, 'new')
    robot = Robot(manifest, robot.directory.identities(), 'newer', ('new', 'newer'))
    assert hosts(robot) == (found, 'newer')


def test_the_host_comes_first_then_the_declared_then_the_namespaces() -> None:
    """The host holds every node; a node is located on its manifest's component first."""
    manifest = EntitiesManifest(
        components=(
            Declaration(id='brakes', name='Brakes', nodes=('/chassis/*',)),
            Declaration(id='all', name='All', namespaces=('*',)),
        )
    )
    robot = Robot(manifest)
    robot.show('/chassis/brakes/caliper', '/lonely')
    kinds = [(each.id, each.kind) for each in robot.directory.components()]
    assert kinds == [
        ('robot', ComponentKind.HOST),
        ('brakes', ComponentKind.MANIFEST),
        ('all', ComponentKind.MANIFEST),
        ('chassis_brakes', ComponentKind.NAMESPACE),
    ]
    assert robot.directory.component('robot').app_ids == ('caliper', 'lonely')
    assert robot.directory.app('caliper').component_id == 'brakes'
    assert robot.directory.app('lonely').component_id == 'all'
    assert robot.directory.component('chassis_brakes').app_ids == ()


def test_without_a_manifest_a_node_is_located_on_its_namespace_else_the_host() -> None:
    """A namespace is a component while it holds nodes, and offline afterwards."""
    robot = Robot()
    robot.show('/a/b/camera', '/lonely')
    assert robot.directory.app('camera').component_id == 'a_b'
    assert robot.directory.app('lonely').component_id == 'robot'
    assert robot.directory.component_of(app_ref('camera')) == 'a_b'
    robot.show('/lonely')
    component = robot.directory.component('a_b')
    assert (component.online, component.namespace, component.area_id) == (False, '/a/b', 'a')


def test_namespaces_that_become_the_same_id_get_numbers() -> None:
    """`/a/b` and `/a_b` are two components; so is a namespace that is called as the host."""
    robot = Robot()
    robot.show('/a/b/x', '/a_b/y', '/robot/z')
    namespaces = {each.id: each.namespace for each in robot.directory.components()}
    assert namespaces == {'robot': None, 'a_b': '/a/b', 'a_b_2': '/a_b', 'robot_2': '/robot'}


def test_a_declared_component_may_not_be_the_host() -> None:
    """The refusal names the id."""
    manifest = EntitiesManifest(components=(Declaration(id='robot_1', name='x', nodes=('/x',)),))
    with pytest.raises(ManifestInvalid, match="'robot_1'"):
        Robot(manifest, host_name='robot.1')


def test_an_area_is_the_first_segment_of_a_namespace() -> None:
    """A declared component is in an area where all of its nodes are in that one."""
    manifest = EntitiesManifest(
        components=(
            Declaration(id='one', name='One', nodes=('/a/*',)),
            Declaration(id='both', name='Both', nodes=('/b/*', '/c/*')),
        )
    )
    robot = Robot(manifest)
    robot.show('/a/x', '/b/y', '/c/z', '/lonely')
    areas = {area.id: area.component_ids for area in robot.directory.areas()}
    assert areas == {'a': ('one', 'a'), 'b': ('b',), 'c': ('c',)}


def test_a_function_lists_the_apps_that_it_chooses() -> None:
    """Also those that are offline."""
    manifest = EntitiesManifest(
        functions=(Declaration(id='see', name='Seeing', nodes=('*/camera*',)),)
    )
    robot = Robot(manifest)
    robot.show('/a/camera', '/b/camera_2', '/b/lidar')
    robot.show('/b/camera_2')
    assert robot.directory.function('see').app_ids == ('camera', 'camera_2')
    assert [function.id for function in robot.directory.functions()] == ['see']


def test_what_is_not_there_is_named() -> None:
    """Each kind has its own error; an app is no component of the same id."""
    robot = Robot()
    robot.show('/camera')
    directory = robot.directory
    with pytest.raises(EntityNotFound, match="'components/camera'"):
        directory.entity(EntityRef(entity_type=EntityType.COMPONENT, entity_id='camera'))
    with pytest.raises(EntityNotFound, match="'apps/robot'"):
        directory.entity(app_ref('robot'))
    with pytest.raises(AreaNotFound, match="'camera'"):
        directory.area('camera')
    with pytest.raises(FunctionNotFound, match="'camera'"):
        directory.function('camera')


NAMES = strategies.from_regex(r'(/[a-c]){0,2}/[a-c]', fullmatch=True)


@given(strategies.lists(strategies.sets(NAMES, max_size=6), max_size=8))
def test_an_id_never_moves_to_another_node(graphs: list[set[str]]) -> None:
    """Whatever comes and goes: each id stays with its node, each node has one id."""
    robot = Robot()
    seen: dict[str, NodeName] = {}
    for graph in graphs:
        robot.show(*graph)
        apps = robot.directory.apps()
        assert {app.node for app in apps if app.online} == set(map(node, graph))
        assert len({app.node for app in apps}) == len(apps)
        for app in apps:
            assert is_id(app.id)
            assert seen.setdefault(app.id, app.node) == app.node
        assert seen.keys() == {app.id for app in apps}


@given(strategies.text())
def test_every_name_becomes_an_id(name: str) -> None:
    """Whatever a host is called; and an id that is one already stays."""
    made = id_from_name(name)
    assert is_id(made)
    assert len(made) <= MAX_ID_LENGTH
    assert id_from_name(made) == made


@pytest.mark.parametrize('text', ['a', '_', '0', 'A-b.c_d', 'x' * 256])
def test_what_is_an_id(text: str) -> None:
    """Letters, digits, `_`, `-` and `.`."""
    assert is_id(text)


@pytest.mark.parametrize('text', ['', '-a', '.a', '..', 'a/b', 'a b', 'ä', 'a\n', 'x' * 257, '٣'])
def test_what_is_no_id(text: str) -> None:
    """Nothing that a path, a shell or a log reads in its own way."""
    assert not is_id(text)


def test_a_manifest_is_read(tmp_path: Path) -> None:
    """Names default to ids; an empty file declares nothing."""
    file = tmp_path / 'entities.yaml'
    file.write_text('')
    assert load_entities_manifest(file) == EntitiesManifest()
    file.write_text("components: [{id: a, nodes: ['/x']}]\nfunctions:\n")
    declared = Declaration(id='a', name='a', nodes=('/x',))
    assert load_entities_manifest(file) == EntitiesManifest(components=(declared,))


@pytest.mark.parametrize(
    ('content', 'told'),
    [
        ('[]', 'the document is an array'),
        ('7', 'the document is 7; allowed: a mapping'),
        ('a: 1', "the document has the key 'a'; allowed: components, functions"),
        ('components: {}', 'components is an object; allowed: a list'),
        ('components: [7]', 'components[0] is 7; allowed: a mapping'),
        ('components: [{nodes: ["/x"]}]', 'components[0].id is null'),
        ('components: [{id: "../x", nodes: ["/x"]}]', "components[0].id is '../x'"),
        ('components: [{id: a}]', 'components[0] chooses no node'),
        ('components: [{id: a, nodes: "/x"}]', "components[0].nodes is '/x'; allowed: a list"),
        ('components: [{id: a, nodes: [x]}]', "components[0].nodes has 'x'"),
        ('components: [{id: a, nodes: ["/x"], nam: b}]', "components[0] has the key 'nam'"),
        ('components: [{id: a, name: 7, nodes: ["/x"]}]', 'components[0].name is 7'),
        (
            'functions: [{id: a, nodes: ["/x"]}, {id: a, nodes: ["/y"]}]',
            "functions: the id 'a' stands there twice",
        ),
        ('functions: [{id: docs, nodes: ["/x"]}]', "functions[0].id is 'docs', which is kept"),
        ('components: [', 'is no YAML'),
        ('components: &a [*a]', 'an alias stands inside what it names'),
        ('!!python/object/apply:os.getcwd []', 'python/object/apply:os.getcwd; allowed'),
        ('[' * 1500, 'nests too deep'),
    ],
)
def test_a_bad_manifest_is_refused_with_the_place(tmp_path: Path, content: str, told: str) -> None:
    """One line: the file, the place, the value and what is allowed."""
    file = tmp_path / 'entities.yaml'
    file.write_text(content)
    with pytest.raises(ManifestInvalid) as refused:
        load_entities_manifest(file)
    assert str(refused.value).startswith(f'{file}: ')
    assert told in str(refused.value)
    assert '\n' not in str(refused.value)
