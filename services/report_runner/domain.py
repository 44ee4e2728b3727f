"""How many workers each instance runs."""


def share(desired: int, *, instances: int, rank: int) -> int:
    """Return how many of the `desired` workers the instance with `rank`, from 0, is to run.

    The shares of all ranks below `instances` add up to `desired`, and differ by one at most.
    """
    return desired // instances + (rank < desired % instances)
