"""Whether what is told of the load is stored as fast as it is told."""

import re
import urllib.request
from typing import Final

_CALL_SECONDS: Final = 10.0
_METRIC: Final = re.compile(
    r'^otelcol_exporter_(sent_spans|queue_size)\w*\{[^}]*exporter="otlp_grpc/jaeger"[^}]*\} (\S+)$',
    re.MULTILINE,
)


class Backlog:
    """Spans that the collector has passed on, and those that wait in its queue, since `start`.

    `url` is that of the collector's metrics. Every look may raise OSError.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.start()

    def start(self) -> None:
        self._before = self._look()

    def stored(self) -> float:
        """Return the share of what came that was passed on, from 0 to 1."""
        now = self._look()
        sent, grown = (now[name] - self._before[name] for name in ("sent_spans", "queue_size"))
        return sent / (sent + grown) if sent > 0 and grown > 0 else float(grown <= 0)

    def _look(self) -> dict[str, float]:
        with urllib.request.urlopen(self._url, timeout=_CALL_SECONDS) as answer:  # noqa: S310 - loopback
            text = answer.read().decode()
        return {"sent_spans": 0.0, "queue_size": 0.0} | {
            name: float(value) for name, value in _METRIC.findall(text)
        }
