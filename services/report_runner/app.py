"""The wiring of report_runner."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from services.report_runner.api import routes
from services.report_runner.making import Maker
from services.report_runner.messages import QUEUE, handler
from services.report_runner.requestor import Requestor
from services.report_runner.sales import Sales
from services.report_runner.scaler import Scaler
from services.report_runner.scaling import Limits
from services.report_runner.worker import TARGET, Work
from services.report_runner.workers import Workers
from weft import __version__, alertmanager
from weft.artifacts import Artifacts, ArtifactsSettings
from weft.http import Authenticator, HttpClient
from weft.messaging import Broker, Consumer, ServiceTopology
from weft.service import Service, run
from weft.settings import Addresses, Duration, Secret, SettingsError
from weft.telemetry.options import TelemetryOptions
from weft.webhooks import Target, Webhooks, check_secret

ASK_REPORTS: Final = 5.0
"""Seconds that a word with reports may take, with its repetitions."""
METRICS_EVERY: Final = 1.0
"""Seconds between two exports: how many workers there are steers scaling."""
USUAL: Final = Limits()
DRAIN_SHARE: Final = 0.3
"""Of the drain, what reports in hand have to come to their end; then they are given back."""


class ReportRunnerSettings(ArtifactsSettings, frozen=True, kw_only=True):
    port: int = 8105
    database_url: Secret
    broker_url: Secret
    jwks: str
    orders_reader_database_url: Secret
    """The read model of orders, as the role that only reads it."""
    reports_url: Addresses = ("http://127.0.0.1:8104",)
    report_runner_token: Secret
    """A token with the scope reports:run."""
    report_webhook_secret: Secret
    """What results are signed with: whsec_ and 24 to 64 bytes in base64."""
    report_again_in: Duration = 5.0
    """How long a report waits for its next attempt when something that it needs was away."""
    alerts_key: Secret
    """What Alertmanager and Grafana authenticate with."""
    report_min_workers: Annotated[int, Meta(ge=0, le=1000)] = 2
    report_max_workers: Annotated[int, Meta(ge=1, le=1000)] = 8
    """The bounds of all instances together: these are for two cores that the databases share."""
    report_target_wait: Duration = USUAL.target_wait
    """How long what waits may take to be begun: the backlog is drained within it."""
    report_scale_down_delay: Duration = USUAL.scale_down_delay
    """How long workers are kept that are no longer needed."""


def build(settings: ReportRunnerSettings) -> Service:
    """Return the service, not yet started. Raises SettingsError."""
    check_secret(settings.report_webhook_secret, "WEFT_REPORT_WEBHOOK_SECRET")
    service = Service("report_runner", settings, version=__version__)
    threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="reports")
    db = service.database(Path(__file__).with_name("schema"))
    client = service.add(HttpClient(settings.reports_url, name="reports", timeout=ASK_REPORTS))
    requestor = Requestor(
        client, settings.report_runner_token, runner=f"report_runner-{settings.instance}"
    )
    sales = service.add(Sales(settings.orders_reader_database_url, threads))
    first, *others = [f"{url.rstrip('/')}/webhooks/report-runner" for url in settings.reports_url]
    target = Target(first, [settings.report_webhook_secret], others=others)
    webhooks = service.add(Webhooks(db, {TARGET: target}))
    maker = Maker(sales, Artifacts.of(settings), threads)
    work = Work(maker, requestor, db, webhooks, again_in=settings.report_again_in)
    workers = service.add(Workers(db, work.run, drain=settings.drain_timeout * DRAIN_SHARE))
    broker = service.add(
        Broker(settings.broker_url, ServiceTopology(service="report_runner", further=[QUEUE]))
    )
    consumer = Consumer(
        broker,
        QUEUE.name,
        handler(requestor, workers),
        prefetch=1,
        concurrency=1,
        resume_check=client.check,
    )
    workers.listen(lambda free: consumer.resume() if free else consumer.pause())
    service.add(consumer)
    service.add(Scaler(db, requestor, limits(settings)))
    key = alertmanager.callers(settings.alerts_key, Authenticator(settings.jwks))
    service.serve(routes(db, _now), auth=key)
    return service


def limits(settings: ReportRunnerSettings) -> Limits:
    """Return what bounds the number of workers. Raises SettingsError."""
    given = {
        "min_workers": settings.report_min_workers,
        "max_workers": settings.report_max_workers,
        "target_wait": settings.report_target_wait,
        "scale_down_delay": settings.report_scale_down_delay,
    }
    try:
        return msgspec.convert(given, Limits)
    except msgspec.ValidationError as error:
        wrong = re.search(r"\$\.(\w+)", str(error))
        name = (wrong[1] if wrong else "min_workers").upper()
        raise SettingsError(f"WEFT_REPORT_{name}: {error}") from None


def _now() -> datetime:
    return datetime.now(UTC)


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, ReportRunnerSettings, telemetry=TelemetryOptions(metrics_every=METRICS_EVERY))
