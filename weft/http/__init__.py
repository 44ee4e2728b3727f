"""HTTP: server, client, problems, authentication, specification."""

from weft.http.body import MAX_BODY
from weft.http.front import unauthenticated
from weft.http.identity import ANONYMOUS, Authentication, Identity
from weft.http.problem import FieldError, Problem, ProblemDocument
from weft.http.reply import Reply
from weft.http.request import Request
from weft.http.routes import Route, Routes
from weft.http.server import HttpServer

__all__ = [
    "ANONYMOUS",
    "MAX_BODY",
    "Authentication",
    "FieldError",
    "HttpServer",
    "Identity",
    "Problem",
    "ProblemDocument",
    "Reply",
    "Request",
    "Route",
    "Routes",
    "unauthenticated",
]
