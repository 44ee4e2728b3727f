"""The wiring of report_runner."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from services.report_runner.making import Maker
from services.report_runner.messages import QUEUE, handler
from services.report_runner.requestor import Requestor
from services.report_runner.sales import Sales
from services.report_runner.worker import TARGET, Work
from services.report_runner.workers import Workers
from weft import __version__
from weft.artifacts import Artifacts
from weft.http import Authenticator, HttpClient, Routes
from weft.messaging import Broker, Consumer, ServiceTopology
from weft.service import Service, run
from weft.settings import Duration, Secret, ServiceSettings
from weft.telemetry.options import TelemetryOptions
from weft.webhooks import Target, Webhooks, check_secret

ASK_REPORTS: Final = 5.0
"""Seconds that a word with reports may take, with its repetitions."""
METRICS_EVERY: Final = 1.0
"""Seconds between two exports: how many workers there are steers scaling."""
DRAIN_SHARE: Final = 0.3
"""Of the drain, what reports in hand have to come to their end; then they are given back."""


class ReportRunnerSettings(ServiceSettings, frozen=True, kw_only=True):
    port: int = 8105
    database_url: Secret
    broker_url: Secret
    jwks: str
    orders_reader_database_url: Secret
    """The read model of orders, as the role that only reads it."""
    reports_url: str = "http://127.0.0.1:8104"
    report_runner_token: Secret
    """A token with the scope reports:run."""
    report_webhook_secret: Secret
    """What results are signed with: whsec_ and 24 to 64 bytes in base64."""
    artifacts_url: str
    """Where reports are put: file:///folder or s3://bucket/prefix."""
    report_again_in: Duration = 5.0
    """How long a report waits for its next attempt when something that it needs was away."""


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
    target = Target(
        f"{settings.reports_url}/webhooks/report-runner", [settings.report_webhook_secret]
    )
    webhooks = service.add(Webhooks(db, {TARGET: target}))
    maker = Maker(sales, Artifacts(settings.artifacts_url), threads)
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
    service.serve(Routes(), auth=Authenticator(settings.jwks))
    return service


def main() -> None:
    """Run the service until it is told to stop."""
    run(build, ReportRunnerSettings, telemetry=TelemetryOptions(metrics_every=METRICS_EVERY))
