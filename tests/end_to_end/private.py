"""What must never be in the telemetry, and all that a backend has stored, as text."""

import secrets
import string
import time
from urllib.parse import quote

from stack.backends.connect import Backends
from stack.backends.http import HttpBackend

_MOST_TRACES = "1500"
_MOST_LINES = 5000


class Secrets:
    """A card number, a card token, an address, credentials; `cores` are what no text may hold."""

    def __init__(self) -> None:
        digits = "".join(secrets.choice(string.digits) for _ in range(12))
        letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(14))
        name, word, key = (secrets.token_hex(9) for _ in range(3))
        self.card = f"4929{digits}"
        spaced = " ".join(self.card[i : i + 4] for i in range(0, 16, 4))
        self.values = {
            "card": self.card,
            "card in groups": spaced,
            "token": f"tok_{letters}",
            "address": f"{name}@example.com",
            "authorization": f"Bearer {word}",
            "jwt": f"eyJhbGciOiJFZERTQSJ9.{key}.c2lnbmF0dXJl",
        }
        self.cores = (digits, spaced, letters, name, word, key)

    @property
    def together(self) -> str:
        """All of them in one text."""
        return " and ".join(self.values.values())

    def within(self, text: str) -> list[str]:
        """Which of them `text` holds."""
        return [core for core in self.cores if core in text or quote(core) in text]


async def stored(backends: Backends, since: float) -> dict[str, str]:
    """Return all that Jaeger, Loki and Prometheus have got since then, as they answer it."""
    return {
        "jaeger": await _traces(backends, since),
        "loki": await _lines(backends, since),
        "prometheus": await _series(backends, since),
    }


async def _traces(backends: Backends, since: float) -> str:
    texts = []
    for service in await backends.jaeger.services():
        params = {
            "service": service,
            "start": str(int(since * 1e6)),
            "end": str(int(time.time() * 1e6)),
            "limit": _MOST_TRACES,
        }
        texts.append(await _text(backends.jaeger, "/api/traces", params))
    return "".join(texts)


async def _lines(backends: Backends, since: float) -> str:
    texts, step, until = [], 5.0, time.time()
    while since < until:
        params = {
            "query": '{service_name=~".+"}',
            "start": str(int(since * 1e9)),
            "end": str(int((since + step) * 1e9)),
            "limit": str(_MOST_LINES),
        }
        texts.append(await _text(backends.loki, "/loki/api/v1/query_range", params))
        since += step
    return "".join(texts)


async def _series(backends: Backends, since: float) -> str:
    params = {"match[]": '{__name__=~".+"}', "start": f"{since:.3f}"}
    return await _text(backends.prometheus, "/api/v1/series", params)


async def _text(backend: HttpBackend, path: str, params: dict[str, str]) -> str:
    answer = await backend.call("GET", path, params=params)
    return answer.expect(200).body.decode()
