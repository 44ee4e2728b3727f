"""The runner's side of what reports offers to runners: claim a report, keep it, give it back."""

from datetime import date
from typing import Any, Final, Literal

import msgspec

from services.report_runner.transform import Format
from weft.errors import Unavailable, WeftError
from weft.http import ClientResponse, HttpClient
from weft.settings import Secret

_OK: Final = 200
_NOT_OURS: Final = (404, 409)


class Lost(WeftError):
    """The report is no longer ours: cancelled, expired, or claimed by somebody else."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A report in our hands, until its lease ends. `lease` and `remaining` in seconds.

    `fence` grows with each claim of the report: whatever is said about it carries it.
    """

    report_id: str
    fence: int
    kind: Literal["sales"]
    first: date
    end: date
    format: Format
    lease: float
    remaining: float
    synthetic: bool = False
    """Nobody asked for it: it is in no metric of reports, and may be empty."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The queue as the rows tell it: reports waiting, the age of the oldest in seconds, how many
    are being made, and how many were ever requested."""

    waiting: int
    oldest: float
    running: int
    requested: int


class Requestor:
    """Speaks with reports, as a runner. Raises Unavailable."""

    def __init__(self, client: HttpClient, token: Secret, *, runner: str) -> None:
        self._client = client
        self._token = token
        self._runner = runner

    async def claim(self, report_id: str, claim_id: str) -> Claim | None:
        """Claim a report, None if it is not to be had. The same `claim_id` is the same claim."""
        body = {"claim_id": claim_id, "runner": self._runner}
        answer = await self._post("claim", report_id, body)
        return None if answer is None else answer.json(Claim)

    async def progress(self, claim: Claim, *, stage: str, percent: int) -> None:
        """Tell how far the report is, which renews its lease. Raises Lost."""
        body = {"fence": claim.fence, "stage": stage, "percent": percent}
        if await self._post("progress", claim.report_id, body) is None:
            raise Lost(f"report {claim.report_id} is no longer ours")

    async def release(self, claim: Claim, *, why: str, again_in: float, spent: bool) -> None:
        """Give the report back, for anybody to claim in `again_in` seconds.

        `why` is what the user hears if this was the last attempt; one that is not `spent` does not
        count.
        """
        body = {"fence": claim.fence, "why": why, "again_in": again_in, "spent": spent}
        await self._post("release", claim.report_id, body)

    async def facts(self, *, within: float) -> Facts:
        """Return how much there is to do, for who decides how many workers there should be.

        `within` is in seconds.
        """
        answer = await self._client.request("GET", "/runs", headers=self._headers(), timeout=within)
        if answer.status != _OK:
            raise Unavailable("reports", f"it answered {answer.status}")
        try:
            return answer.json(Facts)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unavailable("reports", "its answer is not understood") from None

    async def _post(self, verb: str, report_id: str, body: Any) -> ClientResponse | None:
        answer = await self._client.request(
            "POST",
            f"/runs/{{report_id}}/{verb}",
            path={"report_id": report_id},
            json=body,
            headers=self._headers(),
            idempotent=True,
        )
        if answer.status in _NOT_OURS:
            return None
        if answer.status != _OK:
            raise Unavailable("reports", f"it answered {answer.status}")
        return answer

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token.reveal()}"}
