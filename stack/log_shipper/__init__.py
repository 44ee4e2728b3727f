"""Sends the log files of the backing parts to the collector, each record once the disk has it.

A program of its own (`python -m stack.log_shipper`). It remembers on disk how far each file was
taken, and goes on there after a restart; what it sent just before it was killed may come twice.
"""
