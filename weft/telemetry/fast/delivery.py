"""Threads: one cuts what is encoded into slices and keeps them, one for each signal sends them."""

import random
import threading
import time
from collections.abc import Callable, Mapping

from weft.telemetry import accounting
from weft.telemetry.accounting import SIGNALS, Signal
from weft.telemetry.exporting import Collector, deliver
from weft.telemetry.fast.outbox import Outgoing, Slice
from weft.telemetry.fast.spill import Store

EVERY = 0.2
"""Seconds of telemetry in one slice: what a kill -9 costs at most, beside the spans then open."""

PAUSE = 0.4
"""Seconds between two requests to the collector: what comes meanwhile goes together."""

STRAYS_EVERY = 10.0
"""Seconds between two looks for what processes that are gone have left."""

Post = Callable[[bytes], bool | None]
"""As exporting.deliver calls it."""


class Delivery:
    """From `drain` (encode all that is finished) over `stores` to `posts`, one for each signal.

    A signal does not wait for the other: what stands behind the collector may be full for one.
    """

    def __init__(
        self,
        drain: Callable[[], None],
        outgoing: Outgoing,
        stores: Mapping[Signal, Store],
        posts: Mapping[Signal, Post],
        collector: Collector,
    ) -> None:
        self._drain = drain
        self._outgoing = outgoing
        self._stores = stores
        self._posts = posts
        self._collector = collector
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self.counted = accounting.records()
        self._threads = [
            threading.Thread(target=self._cut, name="telemetry cut", daemon=True),
            *(
                threading.Thread(
                    target=self._send, args=(signal,), name=f"telemetry {signal}", daemon=True
                )
                for signal in SIGNALS
            ),
        ]
        for thread in self._threads:
            thread.start()

    def flush(self) -> None:
        """Encode and keep what is finished by now."""
        with self._lock:
            self._drain()
            for piece in self._outgoing.take():
                self.counted["started"][piece.signal] += piece.items
                if not self._stores[piece.signal].put(piece):
                    self.counted["dropped"][piece.signal] += piece.items
                    self._collector.dropped(piece.items)

    def close(self) -> None:
        """Send all that is kept, as long as the collector takes it and our deadline is not over."""
        self.flush()
        self._closing.set()
        for thread in self._threads:
            thread.join()

    def _cut(self) -> None:
        while not self._closing.wait(EVERY):
            self.flush()

    def _send(self, signal: Signal) -> None:
        store = self._stores[signal]
        look = time.monotonic() + STRAYS_EVERY * random.random()
        while not self._collector.closing.is_set():
            piece = store.oldest(EVERY)
            if piece is not None:
                if self._sent(piece):
                    store.done()
                if store.is_empty():
                    self._closing.wait(PAUSE)
            elif self._closing.is_set():
                return
            elif time.monotonic() >= look:
                self._send_strays(store)
                look = time.monotonic() + STRAYS_EVERY

    def _send_strays(self, store: Store) -> None:
        for piece in store.strays():
            self.counted["adopted"][piece.signal] += piece.items
            if self._closing.is_set() or not self._sent(piece):
                return

    def _sent(self, piece: Slice) -> bool:
        """Send `piece` until it is taken or refused for good; False if our time is over first."""
        post = self._posts[piece.signal]
        taken = deliver(
            self._collector, self.counted, piece.signal, piece.items, lambda: post(piece.body)
        )
        return taken is not None
