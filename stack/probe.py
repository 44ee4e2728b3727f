"""Whether a part answers: each probe returns, or raises NotReadyError with what it saw."""

import base64
import http.client
import json
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from stack.ports import BIND

Probe = Callable[[], None]
TIMEOUT: Final = 2.0
"""Seconds that one probe may take."""
_PROTOCOL_3: Final = 196608
_OK: Final = 200
_TYPE_AND_LENGTH: Final = 5
_MOST_BYTES: Final = 65536


class NotReadyError(Exception):
    """The part does not answer, or says that it is not ready."""


def http_ok(url: str, *, user: str = "", password: str = "") -> Probe:
    """GET answers 200. What a service says of its dependencies is handed on."""
    parts = urlsplit(url)
    headers = {}
    if user:
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        headers["Authorization"] = f"Basic {credentials}"

    def probe() -> None:
        connection = http.client.HTTPConnection(parts.hostname or BIND, parts.port, timeout=TIMEOUT)
        try:
            connection.request("GET", parts.path or "/", headers=headers)
            response = connection.getresponse()
            body = response.read(_MOST_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise NotReadyError(_reason(error)) from None
        finally:
            connection.close()
        if response.status != _OK:
            raise NotReadyError(_waits_for(body) or f"answers {response.status}")

    return probe


def postgres(port: int) -> Probe:
    """The server asks for a password: it accepts connections (what pg_isready does)."""
    fields = b"user\0probe\0database\0postgres\0\0"
    startup = struct.pack("!ii", 8 + len(fields), _PROTOCOL_3) + fields

    def probe() -> None:
        # The whole answer is read: closing on the rest of it would be an error in the server's log.
        answer = _exchange(port, startup, _is_whole)
        if not answer.startswith(b"R"):
            raise NotReadyError("does not accept connections yet")

    return probe


def redis(port: int, password: str) -> Probe:
    """PING is answered."""

    def probe() -> None:
        answer = _exchange(port, f"AUTH {password}\r\nPING\r\n".encode(), _has_two_lines)
        if answer != b"+OK\r\n+PONG\r\n":
            raise NotReadyError("does not answer PING")

    return probe


def fresh(path: Path, seconds: float) -> Probe:
    """A file was touched within `seconds`: a process without a port shows that way it works."""

    def probe() -> None:
        try:
            age = time.time() - path.stat().st_mtime
        except OSError:
            raise NotReadyError("gave no sign of life yet") from None
        if age > seconds:
            raise NotReadyError(f"gave no sign of life for {age:.0f} s")

    return probe


def _is_whole(message: bytes) -> bool:
    """Of PostgreSQL's protocol: a type, then a length that counts itself."""
    return len(message) > _TYPE_AND_LENGTH and len(message) > int.from_bytes(message[1:5], "big")


def _has_two_lines(answer: bytes) -> bool:
    return answer.count(b"\r\n") > 1


def _exchange(port: int, request: bytes, complete: Callable[[bytes], bool]) -> bytes:
    try:
        with socket.create_connection((BIND, port), timeout=TIMEOUT) as connection:
            connection.sendall(request)
            answer = b""
            while not complete(answer) and (part := connection.recv(_MOST_BYTES)):
                answer += part
            return answer
    except OSError as error:
        raise NotReadyError(_reason(error)) from None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT:.0f} s"
    if isinstance(error, ConnectionRefusedError):
        return "does not listen yet"
    return type(error).__name__


def _waits_for(body: bytes) -> str | None:
    try:
        dependencies = json.loads(body)["dependencies"]
        names = [one["name"] for one in dependencies if not one["ok"]]
    except (ValueError, KeyError, TypeError):
        return None
    return f"waits for {', '.join(names)}" if names else None
