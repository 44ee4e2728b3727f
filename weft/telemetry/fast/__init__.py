"""One event, three signals: the engine that makes spans, points and log lines of finished calls.

On the path of a request a call is an object in a list. In batches, it becomes OTLP bytes and
points of histograms; a thread writes the bytes to files, another sends them.
"""
