"""Planted copies of pictures, found through the whole engine by every means there is: what the demo's truth says of it."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.digest import hex_of
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from pipelines import verbs
from pipelines.contaminated import contaminated
from pipelines.demo.make_pool import make_pool

ITEMS = Path(__file__).parents[2] / "eval_fixed_model" / "tasks" / "tiny_image_text.parquet"
RECIPE = """
models:
  network: {filter_network: {trusted: trusted/, seed: 0, samples: 19200}}
  items: {evaluation_images: {sets: items.parquet, quality: 0, colours: 8}}
signals:
  embedded: {clip_embedding: {model: network}}
  leaks: {image_contamination: {model: items}}
  hashed: {perceptual_duplicate: {quality: 0, colours: 8}}
  loose: {perceptual_duplicate: {quality: 0, colours: 8, floor: 0.753, threshold: 0.753}}
  seen: {near_duplicate_embedding: {features: embedded.image, floor: 0.97, threshold: 0.994}}
stages:
  hashed: {keep: {one_per: hashed}}
  loose: {keep: {one_per: loose}}
  twins: {keep: {one_per: near_duplicate_image}}
  seen: {keep: {one_per: seen}}
  clean: {keep: "leaks.items == 0"}
subsets: [hashed, loose, twins, seen, clean]
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, pl.DataFrame]:
    """The recipe over a pool of 1,500 rows, and its truth in the run's order of rows. The items looked for are those leaked and others."""
    folder = tmp_path_factory.mktemp("planted")
    make_pool(folder, rows=1500, seed=77, shards=2)
    truth = pl.read_parquet(folder / "truth" / "truth.parquet")
    items = pl.read_parquet(ITEMS).with_row_index("number")
    items.filter(pl.col("number").is_in(truth["leak_of"].drop_nulls().implode()) | (pl.col("number") % 20 == 0)).write_parquet(
        folder / "items.parquet"
    )
    (folder / "copies.yaml").write_text(RECIPE, encoding="utf-8")
    run = verbs.run(Recipe.load(folder / "copies.yaml"), folder / "shards", store=folder / "store", executor=InProcess())
    return run, pl.DataFrame({"uid": hex_of(run.uids())}).join(truth, on="uid", how="left", maintain_order="left")


@pytest.mark.parametrize(
    ("stage", "kinds", "precision", "recall"),
    [
        ("hashed", ["re-encoded"], 0.99, 0.92),
        ("loose", ["re-encoded", "noised", "shifted"], 0.99, 0.95),
        ("twins", ["re-encoded", "noised"], 0.99, 0.95),
        ("seen", ["re-encoded", "noised"], 0.98, 0.93),  # another processor trains another network; docs/log.md has larger pools
    ],
)
def test_copies_are_found_and_others_stay(
    stage: str, kinds: list[str], precision: float, recall: float, planted: tuple[Run, pl.DataFrame]
) -> None:
    """Of the rows that leave, so many are copies of what they leave for; of the planted copies of each kind so many are found."""
    run, truth = planted
    number = {uid: row for row, uid in enumerate(truth["uid"])}
    family = np.array([row if head is None else number[head] for row, head in enumerate(truth["copy_of"])])
    cut = run.decided(stage).cut
    assert cut is not None
    assert cut.survivors is not None
    gone, survivor = (run.store.frame(cut.survivors)[name].to_numpy().astype(np.int64) for name in ("row", "survivor"))
    right = family[gone] == family[survivor]
    assert gone.size > 200
    assert right.mean() >= precision
    found = np.zeros(truth.height, bool)
    found[gone[right]] = found[survivor[right]] = True
    for kind in kinds:
        planted_here = (truth["copy_kind"] == kind).fill_null(False).to_numpy()
        assert planted_here.sum() > 30
        assert found[planted_here].mean() >= recall


def test_leaked_evaluation_pictures_are_named_and_leave(planted: tuple[Run, pl.DataFrame]) -> None:
    run, truth = planted
    listed = contaminated(run, ["pool", "clean"])
    assert set(listed.items["task"]) == {"items"}
    held = listed.items.filter(subset="pool")["item"].to_list()
    numbers = pl.read_parquet(ITEMS).with_row_index("number")["number"]
    asked = numbers.filter(numbers.is_in(truth["leak_of"].drop_nulls().implode()) | (numbers % 20 == 0))
    leaked = truth["leak_of"].drop_nulls()
    assert len(leaked) == 15
    assert asked[held].is_in(leaked.implode()).sum() >= 14
    assert listed.items.filter(subset="clean").height == 0
    flagged = run.evidence("leaks").filter(pl.col("items") > 0)["row"].to_numpy().astype(np.int64)
    assert truth["leak_of"].is_not_null().to_numpy()[flagged].mean() >= 0.9


def test_sharding_and_order_of_the_pool_change_no_subset(planted: tuple[Run, pl.DataFrame], tmp_path: Path) -> None:
    """The same rows turned round, in three shards; the models are in the store already."""
    run, _ = planted
    folder = Path(run.store.address).parent
    rows = pl.read_parquet(folder / "shards" / "*.parquet").reverse()
    for shard in range(3):
        rows[shard::3].write_parquet(tmp_path / f"{shard}.parquet", row_group_size=100)
    again = verbs.run(Recipe.load(folder / "copies.yaml"), tmp_path, store=folder / "store", executor=InProcess())
    assert again.facts["models"] == run.facts["models"]
    for subset in ("hashed", "loose", "twins", "seen", "clean"):
        assert again.facts["subsets"][subset] == run.facts["subsets"][subset]
