"""Grafana: data sources and dashboards, provisioned; `build` writes the dashboards."""
