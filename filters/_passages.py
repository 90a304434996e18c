"""What a count of passages is to a signal."""

from typing import NamedTuple

from filters._recurring import Tally

UNITS = ("line", "paragraph")


class Counted(NamedTuple):
    """The `unit` and the passages of a pool that stand in more than one of its documents."""

    unit: str
    recurring: Tally
