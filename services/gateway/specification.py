"""One OpenAPI document out of those of the services behind the gateway."""

from collections.abc import Mapping
from typing import Any, Final

_TOO_MANY: Final = {
    "description": "Too Many Requests",
    "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}},
}
_SCHEMAS: Final = "#/components/schemas/"


def merged(
    documents: Mapping[str, Mapping[str, Any]], *, title: str, version: str
) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document with the paths of all `documents` (by service).

    Schemas are named SERVICE.NAME, so that two services may use a name for different things. Every
    operation may be answered 429, by the gateway itself.
    """
    result: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": {},
        "components": {},
    }
    for service, document in documents.items():
        named = _renamed(document, service)
        result["paths"].update(named.get("paths", {}))
        for kind, parts in named.get("components", {}).items():
            prefix = f"{service}." if kind == "schemas" else ""
            known = result["components"].setdefault(kind, {})
            known.update({prefix + name: part for name, part in parts.items()})
    for path in result["paths"].values():
        for operation in path.values():
            operation.setdefault("responses", {}).setdefault("429", _TOO_MANY)
    result["paths"] = dict(sorted(result["paths"].items()))
    return result


def _renamed(node: Any, service: str) -> Any:
    """The same, with every reference to a schema leading to the service's own."""
    if isinstance(node, dict):
        return {
            key: _reference(value, service)
            if key == "$ref" and isinstance(value, str)
            else _renamed(value, service)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_renamed(each, service) for each in node]
    return node


def _reference(target: str, service: str) -> str:
    if not target.startswith(_SCHEMAS):
        return target
    return f"{_SCHEMAS}{service}.{target.removeprefix(_SCHEMAS)}"
