"""The operators' pages: a trace with its log lines, recent orders, how the services are."""
