"""Names of the headers that Weft adds to a message beside the trace context."""

ATTEMPT = "x-weft-attempt"
"""Which attempt this delivery is, from 1. Counted by the consumer, never by the broker."""

EXCHANGE = "x-weft-exchange"
"""The exchange that the message was first published to, on copies for retry and dead letters."""

ROUTING_KEY = "x-weft-routing-key"
"""The routing key that the message was first published with, on the same copies."""

FIRST_FAILED_AT = "x-weft-first-failed-at"
"""When the first attempt failed: RFC 3339, UTC."""

REASON = "x-weft-reason"
"""Why a message is dead: `attempts` (all used up) or `unparsable`."""

ERROR_TYPE = "x-weft-error-type"
"""The class name of the last error."""

ERROR = "x-weft-error"
"""The last error's text, bounded."""

FINGERPRINT = "x-weft-fingerprint"
"""Which errors are the same: the last error's type and the place that it came from."""

ATTEMPTS = "x-weft-attempts"
"""How many attempts a dead message had."""

REPLAYS = "x-weft-replays"
"""How often a dead letter was sent back to its queue."""

REPLAY_OF = "x-weft-replay-of"
"""The identity of the dead letter, on a replay that had to be given a new one."""

OF_A_DEATH = frozenset({ATTEMPT, FIRST_FAILED_AT, REASON, ERROR_TYPE, ERROR, FINGERPRINT, ATTEMPTS})
"""What a replay leaves behind: it is a first attempt again."""
