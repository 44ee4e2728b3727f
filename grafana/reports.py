"""The Reports dashboard: how long users wait, what the queue holds, and who works on it."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit.board import OURS, board
from grafana.kit.panels import AnyPanel, graph, lines, number, traces
from grafana.kit.queries import WINDOW, found, promql, quantiles, rate, several

RUNNERS: Final = 'service_name="report_runner"'
INSTANCE: Final = "{{service_instance_id}}"


def reports() -> Dashboard:
    """Return the dashboard, not yet built."""
    return board(
        "reports",
        "reports and scaling",
        "How long reports wait, how many there are, and how many workers make them.",
        {
            "Now": _now(),
            "Waiting": _waiting(),
            "Workers": _workers(),
            "Forecast": _forecast(),
            "Outcomes": _outcomes(),
            "Log lines and traces": _said(),
        },
    )


def _now() -> list[AnyPanel]:
    return [
        number(
            "Reports that wait",
            promql("max(weft_report_queue_depth)", "reports"),
            unit="short",
            width=6,
            about="Reports that no worker has taken yet.",
        ),
        number(
            "Oldest report that waits",
            promql("max(weft_report_queue_age_seconds)", "age"),
            unit="s",
            width=6,
            about="How long the oldest of them waits.",
        ),
        number(
            "Workers at work",
            promql("sum(weft_report_workers_busy)", "workers"),
            unit="short",
            width=6,
            about="Workers with a report in hand.",
        ),
        number(
            "Workers",
            promql("sum(weft_report_workers)", "workers"),
            unit="short",
            width=6,
            about="Workers of all instances.",
        ),
    ]


def _waiting() -> list[AnyPanel]:
    return [
        graph(
            "Wait for a worker",
            quantiles("weft_report_wait_seconds"),
            unit="s",
            width=8,
            about="From a report's request to its first worker. The dots open traces.",
        ),
        graph(
            "Queue",
            several(
                {
                    "waiting": "max(weft_report_queue_depth)",
                    "running": "max(weft_report_running)",
                }
            ),
            unit="short",
            width=8,
            about="Reports that wait for a worker, and those that have one.",
        ),
        graph(
            "Age of the oldest",
            promql("max(weft_report_queue_age_seconds)", "age"),
            unit="s",
            width=8,
            about="How long the oldest report waits.",
        ),
    ]


def _workers() -> list[AnyPanel]:
    runs = f"rate(weft_report_runs_total{{{RUNNERS}}}{WINDOW})"
    by_instance = f"sum by (service_instance_id) ({runs})"
    return [
        graph(
            "Workers wanted and there",
            several(
                {
                    "wanted": "max(weft_report_workers_desired)",
                    "there": "sum(weft_report_workers)",
                    "at work": "sum(weft_report_workers_busy)",
                }
            ),
            unit="short",
            width=8,
            about="Workers that there should be, that there are, and that have a report in hand.",
        ),
        graph(
            "Reports asked for and done",
            several(
                {
                    "asked for": f"max(rate(weft_report_queue_requested{WINDOW}))",
                    "done": rate("weft_report_runs_total", RUNNERS),
                }
            ),
            unit="ops",
            width=8,
            about="Reports that come in a second, and runs of workers that end.",
        ),
        graph(
            "Skew between runners",
            promql(f"max({by_instance}) / avg({by_instance})", "most loaded to average"),
            unit="none",
            width=8,
            about="Runs of the busiest instance as a multiple of the average; 1 is even.",
        ),
        graph(
            "Workers at work by instance",
            promql("sum by (service_instance_id) (weft_report_workers_busy)", INSTANCE),
            unit="short",
            width=12,
            about="Workers with a report in hand.",
        ),
        graph(
            "CPU of runners",
            promql(
                rate("process_cpu_time_seconds_total", RUNNERS, "service_instance_id"), INSTANCE
            ),
            unit="suffix: cores",
            width=12,
            about="Cores that each runner keeps busy; threads do the arithmetic.",
        ),
    ]


def _forecast() -> list[AnyPanel]:
    measure = "{{measure}}"
    return [
        graph(
            "Arrivals, measured and foretold",
            promql("max by (measure) (weft_report_arrivals_per_second)", measure),
            unit="ops",
            width=8,
            about="Reports that come in a second over the lead time, as they were and as foretold.",
        ),
        graph(
            "Error of the forecast",
            promql("max by (measure) (weft_report_forecast_error)", measure),
            unit="none",
            width=8,
            about="mae: reports a second it was wrong by; mase: below 1 it beats a naive forecast.",
        ),
        graph(
            "Time of a worker for a report",
            quantiles("weft_report_run_duration_seconds"),
            unit="s",
            width=8,
            about="What the number of workers is counted in. The dots open traces.",
        ),
    ]


def _outcomes() -> list[AnyPanel]:
    outcome = "weft_report_outcome"
    return [
        graph(
            "Reports by outcome",
            promql(rate("weft_reports_total", by=outcome), f"{{{{{outcome}}}}}"),
            unit="ops",
            width=8,
            stacked=True,
            about="Reports that ended a second: finished, failed, expired or cancelled.",
        ),
        graph(
            "Runs by outcome",
            promql(rate("weft_report_runs_total", by=outcome), f"{{{{{outcome}}}}}"),
            unit="ops",
            width=8,
            stacked=True,
            about="What came of workers' runs; released and lost ones are made by another.",
        ),
        graph(
            "Reports handed out again",
            promql(f"{rate('weft_report_republished_total')} or vector(0)", "reports"),
            unit="ops",
            width=8,
            about="Reports a second whose worker gave them back or was lost.",
        ),
    ]


def _said() -> list[AnyPanel]:
    return [
        lines(
            "Lines of reports",
            f'{{{OURS}, service_name=~"reports|report_runner"}} | weft_report_id!=""',
            width=14,
            about="What was said of reports, by both services.",
        ),
        traces(
            "Traces of reports",
            found("reports", operation="POST /v1/reports"),
            width=10,
            about="Reports asked for, until their user has heard of the result.",
        ),
    ]
