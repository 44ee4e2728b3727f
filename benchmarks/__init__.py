"""Load and measured comparisons, from outside: nothing in the system imports them."""
