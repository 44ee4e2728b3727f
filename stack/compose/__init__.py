"""The system in containers: the same parts by compose.yaml, with the same secrets and settings.

chosen(system)      whether it is containers that WEFT_STACK, its start or this machine asks for
up(system)          writes what the containers are given, starts them, waits for their health
down(system)        stops and removes them; their data stays
remove(system)      removes their data, too
entries(system)     what `weft status` says
environment(system) what `weft env` says
logs(system, ...)   what they write to their consoles
"""

from stack.compose.choice import chosen
from stack.compose.engine import ComposeError
from stack.compose.running import down, entries, environment, logs, remove, up

__all__ = ["ComposeError", "chosen", "down", "entries", "environment", "logs", "remove", "up"]
