"""Flags from one watched file: faults for a while, features for a share of users.

Importing this room costs nothing: what watches the file is `weft.flags.watch`.
"""

from weft.flags.faults import delay, effect, strikes, value

__all__ = ["delay", "effect", "strikes", "value"]
