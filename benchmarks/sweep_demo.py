# ruff: noqa: T201  a benchmark prints
"""How the demo's numbers were chosen: `python benchmarks/sweep_demo.py {twins,words,network,arms} FOLDER --pool-seed 1`.

The pools have other seeds than the demo's, and networks are judged on the validation split alone, so neither the demo's own pool nor
the test split has a say. What was planted (`truth/`) is read to print precision, never to choose a row. Figures: docs/log.md.
"""

import argparse
import ast
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from curate.digest import short, words_of_hex
from curate.grouping import keep_one
from curate.model import Made, digest_of_model, pack, shelve
from eval_fixed_model.arms import members_digest, random_members
from eval_fixed_model.rows.images import Rows, materialise
from eval_fixed_model.scale import load_scale
from eval_fixed_model.score import Job, SeedScore, train_and_score
from filters.clip_score import clip_score
from filters.filter_network import filter_network, load
from filters.image_shape import image_shape
from filters.language import language
from filters.license import license as declared_license
from filters.near_duplicate_image import near_duplicate_image, sketch
from filters.text_length import text_length
from pipelines.demo.make_pool import make_pool

SCALE = "tiny-image-text"
Indices = npt.NDArray[np.int64]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["twins", "words", "network", "arms"])
    parser.add_argument("folder", type=Path, help="the pool is made here if it is not")
    parser.add_argument("--pool-seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=2, help="arms: trainings of each")
    parser.add_argument("--top", nargs="*", default=["3000"], help="arms: rows, or share of the pool, that `scored` keeps")
    parser.add_argument("--rest", nargs="*", default=["3000"], help="arms: rows, or share of `unique`, that `combined` keeps")
    parser.add_argument("--controls", action="store_true", help="arms: a random control of every size as well")
    parser.add_argument("--network", nargs="*", default=[""], help="network: such as samples=51200,width=24; arms takes the first")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not (given.folder / "truth").is_dir():
        make_pool(given.folder, seed=given.pool_seed)
    {"twins": twins, "words": words, "network": networks, "arms": arms}[given.what](given)


def read(folder: Path) -> pl.DataFrame:
    """Every row of a folder of shards, in file order, with its image's bytes."""
    frame = pl.concat([pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))])
    return frame.with_columns(image=pl.col("image").struct.field("bytes"))


def planted(folder: Path) -> pl.DataFrame:
    """The truth, with `picture`: equal for copies of one picture."""
    return pl.read_parquet(folder / "truth" / "truth.parquet").with_columns(picture=pl.coalesce("copy_of", "uid"))


class Twins:
    """The pool's sketches, as classes of equal keys, and the links between them."""

    def __init__(self, rows: pl.DataFrame) -> None:
        """Sketch every row."""
        self.sketches = sketch(rows).select("key", "hashes", "thumbnail")
        self.alive = np.flatnonzero(self.sketches["key"].is_not_null().to_numpy())
        self.keys = {key: n for n, key in enumerate(self.sketches["key"].drop_nulls().unique(maintain_order=True))}

    def link(self, bits: int, floor: float = 0.8) -> tuple[Indices, Indices, npt.NDArray[np.float32]]:
        """Links between classes."""
        found = near_duplicate_image.pairs(self.sketches, bits=bits, floor=floor)
        a, b = (np.array([self.keys[key] for key in found[side]], np.int64) for side in ("a", "b"))
        return a, b, found["similarity"].to_numpy()

    def kept(self, order: Indices, linked: tuple[Indices, Indices, npt.NDArray[np.float32]], threshold: float) -> tuple[Indices, Indices]:
        """Of the rows in `order` (best first): those that stay, and each one's survivor."""
        classes = np.array([self.keys[key] for key in self.sketches["key"].gather(order)], np.int64)
        named = np.unique(classes)
        inside = np.isin(linked[0], named) & np.isin(linked[1], named)
        a, b = (np.searchsorted(named, side[inside]) for side in linked[:2])
        survivor, _ = keep_one(np.searchsorted(named, classes), (a, b, linked[2][inside]), threshold)
        return order[survivor == np.arange(order.size)], order[survivor]


def twins(given: argparse.Namespace) -> None:
    """Precision and recall of near_duplicate_image over the whole pool."""
    picture, made = planted(given.folder)["picture"].to_numpy(), Twins(read(given.folder / "shards"))
    copies = made.alive.size - len(set(picture[made.alive]))
    for bits in (4, 6, 8, 10):
        began = time.perf_counter()
        linked = made.link(bits)
        seconds = time.perf_counter() - began
        for threshold in (0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.99):
            kept, survivor = made.kept(made.alive, linked, threshold)
            gone = survivor != made.alive
            right = picture[survivor[gone]] == picture[made.alive[gone]]
            left = kept.size - len(set(picture[kept]))
            print(
                f"bits {bits} ({seconds:.1f} s) threshold {threshold}: {gone.sum()} removed, "
                f"precision {right.mean():.4f}, recall {1 - left / copies:.4f}"
            )


def words(given: argparse.Namespace) -> None:
    """What `basic`'s language clause keeps, by threshold."""
    rows = read(given.folder / "shards")
    began = time.perf_counter()
    table = pl.concat([planted(given.folder).drop("uid", "language"), language(rows).drop("error"), text_length(rows)], how="horizontal")
    said = table.with_columns(tongue=planted(given.folder)["language"])
    print(f"language: {time.perf_counter() - began:.1f} s")
    for least in (0.0, 0.5, 0.7, 0.8, 0.9):
        keeps = (pl.col("code") == "en") & (pl.col("prob") >= least)
        long = (pl.col("words") > 2) & (pl.col("chars") > 5)
        shares = said.select(
            good=keeps.filter("good").mean(),
            foreign=keeps.filter(pl.col("tongue") != "en").mean(),
            boilerplate=(keeps & long).filter("boilerplate").mean(),
        )
        print(least, {name: round(share, 4) for name, share in shares.row(0, named=True).items()})


def variant(text: str) -> dict[str, Any]:
    """Parameters from "samples=51200,width=24"."""
    return {name: ast.literal_eval(value) for name, _, value in (part.partition("=") for part in text.split(",") if part)}


def on_shelf(made: Made) -> str:
    """The weights digest of a made network, loadable in this process."""
    digest, folder = digest_of_model(made.weights, made.card), Path(tempfile.mkdtemp())
    for name, data in zip(("weights.safetensors", "card.json"), pack(made), strict=True):
        (folder / name).write_bytes(data)
    shelve(digest, load, folder)
    return digest


def matches(folder: Path, rows: pl.DataFrame, text: str) -> npt.NDArray[np.float32]:
    """Each row's score by a network trained on the trusted pairs alone; NaN where there is none."""
    began = time.perf_counter()
    made = filter_network(read(folder / "trusted").sort("uid").select("image", "text"), **variant(text))
    trained = time.perf_counter()
    score = clip_score(rows, model=on_shelf(made))["score"].to_numpy()
    scored = time.perf_counter() - trained
    print(f"network {text or 'as it is'}: trained {trained - began:.1f} s, scored {scored:.1f} s, {made.card['held_out']}")
    return score


def networks(given: argparse.Namespace) -> None:
    """How well networks tell good rows from others."""
    rows, truth = read(given.folder / "shards"), planted(given.folder)
    good, mismatched = truth["good"].to_numpy(), truth["mismatched"].to_numpy()
    english = ((truth["language"] == "en") & truth["leak_of"].is_null()).fill_null(value=False).to_numpy()
    for text in given.network:
        score = matches(given.folder, rows, text)
        there = ~np.isnan(score)
        best = np.argsort(np.where(there, -score, 9))
        tops = {share: round(float(good[best[: int(share * good.size)]].mean()), 3) for share in (0.2, 0.25, 0.3, 0.35, 0.4)}
        all_rows = area(score[good & there], score[~good & there])
        captions = area(score[english & there & ~mismatched], score[english & there & mismatched])
        print(f"  AUC good / rest {all_rows:.4f}, true / mismatched English {captions:.4f}, good among the top {tops}")


def area(high: npt.NDArray[np.float32], low: npt.NDArray[np.float32]) -> float:
    """Area under the ROC curve."""
    rank = np.argsort(np.argsort(np.concatenate([high, low])))
    return float((rank[: high.size].sum() - high.size * (high.size - 1) / 2) / (high.size * low.size))


def arms(given: argparse.Namespace) -> None:
    """Validation scores of the recipe's subsets and controls."""
    pool, good = judged(given.folder), planted(given.folder)["good"].to_numpy()
    uids, everything = words_of_hex(read(given.folder / "shards")["uid"]), Path(given.folder / "everything")
    if not (everything / "rows.json").is_file():
        both = [read(given.folder / "shards"), read(given.folder / "trusted")]
        reads = ((words_of_hex(each["uid"]), each["image"].to_list(), each["text"].to_list()) for each in both)
        materialise(reads, load_scale(SCALE), everything)
    rows = Rows.open(everything)
    trainable = np.isin(np.arange(len(uids)), np.flatnonzero(np.isin(uids[:, 0], rows.uids[:, 0])))
    score = matches(given.folder, read(given.folder / "shards"), given.network[0])
    for name, members in chosen(given, pool.with_columns(score=pl.Series(score).fill_nan(None))):
        members = members[trainable[members]]
        report(name, members.size, good[members].mean(), [once(given.folder, uids[members], seed) for seed in range(given.seeds)])
        if given.controls:
            drawn = [random_members(uids[trainable], members.size, seed) for seed in range(given.seeds)]
            report(f"  random for {name}", members.size, good.mean(), [once(given.folder, drawn[s], s) for s in range(given.seeds)])
    trusted = words_of_hex(read(given.folder / "trusted")["uid"])
    report("trusted only", len(trusted), 1.0, [once(given.folder, trusted, seed) for seed in range(given.seeds)])


def judged(folder: Path) -> pl.DataFrame:
    """Row by row what the recipe's cheap clauses ask, as `basic`, and the licence class; kept in a file, for language takes its time."""
    file = folder / "judged.parquet"
    if not file.is_file():
        _judge(read(folder / "shards")).write_parquet(file)
    return pl.read_parquet(file)


def _judge(rows: pl.DataFrame) -> pl.DataFrame:
    shape, said = image_shape(rows), text_length(rows)
    table = pl.concat([rows.select("uid"), shape.drop("error"), said.drop("error"), language(rows).drop("error")], how="horizontal")
    long = (pl.col("words") > 2) & (pl.col("chars") > 5)
    formed = (pl.col("width") >= 32) & (pl.col("height") >= 32) & (pl.col("aspect") <= 3)
    english = (pl.col("code") == "en") & (pl.col("prob") >= 0.5)
    absent = [pl.lit(None, pl.String).alias(role) for role in declared_license.roles if role not in rows.columns]
    terms = declared_license(rows.with_columns(absent))["class"]
    return table.select("uid", basic=(long & formed & english).fill_null(value=False), terms=terms)


def chosen(given: argparse.Namespace, pool: pl.DataFrame) -> Iterator[tuple[str, Indices]]:
    """The rows of each subset."""
    alike = Twins(read(given.folder / "shards"))
    linked = alike.link(6)

    def one_per(inside: npt.NDArray[np.bool_]) -> Indices:
        able = np.isin(np.arange(pool.height), alike.alive) & pool["score"].is_not_null().to_numpy() & inside
        best = pool.with_row_index("row").filter(pl.Series(able)).sort("terms", "score", "uid", descending=[False, True, False])
        return alike.kept(best["row"].to_numpy().astype(np.int64), linked, 0.95)[0]

    def top(inside: Indices, most: str) -> Indices:
        score = pool["score"].fill_null(-9).to_numpy()[inside]
        there = inside[score > -9]
        count = int(float(most) * there.size) if "." in most else int(most)
        return there[np.argsort(-pool["score"].gather(there).to_numpy(), kind="stable")[:count]]

    every, basic = np.arange(pool.height), pool["basic"].to_numpy()
    yield "pool", every
    yield "basic", np.flatnonzero(basic)
    yield "deduplicated", one_per(np.ones(pool.height, bool))
    unique = one_per(basic)
    yield "unique", unique
    for most in given.top:
        yield f"scored {most}", top(every, most)
    for most in given.rest:
        yield f"combined {most}", top(unique, most)


def once(folder: Path, uids: npt.NDArray[np.uint64], seed: int) -> SeedScore:
    """One training, read back if it was made before."""
    out = folder / "scores" / short(members_digest(uids)) / f"seed-{seed}"
    if (out / "train.json").is_file():
        return SeedScore.read(out, load_scale(SCALE))
    return train_and_score(Job(folder / "everything", SCALE, uids, seed, out, split="validation"))


def report(name: str, size: int, good: float, scores: list[SeedScore]) -> None:
    """One line: rows, share of good ones, mean and deviation of the headline, mean of each task, seconds of a training."""
    headlines = [score.headline for score in scores]
    spread = f"+-{np.std(headlines, ddof=1):.2f}" if len(scores) > 1 else ""
    tasks = {task: round(float(np.mean([score.tasks[task].points for score in scores])), 1) for task in scores[0].tasks}
    seconds = np.mean([score.seconds for score in scores])
    print(f"{name:>24} {size:6d} rows {good:.3f} good  {np.mean(headlines):.2f} {spread}  {tasks}  {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
