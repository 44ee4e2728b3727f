"""What the customers of every variant do."""

from typing import Final

CUSTOMERS: Final = 32
"""At once, each with one order."""
ONE_DECLINED_IN: Final = 20
"""Orders of which one has a card that is declined."""
