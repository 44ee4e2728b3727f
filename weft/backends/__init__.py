"""Telemetry as the backends give it back: traces, log records, and both in one tree. No I/O."""
