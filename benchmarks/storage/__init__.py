"""Bytes on disk of a span, a log record and a sample, in the real backends."""
