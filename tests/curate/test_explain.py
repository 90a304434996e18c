"""Why a row is used as often as it is."""

import polars as pl
import pytest

from curate.audit import uid_of, why
from curate.pool import Pool
from curate.record import Run
from curate.signal import signal
from curate.store import Store
from tests.curate.conftest import Live

RECIPE = """
stages:
  even:  {keep: {balance: words.entries, at_most: 2, seed: 1}}
  short: {after: even, keep: "pool.n < 30"}
  twice: {after: short, keep: {repeat: 2}}
  kinds: {keep: {balance: pool.kind, at_most: 1, seed: 1}}
subsets: [twice, kinds]
"""


@signal(version=1, reads=["text"], writes={"entries": pl.Binary})
def words(batch):
    """One entry for each letter of the text."""
    return batch.select(entries=pl.col("text").map_elements(lambda text: b"".join(bytes([ord(c), 0, 0, 0]) for c in text), pl.Binary))


@pytest.fixture(scope="module")
def run(tmp_path_factory, do, filters):
    folder = tmp_path_factory.mktemp("explain")
    texts = ["a", "ab", "", None, *["a"] * 26, "b", "a"]
    (folder / "pool").mkdir()
    frame = pl.DataFrame({"text": texts, "n": range(32), "kind": ["x", "y"] * 16})
    frame.write_parquet(folder / "pool" / "0.parquet", row_group_size=10)
    store = Store.open(folder / "store")
    catalogue = {**filters(), "words": Live("words", "", "1", None, words)}
    return Run(store, do(RECIPE, Pool.open(folder / "pool"), store, catalogue).folder)


def verdicts(run, number):
    return why(run, uid_of(run, number))["stages"]


def test_every_entry_of_a_row_says_what_it_drew_and_how_likely(run):
    rows = [verdicts(run, number)["even"] for number in range(32)]
    both = rows[1]
    assert both["kind"] == "in"
    assert [(one["entry"], one["count"], one["p"]) for one in both["entries"]] == [(97, 29, round(2 / 29, 6)), (98, 2, 1.0)]
    assert both["entries"][1]["drew"]
    alone = [row for number, row in enumerate(rows) if number not in (1, 2, 3, 30)]
    assert {row["entries"][0]["drew"] for row in alone} == {True, False}
    assert all((row["kind"] == "in") == row["entries"][0]["drew"] for row in alone)
    assert rows[2] == {"kind": "dropped", "stage": "even", "rule": "no entry in words.entries"}
    assert (rows[3]["kind"], "entries" in rows[3]) == ("no evidence", False)


def test_a_row_decided_by_balance_before_tells_it_later_and_copies_are_told(run):
    found = verdicts(run, 1)
    assert found["twice"]["copies"] == 2
    assert "copies" not in found["short"]
    dropped = next(number for number in range(4, 30) if verdicts(run, number)["even"]["kind"] == "dropped")
    assert verdicts(run, dropped)["twice"]["entries"] == verdicts(run, dropped)["even"]["entries"]
    assert verdicts(run, 30)["short"]["kind"] == "dropped"
    assert "entries" not in verdicts(run, 30)["short"], "another rule decided"


def test_names_of_the_pool_are_entries_too(run):
    found = [verdicts(run, number)["kinds"] for number in range(8)]
    assert {(one["entries"][0]["entry"], one["entries"][0]["count"], one["entries"][0]["p"]) for one in found} == {
        ("x", 16, 0.0625),
        ("y", 16, 0.0625),
    }
