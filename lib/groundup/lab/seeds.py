"""Seeds that are functions of a position."""

from numpy.random import SeedSequence


def seed_at(*position: int) -> int:
    """A seed for torch's generators from several numbers, such as (seed, step, rank).

    NumPy's SeedSequence mixes them so that neighbouring positions give unrelated streams, and the
    same everywhere. Python's ``hash`` promises neither: hash(-1) == hash(-2), and its rule for
    tuples may change with the version.

    Args:
        position: whole numbers from 0 up.

    Returns:
        A number in [0, 2**64).

    Raises:
        ValueError: a number is negative.
    """
    return int(SeedSequence(position).generate_state(1, "uint64")[0])
