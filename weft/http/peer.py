"""One address of a service that we call, with its circuit."""

from collections.abc import Collection, Iterable, Iterator
from urllib.parse import urlsplit

from weft.http.breaker import BreakerPolicy, CircuitBreaker, State
from weft.telemetry import get_logger, up_down_counter

log = get_logger(__name__)

circuits_open = up_down_counter(
    "weft.http.client.circuits.open", "{circuit}", "Addresses that are left alone, by service."
)


class Peer:
    """An address (base URL) of the service `name`."""

    def __init__(self, name: str, base_url: str, policy: BreakerPolicy) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the address of {name} must be an http URL")
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.host = parts.hostname
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.breaker = CircuitBreaker(policy, self._changed)
        self._shown_open = False
        self._left = False

    def leave(self) -> None:
        """Be counted no more: this is no address of the service now."""
        self._changed("closed")
        self._left = True

    def _changed(self, state: State) -> None:
        if self._left:
            return
        facts = {
            "service.peer.name": self.name,
            "server.address": self.host,
            "server.port": self.port,
        }
        if state == "open" and not self._shown_open:
            self._shown_open = True
            circuits_open.add(1, {"service.peer.name": self.name})
            log.warning("circuit opened", **facts)
        elif state == "closed" and self._shown_open:
            self._shown_open = False
            circuits_open.add(-1, {"service.peer.name": self.name})
            log.info("circuit closed", **facts)


class Peers:
    """The addresses of the service `name`, in turn."""

    def __init__(self, name: str, base_urls: Iterable[str], policy: BreakerPolicy) -> None:
        self._name = name
        self._policy = policy
        self._peers: list[Peer] = []
        self._next = 0
        self.replace(base_urls)

    def __iter__(self) -> Iterator[Peer]:
        return iter(self._peers)

    def __len__(self) -> int:
        return len(self._peers)

    def replace(self, base_urls: Iterable[str]) -> None:
        """Have these addresses from now on; one that stays keeps its circuit. Raises ValueError."""
        known = {peer.base_url: peer for peer in self._peers}
        wanted = dict.fromkeys(url.rstrip("/") for url in base_urls)
        self._peers = [known.get(url) or Peer(self._name, url, self._policy) for url in wanted]
        for url in known.keys() - wanted.keys():
            known[url].leave()

    def pick(self, refused: Collection[Peer] = ()) -> tuple[Peer, int] | None:
        """Return the next address that is not left alone, and its circuit's permit.

        One of `refused`, which were there in vain a moment ago, only where there is no other.
        """
        for again in (False, True):
            for _ in self._peers:
                peer = self._peers[self._next % len(self._peers)]
                self._next += 1
                if (peer in refused) is again:
                    permit = peer.breaker.permit()
                    if permit is not None:
                        return peer, permit
        return None
