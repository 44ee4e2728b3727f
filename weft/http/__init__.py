"""HTTP: server, client, problems, authentication, specification."""

from weft.http.auth import MAX_SUBJECT, Authenticator
from weft.http.body import MAX_BODY
from weft.http.breaker import BreakerPolicy
from weft.http.client import ClientResponse, HttpClient, StreamedResponse
from weft.http.cursor import Cursors
from weft.http.front import unauthenticated
from weft.http.idempotency_key import idempotency_key
from weft.http.identity import ANONYMOUS, Authentication, Identity
from weft.http.openapi import openapi, specification
from weft.http.problem import FieldError, Problem, ProblemDocument, busy
from weft.http.proxy import forward, forward_stream
from weft.http.ranges import byte_range, content_range
from weft.http.reply import Reply
from weft.http.request import Request
from weft.http.routes import Route, Routes
from weft.http.server import HttpServer
from weft.http.shared_key import SharedKey
from weft.http.stream import Stream
from weft.http.tokens import Token, TokenSigner, new_private_key
from weft.http.websocket import Upgrade, WebSocket, text_frame
from weft.http.websocket_proxy import forward_websocket

__all__ = [
    "ANONYMOUS",
    "MAX_BODY",
    "MAX_SUBJECT",
    "Authentication",
    "Authenticator",
    "BreakerPolicy",
    "ClientResponse",
    "Cursors",
    "FieldError",
    "HttpClient",
    "HttpServer",
    "Identity",
    "Problem",
    "ProblemDocument",
    "Reply",
    "Request",
    "Route",
    "Routes",
    "SharedKey",
    "Stream",
    "StreamedResponse",
    "Token",
    "TokenSigner",
    "Upgrade",
    "WebSocket",
    "busy",
    "byte_range",
    "content_range",
    "forward",
    "forward_stream",
    "forward_websocket",
    "idempotency_key",
    "new_private_key",
    "openapi",
    "specification",
    "text_frame",
    "unauthenticated",
]
