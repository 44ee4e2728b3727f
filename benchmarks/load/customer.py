"""A customer: looks at products, places an order, looks it up until it is finished."""

import json
import random
import time
import uuid
from datetime import datetime
from typing import Any, ClassVar, Final

from locust import FastHttpUser, task
from locust.contrib.fasthttp import FastResponse

from benchmarks.load.journal import Journal, Order
from benchmarks.load.plan import PACE
from benchmarks.load.target import Target

FOLLOW_SECONDS: Final = 40.0
"""An order must be finished by then: its own deadline is 30 s."""
_FIRST_LOOK: Final = 0.15
_SLOWEST_LOOK: Final = 1.0
_DECLINED: Final = 0.05
"""Share of orders whose card is declined."""
_ACCEPTED: Final = 202
_FOUND: Final = 200
_NOT_YET: Final = 404
_MEASURED: Final = "accepted to finished"


class Customer(FastHttpUser):
    """Orders once in PACE seconds, if the system keeps up."""

    connection_timeout = 5.0
    network_timeout = 15.0
    max_retries = 0
    target: ClassVar[Target]
    journal: ClassVar[Journal]

    def on_start(self) -> None:
        """Choose an identity and a moment, so that customers do not come in step."""
        self._headers = {"Authorization": f"Bearer {random.choice(self.target.tokens)}"}
        self._due = time.monotonic() + random.uniform(0, PACE)
        time.sleep(self._due - time.monotonic())

    def wait_time(self) -> float:
        """Seconds until the next order is due; one who is late goes on at once."""
        now = time.monotonic()
        self._due = max(self._due + PACE, now)
        return self._due - now

    @task
    def shop(self) -> None:
        """Browse, order, follow the order."""
        sku = random.choice(self.target.skus)
        self._get("/v1/products?limit=20", "/v1/products")
        self._get(f"/v1/products/{sku}", "/v1/products/{sku}")
        self._order(sku)

    def _get(self, path: str, name: str) -> None:
        self.client.get(path, name=name, headers=self._headers)

    def _order(self, sku: str) -> None:
        card = "tok_declined" if random.random() < _DECLINED else "tok_ok"
        answer = self.client.post(
            "/v1/orders",
            headers={**self._headers, "Idempotency-Key": str(uuid.uuid4())},
            json={"items": [{"sku": sku, "quantity": 1}], "payment": {"token": card}},
        )
        if answer.status_code != _ACCEPTED:
            self.journal.failed()
            return
        self.journal.accepted()
        trace_id = str(answer.headers.get("x-trace-id", "")) if answer.headers else ""
        self._follow(_body(answer)["order_id"], trace_id)

    def _follow(self, order_id: str, trace_id: str) -> None:
        end, pause = time.monotonic() + FOLLOW_SECONDS, _FIRST_LOOK
        while time.monotonic() < end:
            time.sleep(pause)
            pause = min(pause * 1.6, _SLOWEST_LOOK)
            found = self._look(order_id)
            if found is not None and found["status"] != "pending":
                self._finished(found, order_id, trace_id)
                return
        self.journal.failed()

    def _look(self, order_id: str) -> dict[str, Any] | None:
        with self.client.get(
            f"/v1/orders/{order_id}",
            name="/v1/orders/{order_id}",
            headers=self._headers,
            catch_response=True,
        ) as answer:
            if answer.status_code == _NOT_YET:
                answer.success()
            if answer.status_code != _FOUND:
                return None
            return _body(answer)

    def _finished(self, found: dict[str, Any], order_id: str, trace_id: str) -> None:
        """The times are the system's own: looking once in a while must not be in them."""
        seconds = (_time(found["finished_at"]) - _time(found["placed_at"])).total_seconds()
        self.journal.finished(Order(seconds, order_id, trace_id, found["status"]))
        self.environment.events.request.fire(
            request_type="ORDER",
            name=_MEASURED,
            response_time=seconds * 1000,
            response_length=0,
            exception=None,
            context={},
        )


def _body(answer: FastResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.text or "{}")
    return found


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
