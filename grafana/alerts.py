"""The Alerts dashboard: what fires, what fired, and whether people were told."""

from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml
from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit.board import OURS, TIME, board, of_row, to
from grafana.kit.panels import AnyPanel, graph, grid, lines, number, states
from grafana.kit.queries import one_of, promql, rate, rows, several
from grafana.runbooks import address, numbers

RULES: Final = Path(__file__).parents[1] / "prometheus" / "rules"
FIRING: Final = 'ALERTS{alertstate="firing"}'
SENT: Final = "alertmanager_notifications"


def alerts() -> Dashboard:
    """Return the dashboard, not yet built."""
    return board(
        "alerts",
        "alerts",
        "What fires now and what fired before, each with its dashboard and its runbook.",
        {
            "Now": _now(),
            "What fires": _firing(),
            "Who was told": _told(),
            "Log lines": [
                lines(
                    "Lines of the notifier",
                    f'{{{OURS}, service_name="notifier"}}',
                    width=24,
                    about="What came in from Alertmanager, and what went out to people.",
                )
            ],
        },
    )


@cache
def rules() -> dict[str, dict[str, Any]]:
    """Return every alert of the rules, by its name."""
    texts = (file.read_text(encoding="utf-8") for file in sorted(RULES.glob("*.yaml")))
    groups = (group for text in texts for group in yaml.safe_load(text)["groups"])
    every = (rule for group in groups for rule in group["rules"])
    return {rule["alert"]: rule for rule in every if "alert" in rule}


def with_ways(expr: str) -> str:
    """Add the labels `dashboard`, as each alert's own annotation names it, and `runbook`."""
    ways: dict[tuple[str, str], list[str]] = {}
    for name, rule in rules().items():
        dashboard = rule["annotations"]["dashboard"].removeprefix("/d/").partition("?")[0]
        ways.setdefault(("dashboard", dashboard), []).append(name)
        ways.setdefault(("runbook", str(numbers()[name])), []).append(name)
    for (label, value), names in sorted(ways.items()):
        expr = f'label_replace({expr}, "{label}", "{value}", "alertname", "{one_of(names)}")'
    return expr


def _now() -> list[AnyPanel]:
    by_severity = 'count(ALERTS{{alertstate="firing", severity="{}"}}) or vector(0)'
    return [
        *(
            number(
                title,
                promql(by_severity.format(severity), severity),
                unit="short",
                width=6,
                about=about,
            )
            for title, severity, about in (
                ("Critical", "critical", "Somebody is woken."),
                ("Warnings", "warning", "To be looked at today."),
            )
        ),
        number(
            "Waiting to fire",
            promql('count(ALERTS{alertstate="pending"}) or vector(0)', "alerts"),
            unit="short",
            width=6,
            about="Alerts whose condition holds, and not yet for long enough.",
        ),
        number(
            "Silence of the watchdog",
            promql("max(weft_notifier_watchdog_silence_seconds)", "silence"),
            unit="s",
            width=6,
            about="Since the notifier heard that alerts are evaluated; at 30 s it raises alarm.",
        ),
    ]


def firing(*, height: int) -> AnyPanel:
    """What fires now, each alert with the ways to its dashboard, its runbook and its service."""
    its_service = f"var-service={of_row('service_name')}"
    links = {
        "alertname": {"Its runbook": address(of_row("runbook"))},
        "dashboard": {"Its dashboard": f"/d/{of_row('dashboard')}?{its_service}&{TIME}"},
        "service_name": {"The service": to("service", service=of_row("service_name"))},
    }
    return grid(
        "Firing alerts",
        rows(with_ways(FIRING)),
        width=24,
        height=height,
        about="Each leads to its dashboard and its runbook. Watchdog always fires.",
        hidden="__name__ alertstate Value follows_from runbook",
        links=links,
    )


def _firing() -> list[AnyPanel]:
    return [
        firing(height=10),
        states(
            "History",
            promql(
                'max by (alertname, service_name, queue) (ALERTS{alertstate="firing"})',
                "{{alertname}} {{service_name}} {{queue}}",
            ),
            width=24,
            height=10,
            about="When each alert fired.",
        ),
    ]


def _told() -> list[AnyPanel]:
    return [
        graph(
            "Notifications of Alertmanager",
            several(
                {
                    "sent": rate(f"{SENT}_total"),
                    "failed": rate(f"{SENT}_failed_total"),
                }
            ),
            unit="ops",
            width=8,
            about="What Alertmanager posts a second, the watchdog's word too.",
        ),
        graph(
            "Messages into the inbox",
            several(
                {
                    "firing": _counted("weft_notifier_notices_total", 'status="firing"'),
                    "resolved": _counted("weft_notifier_notices_total", 'status="resolved"'),
                }
            ),
            unit="ops",
            width=8,
            about="Messages to people a second; the inbox has them: weft inbox.",
        ),
        graph(
            "Deliveries to people",
            several(
                {
                    "sent": _counted("weft_notifier_deliveries_total", 'outcome="sent"'),
                    "not taken": _counted("weft_notifier_deliveries_total", 'outcome!="sent"'),
                }
            ),
            unit="ops",
            width=8,
            about="Attempts of the channels a second; none where no channel is set up.",
        ),
    ]


def _counted(metric: str, selector: str) -> str:
    return f"{rate(metric, selector)} or vector(0)"
