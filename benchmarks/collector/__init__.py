"""Spans that one core of the collector takes, with its real configuration."""
