"""From method and path to a route: a tree of segments, as fast with a hundred as with one."""

from collections.abc import Iterable
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from weft.http.problem import Problem

E = TypeVar("E")

MAX_VALUE = 512
"""Characters of a value in a path: escaped again, it still fits into a request line."""


class _Node(Generic[E]):
    __slots__ = ("children", "endpoints", "rest", "value")

    def __init__(self) -> None:
        self.children: dict[str, _Node[E]] = {}
        self.value: _Node[E] | None = None
        self.rest: _Node[E] | None = None
        self.endpoints: dict[str, tuple[E, tuple[str, ...]]] = {}


class Router(Generic[E]):
    """Finds endpoints. A literal segment wins over a {name}, that over a {rest...}."""

    def __init__(self) -> None:
        self._root: _Node[E] = _Node()

    def add(self, method: str, path: str, endpoint: E) -> None:
        """Register `endpoint`; raise ValueError if method and path are taken."""
        node, names = self._root, []
        for segment in path[1:].split("/"):
            if segment.startswith("{"):
                names.append(segment.strip("{}").removesuffix("..."))
                kind = "rest" if segment.endswith("...}") else "value"
                following: _Node[E] = getattr(node, kind) or _Node()
                setattr(node, kind, following)
            else:
                following = node.children.setdefault(segment, _Node())
            node = following
        if method in node.endpoints:
            raise ValueError(f"{method} {path} is registered twice")
        node.endpoints[method] = endpoint, tuple(names)

    def find(self, method: str, path: str) -> tuple[E, dict[str, str]]:
        """Return the endpoint and the values of its {names}; raise Problem 400, 404 or 405."""
        if not path.startswith("/"):
            raise Problem(404, detail="There is nothing at this path.")
        segments = path[1:].split("/")
        if "%" in path:
            segments = [_decoded(segment) for segment in segments]
        found = _walk(self._root, segments, 0, ())
        if found is None:
            raise Problem(404, detail="There is nothing at this path.")
        node, values = found
        named = node.endpoints.get(method) or node.endpoints.get("GET" if method == "HEAD" else "*")
        if named is None:
            raise _not_allowed(node.endpoints)
        endpoint, names = named
        return endpoint, dict(zip(names, values, strict=True))


def _walk(
    node: _Node[E], segments: list[str], index: int, values: tuple[str, ...]
) -> tuple[_Node[E], tuple[str, ...]] | None:
    if index == len(segments):
        return (node, values) if node.endpoints else None
    segment = segments[index]
    child = node.children.get(segment)
    found = _walk(child, segments, index + 1, values) if child else None
    if found is None and node.value and _can_name(segment):
        found = _walk(node.value, segments, index + 1, (*values, segment))
    if found is None and node.rest:
        rest = segments[index:]
        if all(_can_name(each) or not each for each in rest):
            found = node.rest, (*values, "/".join(rest))
    return found


def _can_name(segment: str) -> bool:
    """Tell whether `segment` can be a value: short, printable, nothing that leads elsewhere."""
    return (
        0 < len(segment) <= MAX_VALUE
        and segment.isprintable()
        and "/" not in segment
        and segment not in (".", "..")
    )


def _decoded(segment: str) -> str:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise Problem(400, detail="The path is not UTF-8.") from None


def _not_allowed(methods: Iterable[str]) -> Problem:
    allowed = {"HEAD", *methods} if "GET" in methods else set(methods)
    names = ", ".join(sorted(allowed))
    return Problem(405, detail=f"Allowed here: {names}.", headers={"Allow": names})
