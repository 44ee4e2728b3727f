"""What aiohttp logs of bytes that are not HTTP: the caller's doing, told to the caller alone."""

import logging
from functools import cache

from aiohttp.http_exceptions import HttpProcessingError


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


@cache
def quiet_logger() -> logging.Logger:
    """Return a logger for aiohttp's server that leaves out broken requests of callers."""
    logger = logging.getLogger("weft.http.server")
    logger.addFilter(_is_ours)
    return logger
