"""OpenAPI 3.1 from the handlers' types."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from aiohttp.web import StreamResponse

from weft.http.problem import PROBLEM_TYPE, ProblemDocument
from weft.http.reply import JSON_TYPE, Reply
from weft.http.request import Request
from weft.http.routes import Route, Routes
from weft.http.stream import Stream

_REF = "#/components/schemas/{name}"
_NAME = re.compile(r"\{(\w+)(?:\.\.\.)?\}")
_WITH_BODY = (400, 413, 415, 422)
_SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}

Json = dict[str, Any]


def openapi(routes: Iterable[Route], *, title: str, version: str) -> Json:
    """Return the specification of `routes`, without the probes and those that are not listed."""
    shown = [route for route in routes if route.listed and not route.probe]
    schemas: Json = {}
    paths: dict[str, Json] = {}
    for route in sorted(shown, key=lambda r: r.path):
        path = _NAME.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }


def specification(routes: Iterable[Route], *, title: str, version: str) -> Routes:
    """Return a public route GET /openapi.json that gives the specification of `routes`."""
    document = msgspec.Raw(msgspec.json.encode(openapi(routes, title=title, version=version)))
    result = Routes()

    @result.get("/openapi.json", public=True, summary="The specification of this service")
    async def specify(_: Request) -> msgspec.Raw:
        return document

    return result


def _operation(route: Route, schemas: Json) -> Json:
    operation: Json = {
        "operationId": "_".join([route.method.lower(), *re.findall(r"\w+", route.path)]),
        "parameters": [
            *_path_parameters(route.path),
            *_query_parameters(route.query, schemas),
            *_header_parameters(route.needs),
        ],
        "responses": _responses(route, schemas),
        "security": [] if route.public else [*_bearers(route), {"apiKey": []}],
    }
    if route.summary:
        operation["summary"] = route.summary
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {JSON_TYPE: {"schema": _schema(route.body, schemas)}},
        }
    return operation


def _bearers(route: Route) -> list[Json]:
    scopes = [scope for scope in (route.scope, route.or_scope) if scope]
    return [{"bearer": [scope]} for scope in scopes] or [{"bearer": []}]


def _path_parameters(path: str) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _NAME.findall(path)
    ]


def _query_parameters(query: Any, schemas: Json) -> list[Json]:
    if query is None:
        return []
    (reference,), components = msgspec.json.schema_components([query], ref_template=_REF)
    struct = components.pop(reference["$ref"].rpartition("/")[2])
    schemas.update(components)
    required = struct.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in struct["properties"].items()
    ]


def _header_parameters(names: Iterable[str]) -> list[Json]:
    return [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
        for name in names
    ]


def _responses(route: Route, schemas: Json) -> Json:
    good: Mapping[int, Any] = {route.status: route.returns, **route.answers}
    responses: Json = {}
    for status, kind in good.items():
        media = PROBLEM_TYPE if kind is ProblemDocument else JSON_TYPE
        responses[str(status)] = _response(status, media, _payload(kind), schemas)
    for status in _problem_statuses(route):
        problem = _response(status, PROBLEM_TYPE, ProblemDocument, schemas)
        responses.setdefault(str(status), problem)
    return dict(sorted(responses.items()))


def _problem_statuses(route: Route) -> list[int]:
    statuses = {500, 503}
    if not route.public:
        statuses |= {401, 403} if route.scope else {401}
    if route.query is not None:
        statuses.add(400)
    if route.body is not None:
        statuses.update(_WITH_BODY)
    if "{" in route.path:
        statuses.add(404)
    return sorted(statuses)


def _response(status: int, media: str, kind: Any, schemas: Json) -> Json:
    response: Json = {"description": HTTPStatus(status).phrase}
    if kind is not None:
        response["content"] = {media: {"schema": _schema(kind, schemas)}}
    return response


def _schema(kind: Any, schemas: Json) -> Json:
    (schema,), components = msgspec.json.schema_components([kind], ref_template=_REF)
    schemas.update(components)
    return schema


def _payload(kind: Any) -> Any:
    """Return the type of the JSON that a return type stands for, None if there is none."""
    if get_origin(kind) in (Union, UnionType):
        members = tuple(p for p in map(_payload, get_args(kind)) if p is not None)
        return Union[members] if members else None  # noqa: UP007 - known only now
    if get_origin(kind) is Reply:
        return _payload(get_args(kind)[0])
    if kind in (None, NoneType, Any, bytes, Reply, Stream, msgspec.Raw):
        return None
    return None if isinstance(kind, type) and issubclass(kind, StreamResponse) else kind
