"""What a judge answered: one row for each question, so that every metric can be taken again from what is stored."""

import polars as pl

ANSWERS = {
    "item": pl.UInt32,
    "task": pl.String,
    "group": pl.String,
    "variant": pl.String,
    "direction": pl.String,
    "rank": pl.UInt32,
    "label": pl.Int32,
    "answer": pl.Int32,
    "sure": pl.Float32,
    "nats": pl.Float32,
    "bytes": pl.UInt32,
}
"""`item`: its row in the evaluation items. `group`: whose worst is sought; null where items have none. `variant`: empty as the item is,
else the perturbation's name. `direction`: which way it was asked, empty where there is one. `rank`: of the right answer, 1 is right, ties
count against it; null where nothing is chosen. `label`, `answer`: numbers of the right and the chosen class. `sure`: the probability of the
chosen one. `nats`: log-probability of the right answer, or of a whole text of so many `bytes`."""


def empty() -> pl.DataFrame:
    """No answers."""
    return pl.DataFrame(schema=ANSWERS)
