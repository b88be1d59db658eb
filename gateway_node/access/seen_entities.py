# SPDX-License-Identifier: Apache-2.0
"""The entities that somebody sees: those of the directory within a scope."""

from dataclasses import replace

from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.errors import AreaNotFound, EntityNotFound, FunctionNotFound
from gateway_node.entities.values import App, Area, Component, EntityRef, EntityType, Function
from gateway_node.executions.scopes import EVERYTHING, Scope


class SeenEntities:
    """Answers what `EntityDirectory` does, as if there were nothing beyond the scope.

    An area or a function of which nothing is seen is not there either.
    """

    def __init__(self, directory: EntityDirectory, scope: Scope = EVERYTHING) -> None:
        self._directory = directory
        self._scope = scope

    def seen_by(self, scope: Scope) -> 'SeenEntities':
        """Return those within a scope."""
        return SeenEntities(self._directory, scope)

    def check(self, ref: EntityRef) -> None:
        """Return where there is such an app or component; EntityNotFound."""
        self._directory.entity(ref)
        if not self._scope.has_entity(ref):
            raise EntityNotFound(ref)

    def refs(self) -> tuple[EntityRef, ...]:
        """Return all entities that carry scripts: the apps, then the components."""
        return tuple(filter(self._scope.has_entity, self._directory.refs()))

    def host(self) -> EntityRef:
        """Return the host component, seen or not: groups are below it."""
        return self._directory.host()

    def apps(self) -> tuple[App, ...]:
        """Return all apps, by id, the offline ones included."""
        return tuple(app for app in self._directory.apps() if self._scope.has_entity(app.ref))

    def app(self, app_id: str) -> App:
        """Return one app, with its area where that is seen; EntityNotFound."""
        app = self._directory.app(app_id)
        self.check(app.ref)
        if self._scope.is_everything or app.area_id is None:
            return app
        components = self._directory.components()
        in_area = (each.ref for each in components if each.area_id == app.area_id)
        return app if any(map(self._scope.has_entity, in_area)) else replace(app, area_id=None)

    def components(self) -> tuple[Component, ...]:
        """Return all components, each with the apps that are seen; the host is the first."""
        components = self._directory.components()
        seen = (each for each in components if self._scope.has_entity(each.ref))
        return tuple(map(self._seen_component, seen))

    def component(self, component_id: str) -> Component:
        """Return one component, with the apps that are seen; EntityNotFound."""
        component = self._directory.component(component_id)
        self.check(component.ref)
        return self._seen_component(component)

    def areas(self) -> tuple[Area, ...]:
        """Return all areas, by id, each with the components that are seen."""
        areas = map(self._seen_area, self._directory.areas())
        return tuple(area for area in areas if area.component_ids)

    def area(self, area_id: str) -> Area:
        """Return one area, with the components that are seen; AreaNotFound."""
        area = self._seen_area(self._directory.area(area_id))
        if not area.component_ids:
            raise AreaNotFound(area_id)
        return area

    def functions(self) -> tuple[Function, ...]:
        """Return all declared functions, in the manifest's order, with the apps that are seen."""
        functions = map(self._seen_function, self._directory.functions())
        return tuple(each for each in functions if self._is_there(each))

    def function(self, function_id: str) -> Function:
        """Return one function, with the apps that are seen; FunctionNotFound."""
        function = self._seen_function(self._directory.function(function_id))
        if not self._is_there(function):
            raise FunctionNotFound(function_id)
        return function

    def _is_there(self, function: Function) -> bool:
        return self._scope.is_everything or bool(function.app_ids)

    def _seen_component(self, component: Component) -> Component:
        return replace(component, app_ids=self._seen(EntityType.APP, component.app_ids))

    def _seen_area(self, area: Area) -> Area:
        return replace(area, component_ids=self._seen(EntityType.COMPONENT, area.component_ids))

    def _seen_function(self, function: Function) -> Function:
        return replace(function, app_ids=self._seen(EntityType.APP, function.app_ids))

    def _seen(self, entity_type: EntityType, ids: tuple[str, ...]) -> tuple[str, ...]:
        if self._scope.entities is None:
            return ids
        refs = (EntityRef(entity_type=entity_type, entity_id=each) for each in ids)
        return tuple(ref.entity_id for ref in refs if self._scope.has_entity(ref))
