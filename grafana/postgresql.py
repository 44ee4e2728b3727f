"""The PostgreSQL dashboard: as services see it, and what the server says of its databases."""

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from grafana.kit.board import board, of_label, to
from grafana.kit.panels import AnyPanel, figure, graph, grid
from grafana.kit.queries import promql, quantile, rate, rows, share, sql

STATEMENTS: Final = "db_client_operation_duration_seconds"
SERVICE: Final = "{{service_name}}"
TO_SERVICE: Final = {"The service": to("service", service=of_label("service_name"))}


def postgresql() -> Dashboard:
    """Return the dashboard, not yet built."""
    return board(
        "postgresql",
        "PostgreSQL",
        "Statements and their time, connections, what holds readers back, and every database.",
        {
            "Statements": _statements(),
            "Connections": _connections(),
            "Event log and read models": _read_models(),
            "Server": _server(),
        },
    )


def _statements() -> list[AnyPanel]:
    every = rate(f"{STATEMENTS}_count", by="service_name")
    failed = rate(f"{STATEMENTS}_count", 'error_type!=""', "service_name")
    by = "db_namespace, db_query_summary"
    return [
        graph(
            "Statements by service",
            promql(every, SERVICE),
            unit="ops",
            width=8,
            about="Statements a second, as services count them.",
            links=TO_SERVICE,
        ),
        graph(
            "Failed statements",
            promql(share(failed, every), SERVICE),
            unit="percentunit",
            width=8,
            about="Share of statements that ended with an error, conflicts too.",
            links=TO_SERVICE,
        ),
        graph(
            "Statement latency p95 by service",
            promql(
                quantile(0.95, STATEMENTS, by="service_name"),
                SERVICE,
                exemplars=True,
            ),
            unit="s",
            width=8,
            about="95 of 100 statements were faster, the way there and back too.",
            links=TO_SERVICE,
        ),
        grid(
            "Statements that take the most time",
            rows(f"topk(20, {rate(f'{STATEMENTS}_sum', by=by)})"),
            unit="s",
            width=12,
            height=12,
            about="The twenty statements with the most seconds a second, all calls together.",
        ),
        grid(
            "Slowest statements",
            rows(f"topk(20, {quantile(0.95, STATEMENTS, by=by)} > 0)"),
            unit="s",
            width=12,
            height=12,
            about="The twenty statements with the highest p95.",
        ),
    ]


def _connections() -> list[AnyPanel]:
    used = 'db_client_connection_count{db_client_connection_state="used"}'
    return [
        graph(
            "Connections of services",
            promql(
                "sum by (service_name, db_client_connection_state) (db_client_connection_count)",
                "{{service_name}} {{db_client_connection_state}}",
            ),
            unit="short",
            width=12,
            about="Connections in the pools of each service, all instances together.",
            links=TO_SERVICE,
        ),
        graph(
            "Pools in use",
            promql(
                f"max by (service_name) ({used} / on (service_name, service_instance_id,"
                " db_client_connection_pool_name) db_client_connection_max)",
                SERVICE,
            ),
            unit="percentunit",
            width=12,
            about="Used connections as a share of what a pool may have; at 100 % others wait.",
            links=TO_SERVICE,
        ),
    ]


def _read_models() -> list[AnyPanel]:
    return [
        graph(
            "Horizon",
            promql(
                "max by (weft_projection_name) (weft_projection_horizon_age_seconds)",
                "{{weft_projection_name}}",
            ),
            unit="s",
            width=12,
            about="How long the oldest writing transaction of the server holds a read model back.",
        ),
        graph(
            "Events to be read",
            promql(
                "max by (weft_projection_name, weft_projection_state) (weft_projection_lag_events)",
                "{{weft_projection_name}} {{weft_projection_state}}",
            ),
            unit="short",
            width=12,
            about="Events in the log that a read model has not read.",
        ),
    ]


def _server() -> list[AnyPanel]:
    return [
        figure(
            "Connections used",
            sql(
                """SELECT 100.0 * sum(numbackends) / current_setting('max_connections')::int
                          AS used FROM pg_stat_database"""
            ),
            unit="percent",
            width=6,
            about="Connections to the server as a share of its max_connections.",
        ),
        grid(
            "Databases",
            sql(
                """SELECT datname AS database, numbackends AS connections,
                          round(100.0 * blks_hit / nullif(blks_hit + blks_read, 0), 2)
                              AS cache_hit_percent,
                          xact_commit AS commits, xact_rollback AS rollbacks, deadlocks,
                          tup_inserted + tup_updated + tup_deleted AS rows_written, temp_files
                   FROM pg_stat_database WHERE datname NOT LIKE 'template%' ORDER BY datname"""
            ),
            width=18,
            about="What the server has counted for each database since its statistics began.",
        ),
    ]
