"""Queries: PromQL by a few forms that recur, LogQL, SQL, and what Jaeger can be asked."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from grafana_foundation_sdk.builders import loki, prometheus
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from grafana.kit.sources import JAEGER, LOKI, ORDERS, PROMETHEUS

Targets = list[cog.Builder[Dataquery]]

WINDOW: Final = "[$__rate_interval]"
NO_PROBES: Final = 'http_route!~"/healthz|/readyz|/metrics"'
FAILED: Final = 'http_response_status_code=~"5.."'
QUANTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Json(Dataquery, cog.Builder[Dataquery]):
    """A query in a language that the SDK has no class for, as Grafana's own JSON."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = {"refId": "A", **fields}

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        return self._fields


def rate(metric: str, selector: str = "", by: str = "") -> str:
    """How much a counter grows in a second, summed by the labels `by` or into one number."""
    grouped = f" by ({by}) " if by else ""
    return f"sum{grouped}(rate({metric}{{{selector}}}{WINDOW}))"


def share(part: str, whole: str) -> str:
    """A ratio that is 0, and not absent, where there is no part yet."""
    return f"({part} or {whole} * 0) / {whole}"


def quantile(q: float, metric: str, selector: str = "", by: str = "") -> str:
    """A quantile of a histogram, for each value of the labels `by`."""
    buckets = rate(f"{metric}_bucket", selector, f"le, {by}" if by else "le")
    return f"histogram_quantile({q}, {buckets})"


def promql(expr: str, legend: str, *, ref: str = "A", exemplars: bool = False) -> Targets:
    """A query over the dashboard's time; `exemplars` are drawn as dots that open a trace."""
    query = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(ref).range()
    return [query.datasource(PROMETHEUS).exemplar(exemplars)]


def several(named: Mapping[str, str]) -> Targets:
    """Several queries in one panel, by what stands in the legend."""
    letters = (chr(ord("A") + number) for number in range(len(named)))
    pairs = zip(letters, named.items(), strict=True)
    return [query for ref, (legend, expr) in pairs for query in promql(expr, legend, ref=ref)]


def quantiles(metric: str, selector: str = "", by: str = "") -> Targets:
    """The median, p95 and p99 of a histogram; the dots of p99 open traces."""
    legend = f" {{{{{by}}}}}" if by else ""
    return [
        query
        for name, q in QUANTILES.items()
        for query in promql(
            quantile(q, metric, selector, by),
            f"{name}{legend}",
            ref=name,
            exemplars=name == "p99",
        )
    ]


def rows(expr: str) -> Targets:
    """A query of this moment, each series a row of a table."""
    query = prometheus.Dataquery().expr(expr).ref_id("A").instant()
    return [query.datasource(PROMETHEUS).format(PromQueryFormat.TABLE)]


def logql(expr: str, legend: str = "", *, lines: int = 200) -> Targets:
    """Log lines, or numbers made of them, over the dashboard's time."""
    query = loki.Dataquery().expr(expr).ref_id("A").query_type("range").max_lines(lines)
    if legend:
        query.legend_format(legend)
    return [query.datasource(LOKI)]


def sql(statement: str, form: Literal["table", "time_series"] = "table") -> Targets:
    """A question to the read-only views of orders."""
    text = " ".join(statement.split())
    return [Json({"datasource": ORDERS, "format": form, "rawQuery": True, "rawSql": text})]


def found(service: str, *, operation: str = "", tags: str = "", limit: int = 20) -> Targets:
    """Traces in which a service had a part; `tags` is as in `weft.order.id=ID`."""
    asked = {"operation": operation, "tags": tags}
    fields = {name: value for name, value in asked.items() if value}
    search = {"queryType": "search", "service": service, "limit": limit}
    return [Json({"datasource": JAEGER, **search, **fields})]


def trace(trace_id: str) -> Targets:
    """One trace, span by span."""
    return [Json({"datasource": JAEGER, "query": trace_id})]


def dependencies() -> Targets:
    """Which service calls which, counted by Jaeger in the traces of the dashboard's time."""
    return [Json({"datasource": JAEGER, "queryType": "dependencyGraph"})]


def one_of(names: Iterable[str]) -> str:
    """The value of a `=~` matcher that takes these names and no other."""
    return "|".join(names)
