"""MetaCLIP's two steps on captions whose words are as uneven as the web's: what is kept is what the closed form says."""

import numpy as np
import polars as pl
import pytest

from curate.digest import hex_of
from curate.pool import Pool
from curate.recipe import Recipe
from curate.record import Run
from pipelines import run as select
from pipelines import why

ROWS, WORDS, LIMIT = 6_000, 300, 40


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder, rng = tmp_path_factory.mktemp("balance"), np.random.default_rng(0)
    weights = 1 / np.arange(1, WORDS + 1)
    texts = [" ".join(f"thing{n}" for n in rng.choice(WORDS, rng.integers(1, 6), p=weights / weights.sum())) for _ in range(ROWS)]
    texts[::500] = ["nothing that is listed"] * len(texts[::500])
    (folder / "pool").mkdir()
    for shard in range(2):
        pl.DataFrame({"text": texts[shard::2]}).write_parquet(folder / "pool" / f"{shard}.parquet")
    (folder / "list.txt").write_text("\n".join(f"thing{n}" for n in range(WORDS)), encoding="utf-8")
    recipe = """
models: {list: {concept_list: {file: list.txt}}}
signals: {concepts: {concepts: {model: list}}}
stages:
  balanced: {keep: {balance: concepts.entries, at_most: 40, seed: 0}}
  tailed: {keep: {balance: concepts.entries, tail: 0.06, seed: 0}}
subsets: [balanced, tailed]
"""
    return select(Recipe.parse(recipe, base=folder), Pool.open(folder / "pool"), store=folder / "store")


def _closed_form(run: Run) -> tuple[list[list[int]], np.ndarray, np.ndarray]:
    """Each row's entries, the count of each, and the probability that the row is kept."""
    entries = [np.frombuffer(value, "<u4").tolist() for value in run.evidence("concepts")["entries"].to_list()]
    counts = np.bincount(np.concatenate([np.array(row, int) for row in entries]), minlength=WORDS)
    chance = np.minimum(1, LIMIT / np.maximum(counts, 1))
    return entries, counts, np.array([1 - np.prod(1 - chance[row]) for row in entries])


def test_the_rows_kept_are_as_many_as_the_closed_form_says(done: Run) -> None:
    entries, counts, chance = _closed_form(done)
    kept = done.codes("balanced") == 0
    assert counts.max() > 20 * LIMIT > LIMIT > counts.min()
    assert abs(kept.sum() - chance.sum()) < 4 * np.sqrt((chance * (1 - chance)).sum())
    assert kept[chance == 1].all()
    assert not kept[chance == 0].any()
    for low, high in ((0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1)):
        some = (chance > low) & (chance < high)
        assert some.sum() > 100
        assert abs(kept[some].sum() - chance[some].sum()) < 4 * np.sqrt((chance * (1 - chance))[some].sum())
    alone = np.array([row == [int(counts.argmax())] for row in entries])
    assert kept[alone].mean() < 0.1 < 0.6 < kept[~alone].mean(), "the most frequent entry no longer crowds the others out"


def test_rows_without_an_entry_leave_with_their_own_reason(done: Run) -> None:
    (line,) = [line for line in done.funnel() if line["stage"] == "balanced"]
    reasons = {reason["text"]: reason["rows"] for reason in line["reasons"]}
    assert reasons["no entry in concepts.entries"] == ROWS // 500
    assert sum(reasons.values()) + line["kept"] == ROWS


def test_t_is_taken_from_the_tail(done: Run) -> None:
    _, counts, _ = _closed_form(done)
    (line,) = [line for line in done.funnel() if line["stage"] == "tailed"]
    t = int(line["note"].removeprefix("t is ").partition(":")[0].replace(",", ""))
    assert counts[counts < t].sum() <= 0.06 * counts.sum() < counts[counts <= t].sum()


def test_why_names_the_entry_that_drew_a_row(done: Run) -> None:
    entries, counts, chance = _closed_form(done)
    place = next(n for n, row in enumerate(entries) if len(row) == 3 and done.codes("balanced")[n] == 0 and chance[n] < 1)
    verdict = why(done, hex_of(done.uids())[place])["stages"]["balanced"]
    assert [(one["number"], one["entry"], one["count"]) for one in verdict["entries"]] == [
        (n, f"thing{n}", int(counts[n])) for n in entries[place]
    ]
    assert any(one["drew"] for one in verdict["entries"])
    assert [one["p"] for one in verdict["entries"]] == pytest.approx([min(1, LIMIT / counts[n]) for n in entries[place]], abs=1e-6)
