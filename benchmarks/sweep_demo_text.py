# ruff: noqa: T201  a benchmark prints
"""How the text demo's numbers were chosen: `python benchmarks/sweep_demo_text.py {evidence,arms} FOLDER --pool-seed 1`.

The pools have other seeds than the demo's, and networks are judged on the validation split alone, so neither the demo's own pool nor the
test split has a say (`--split test` is for the table of what was chosen). What was planted (`truth/`) is read to print what a subset is
made of, never to choose a row. Figures: docs/log.md.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import polars as pl

from curate.digest import UInt64s, hex_of, short, words_of_hex
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from eval_fixed_model.arms import members_digest, random_members
from eval_fixed_model.loops import loop_of
from eval_fixed_model.scale import load_scale
from eval_fixed_model.score import Job, SeedScore, train_and_score
from pipelines import run
from pipelines.demo.text.make_pool import make_pool

SCALE = "tiny-text"
RECIPE = Path(__file__).parents[1] / "pipelines" / "recipes" / "demo-text.yaml"
NODES = ["basic", "deduplicated", "scored", "unique", "combined"]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["evidence", "arms"])
    parser.add_argument("folder", type=Path, help="the pool is made here if it is not")
    parser.add_argument("--pool-seed", type=int, default=1)
    parser.add_argument("--set", nargs="*", default=[], metavar="PATH=VALUE", help="other numbers than the recipe's")
    parser.add_argument("--seeds", type=int, default=2, help="arms: trainings of each")
    parser.add_argument("--arms", nargs="*", default=["pool", *NODES, "random", "trusted"])
    parser.add_argument("--split", default="validation", choices=["validation", "test"])
    given = parser.parse_args()
    if not (given.folder / "truth").is_dir():
        make_pool(given.folder, seed=given.pool_seed)
    shutil.copyfile(RECIPE, given.folder / RECIPE.name)
    recipe = Recipe.load(given.folder / RECIPE.name).set("subsets", NODES)
    for one in given.set:
        path, _, value = one.partition("=")
        recipe = recipe.set(path, float(value) if "." in value else int(value))
    done = run(recipe, store=given.folder / ".ceteris", executor=InProcess())
    {"evidence": evidence, "arms": arms}[given.what](given, done)


def read(folder: Path) -> pl.DataFrame:
    """Every row of the pool in file order, with what was planted."""
    shards = pl.concat([pl.read_parquet(path) for path in sorted((folder / "shards").glob("*.parquet"))])
    return shards.hstack(pl.read_parquet(folder / "truth" / "truth.parquet"))


def evidence(given: argparse.Namespace, done: Run) -> None:
    """What share of each kind a subset keeps; how surely duplicates, leaks and quality are told."""
    rows = read(given.folder)
    shares = [pl.col("uid").is_in(hex_of(done.subset(name).uids)).mean().alias(name) for name in NODES]
    with pl.Config(tbl_rows=20, float_precision=3):
        print(rows.group_by("kind").agg(pl.len(), *shares).sort("len"))
    for kind in ("clean", "foreign", "boilerplate"):
        text = rows.filter(kind=kind).select("uid", "copy_of", content=pl.coalesce("copy_of", "uid"))
        left = text.filter(pl.col("uid").is_in(hex_of(done.subset("deduplicated").uids)))
        lost = text["content"].n_unique() - left["content"].n_unique()
        print(f"{kind}: {text.height - left.height} removed for {text['copy_of'].count()} copies, {lost} of them the last of their content")
    score = rows.hstack(done.evidence("quality").sort("row").select("score")).filter(pl.col("score").is_not_null())
    good = score.filter("good")["score"].to_numpy()
    for kind in score.filter(~pl.col("good"))["kind"].unique().sort():
        other = score.filter(kind=kind)["score"].to_numpy()
        print(f"quality: clean above {kind} {np.mean(good[:, None] > other[None, :]):.3f}")


def arms(given: argparse.Namespace, done: Run) -> None:
    """One line an arm: rows, megabytes, share of clean rows, each task, seconds."""
    rows, trusted = read(given.folder), pl.read_parquet(given.folder / "trusted" / "trusted.parquet")
    every = pl.concat(
        [rows.select("uid", "text", "good"), trusted.select("text", uid="id", good=pl.lit(True)).select("uid", "text", "good")]
    )
    scale = load_scale(SCALE)
    folder = given.folder / "scores" / short(scale.digest)
    if not (folder / "rows.json").is_file():
        loop_of(scale).materialise([(words_of_hex(every["uid"]), every.select("text"))], scale, folder)
    whole = words_of_hex(rows.filter(pl.col("text").str.len_bytes() > 0)["uid"])
    size = len(done.subset("combined").uids)
    for name in given.arms:
        scores = []
        for seed in range(given.seeds):
            members = {
                "pool": lambda: whole,
                "random": lambda seed=seed: random_members(whole, size, seed),
                "trusted": lambda: words_of_hex(trusted["id"]),
            }.get(name, lambda name=name: done.subset(name).uids)()
            scores.append(once(folder, members, seed, given.split))
        held = every.filter(pl.col("uid").is_in(hex_of(members)))
        report(name, held, scores)


def once(folder: Path, members: UInt64s, seed: int, split: str) -> SeedScore:
    """One training, read back if it was made before."""
    out = folder / short(members_digest(members)) / f"{split}-{seed}"
    if (out / "train.json").is_file():
        return SeedScore.read(out, load_scale(SCALE))
    return train_and_score(Job(folder, SCALE, members, seed, out, split=split))


def report(name: str, held: pl.DataFrame, scores: list[SeedScore]) -> None:
    """Means and deviations over seeds."""

    def spread(values: list[float], digits: int) -> str:
        return f"{np.mean(values):.{digits}f}" + (f"±{np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else "")

    tasks = "  ".join(f"{task} {spread([score.tasks[task].value for score in scores], 3)}" for task in scores[0].tasks)
    megabytes, seconds = held["text"].str.len_bytes().sum() / 1e6, np.mean([score.seconds for score in scores])
    print(
        f"{name:>14} {held.height:5d} rows {megabytes:.2f} MB {held['good'].mean():.3f} good  "
        f"headline {spread([score.headline for score in scores], 4)}  {tasks}  {seconds:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
