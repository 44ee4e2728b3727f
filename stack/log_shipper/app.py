"""The shipper's loop."""

import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

from stack.home import write
from stack.log_shipper.collector import AwayError, Collector
from stack.log_shipper.records import Record, joined, parser
from stack.log_shipper.tail import Position, Tail

PARTS: Final = (
    "rabbitmq",
    "postgres",
    "valkey",
    "otel-collector",
    "jaeger",
    "prometheus",
    "loki",
    "alertmanager",
)
POLL_SECONDS: Final = 0.5
_SHORTEST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 5.0


class Shipper:
    """Takes what is new in each part's log file to the collector; `offsets` is its memory."""

    def __init__(self, logs: Path, offsets: Path, collector: Collector) -> None:
        self._offsets = offsets
        self._collector = collector
        self._taken = _remembered(offsets)
        self._tails = {part: Tail(logs / f"{part}.log", self._taken.get(part)) for part in PARTS}

    def round(self) -> bool:
        """Send the next chunk of each file; return whether there was any. Raises AwayError."""
        moved = False
        for part, tail in self._tails.items():
            lines = tail.read()
            if lines:
                try:
                    self._ship(part, lines)
                except AwayError:
                    tail.rewind(self._taken.get(part))
                    raise
                moved = True
            position = tail.position()
            if position is not None:
                self._taken[part] = position
        self.remember()
        return moved

    def remember(self) -> None:
        """Write how far each file was taken; the file's age is also this program's sign of life."""
        positions = {part: [one.inode, one.offset] for part, one in self._taken.items()}
        if not write(self._offsets, json.dumps(positions)):
            os.utime(self._offsets)

    def _ship(self, part: str, lines: list[str]) -> None:
        records = _records(part, lines)
        if not self._collector.send(part, records):
            _say(f"the collector refused {len(records)} records of {part}")


def _records(part: str, lines: list[str]) -> list[Record]:
    read = parser(part)
    records: list[Record] = []
    for line in lines:
        record = read(line)
        if record is not None:
            records.append(record)
        elif records:
            records[-1] = joined(records[-1], line)
        else:
            records.append(Record(line))
    return records


def _remembered(offsets: Path) -> dict[str, Position]:
    try:
        said = json.loads(offsets.read_text(encoding="utf-8"))
        return {part: Position(*pair) for part, pair in said.items()}
    except (OSError, ValueError, TypeError):
        return {}


def main() -> None:
    """Ship until SIGTERM; what is in the files by then is sent, if the collector is there."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    collector = Collector(
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], os.environ.get("WEFT_ENVIRONMENT", "local")
    )
    shipper = Shipper(Path(os.environ["WEFT_LOGS"]), Path(os.environ["WEFT_OFFSETS"]), collector)
    wait, away = _SHORTEST_WAIT, False
    while True:
        stopping = stop.is_set()
        try:
            moved = shipper.round()
        except AwayError as error:
            if not away:
                _say(f"the collector is away ({error}): the logs wait in their files")
            away, moved = True, False
            shipper.remember()
        else:
            if away:
                _say("the collector is back")
            wait, away = _SHORTEST_WAIT, False
        if stopping and not moved:
            return
        if not moved:
            stop.wait(wait * random.uniform(0.8, 1.2) if away else POLL_SECONDS)  # jitter
            wait = min(_LONGEST_WAIT, wait * 2) if away else wait


def _say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n")
