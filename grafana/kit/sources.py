"""The data sources that provisioning/datasources/weft.yaml gives."""

from typing import Final

from grafana_foundation_sdk.models.dashboard import DataSourceRef

PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid="prometheus")
LOKI: Final = DataSourceRef(type_val="loki", uid="loki")
JAEGER: Final = DataSourceRef(type_val="jaeger", uid="jaeger")
ORDERS: Final = DataSourceRef(type_val="grafana-postgresql-datasource", uid="orders")
"""The read-only views of the database of orders (read_v1)."""
