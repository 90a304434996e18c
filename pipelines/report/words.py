"""Counts and columns in words."""

TITLES = {
    "license.class": "Licences, by class",
    "license.expression": "Licences, as declared",
    "license": "Licences, as the pool has them",
    "language.code": "Languages",
    "source": "Sources",
}
"""What a column is, for those who do not know its name."""


def several(number: int, what: str = "row") -> str:
    """So many of it."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
