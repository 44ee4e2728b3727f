"""OTLP over HTTP in its JSON form, to one collector."""

import http.client
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from stack.log_shipper.records import Fact, Record

_TIMEOUT: Final = 10.0
_SCOPE: Final = "weft.log_shipper"
_TAKEN: Final = 200
_REFUSED: Final = 400


class AwayError(Exception):
    """The collector does not answer, or cannot take more now."""


class Collector:
    """Takes records by part; `environment` is deployment.environment.name."""

    def __init__(self, endpoint: str, environment: str, version: str = "") -> None:
        self._version = version
        parts = urlsplit(endpoint)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 4318
        self._environment = environment

    def send(self, part: str, records: Iterable[Record], *, scope: str = _SCOPE) -> bool:
        """Return once the collector has the records: False if it refuses them for good.

        Raises AwayError if it should be tried again.
        """
        body = json.dumps(self._request(part, records, scope)).encode()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/v1/logs", body, headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            raise AwayError(type(error).__name__) from None
        finally:
            connection.close()
        if response.status not in (_TAKEN, _REFUSED):
            raise AwayError(f"answers {response.status}")
        return response.status == _TAKEN

    def _request(self, part: str, records: Iterable[Record], scope: str) -> dict[str, Any]:
        resource: dict[str, Fact] = {
            "service.name": part,
            "service.namespace": "weft",
            "service.instance.id": f"{part}-0",
            **({"service.version": self._version} if self._version else {}),
            "deployment.environment.name": self._environment,
        }
        scope_logs = {
            "scope": {"name": scope},
            "logRecords": [_record(record) for record in records],
        }
        return {
            "resourceLogs": [
                {"resource": {"attributes": _attributes(resource)}, "scopeLogs": [scope_logs]}
            ]
        }


def _record(record: Record) -> dict[str, Any]:
    now = time.time()
    return {
        "timeUnixNano": str(int((record.at or now) * 1e9)),
        "observedTimeUnixNano": str(int(now * 1e9)),
        "severityNumber": record.severity_number,
        "severityText": record.severity,
        "body": {"stringValue": record.text},
        "attributes": _attributes(dict(record.facts)),
        "eventName": record.event,
    }


def _attributes(values: Mapping[str, Fact]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Fact) -> dict[str, str]:
    return {"stringValue": value} if isinstance(value, str) else {"intValue": str(value)}
