"""The routes of a service: which handler answers which method and path, for whom."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

Handler = Callable[..., Awaitable[Any]]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path, with what its handler takes and gives."""

    method: str
    path: str
    handler: Handler
    scope: str | None = None
    or_scope: str | None = None
    public: bool = False
    status: int = 200
    summary: str = ""
    raw: bool = False
    probe: bool = False
    quiet: bool = False
    listed: bool = True
    body: Any = None
    query: Any = None
    returns: Any = None
    answers: Mapping[int, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


class Routes:
    """Collects routes by decorators.

    A handler is `async def h(request)`, `h(request, body: T)`, `h(request, query: Q)` or both: T is
    the type of the JSON body, Q a struct of the query's parameters. It returns a struct or dict
    (sent as JSON with the route's status), a Reply, an aiohttp response, or None (an empty body);
    it raises Problem. A path has {name} for one segment and {name...} for all that remain.

    `scope` is what a caller's token must hold, or else `or_scope`; without it any authenticated
    caller may come, and anybody where `public`. `answers` tells the specification of further
    statuses and their types, `needs` of headers without which the handler refuses a request; a
    route that is not `listed` has no place in it. What succeeds on a `quiet` route makes metrics,
    no span and no log line.
    """

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def include(self, others: Iterable[Route]) -> None:
        """Add the routes of `others`."""
        self._routes.extend(others)

    def get(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for GET (and HEAD)."""
        return self._register("GET", path, options)

    def post(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for POST."""
        return self._register("POST", path, options)

    def put(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for PUT."""
        return self._register("PUT", path, options)

    def delete(self, path: str, **options: Any) -> Callable[[H], H]:
        """Register a handler for DELETE."""
        return self._register("DELETE", path, options)

    def raw(self, method: str, path: str, handler: Handler, **options: Any) -> None:
        """Register `handler(request)` that reads the body itself, for proxies and streams."""
        self._add(Route(method=method, path=path, handler=handler, raw=True, **options))

    def _register(self, method: str, path: str, options: dict[str, Any]) -> Callable[[H], H]:
        def register(handler: H) -> H:
            types = _types(handler)
            self._add(Route(method=method, path=path, handler=handler, **types, **options))
            return handler

        return register

    def _add(self, route: Route) -> None:
        if not route.path.startswith("/"):
            raise ValueError(f"the path of a route starts with /: {route.path!r}")
        self._routes.append(route)


def _types(handler: Handler) -> dict[str, Any]:
    """Return what the handler takes and gives, from its annotations."""
    hints = get_type_hints(handler, include_extras=True)
    types = {"returns": hints.get("return")}
    for name in list(inspect.signature(handler).parameters)[1:]:
        types["query" if name == "query" else "body"] = hints[name]
    return types
