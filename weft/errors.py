"""Errors that more than one room of the chassis raises or handles."""


class WeftError(Exception):
    """Base of every error that the chassis raises on purpose."""


class Unavailable(WeftError):
    """A dependency does not answer. Nobody's fault: no attempt of a message is spent on it."""

    def __init__(self, dependency: str, why: str) -> None:
        super().__init__(f"{dependency} is not available: {why}")
        self.dependency = dependency
        self.why = why


class Gone(WeftError):
    """What was there is there no more: to ask again does not help. Its text is for who asked."""


class VersionConflict(WeftError):
    """Somebody else appended to the stream first."""

    def __init__(self, stream: str, expected: int) -> None:
        super().__init__(f"stream {stream} is no longer at version {expected}")
        self.stream = stream
        self.expected = expected
