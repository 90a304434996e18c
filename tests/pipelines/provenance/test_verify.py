"""`curate verify` over one small real store: a run with a model, links, an export and the scores of a tiny training. Harm of every kind is
done to its files, one at a time or some together; each must be found, and named."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from curate.errors import CeterisError, StoreError
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.takedown.request import Plain, look, take_down
from curate.verify.store import Verification
from pipelines import verbs
from pipelines.cli import app
from pipelines.provenance.verify import verify
from pipelines.scores.training import evaluate
from pipelines.scores.verdicts import compare

RECIPE = """
pool: {path: shards/}
models: {matcher: {filter_network: {trusted: trusted/, seed: 0, samples: 256}}}
signals: {match: {clip_score: {model: matcher}}}
stages:
  basic: {keep: "text_length.words > 2"}
  unique: {after: basic, keep: {one_per: near_duplicate_image, prefer: [license.class asc]}}
  best: {after: unique, keep: {top: match.score, count: 100}}
subsets: [best]
"""
FLIPS, TOGETHER = 200, 10
EXEMPT = ("lock", "pools/files.json")
"""The lock holds the owner's name; without its cache of what was read, a pool's shards are read again."""

Harm = Callable[[bytes], bytes | None]


@pytest.fixture(scope="module")
def made(place: Path, two_tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store."""
    (place / "verified.yaml").write_text(RECIPE, encoding="utf-8")
    folder = tmp_path_factory.mktemp("made")
    run = verbs.run(Recipe.load(place / "verified.yaml"), store=folder / ".ceteris", executor=InProcess())
    compare(evaluate(run, scale=str(two_tasks), seeds=1, only=["best", "whole pool"], executor=InProcess()))
    verbs.export(run.subset("best"), folder / "out")
    return folder / ".ceteris"


class Harmed:
    """A copy of the store whose files are harmed and made whole again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.keys = [
            key for file in sorted(root.rglob("*")) if file.is_file() and not (key := self._key(file)).startswith(("tmp/", *EXEMPT))
        ]

    def _key(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix()

    def verified(self, **asked: Any) -> Verification:
        return verify(self.root, executor=InProcess(), **asked)

    def with_harm(self, harms: dict[str, Harm]) -> Verification:
        kept = {key: (self.root / key).read_bytes() for key in harms}
        try:
            for key, harm in harms.items():
                data = harm(kept[key])
                (self.root / key).unlink()
                if data is not None:
                    (self.root / key).write_bytes(data)
            return self.verified()
        finally:
            for key, data in kept.items():
                (self.root / key).write_bytes(data)

    def unnamed(self, harms: dict[str, Harm]) -> list[str]:
        """Those of the harmed files that are not named, though nothing else is harmed: where several are, one may hide another."""
        named = {one.where for one in self.with_harm(harms).findings}
        left = [key for key in harms if key not in named]
        if len(harms) == 1:
            return left
        return [key for one in left for key in self.unnamed({one: harms[one]})]


@pytest.fixture(scope="module")
def harmed(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Harmed:
    root = tmp_path_factory.mktemp("harmed") / ".ceteris"
    shutil.copytree(made, root)
    return Harmed(root)


def _batches(keys: list[str], size: int) -> Iterator[list[str]]:
    yield from (keys[start : start + size] for start in range(0, len(keys), size))


def _flip(place: float, bit: int) -> Harm:
    def harm(data: bytes) -> bytes:
        at = min(int(place * len(data)), len(data) - 1)
        return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]

    return harm


def _swap(harmed: Harmed, a: str, b: str) -> dict[str, Harm]:
    """Each gets the other's content; nothing where both hold the same."""
    held = {key: (harmed.root / key).read_bytes() for key in (a, b)}
    return {a: lambda _: held[b], b: lambda _: held[a]} if held[a] != held[b] else {}


def test_a_sound_store_verifies(harmed: Harmed) -> None:
    found = harmed.verified(full=True)
    assert (found.findings, found.notes) == ([], [])
    kinds = {"pools", "uids", "signals", "links", "models", "decisions", "subsets", "runs", "ledger", "scores", "rows", "exports"}
    assert kinds <= {part for key in harmed.keys for part in key.split("/")}
    assert found.checked["scores"] == 2
    assert harmed.verified(sample=0.4).sound


def test_flipped_bits_are_all_found_and_named(harmed: Harmed) -> None:
    draw = random.Random(0)
    flips = [(draw.choice(harmed.keys), _flip(draw.random(), draw.randrange(8))) for _ in range(FLIPS)]
    missed, waiting = list[str](), flips
    while waiting:  # a batch harms a file once
        batch: dict[str, Harm] = {}
        later = []
        for key, harm in waiting:
            if key in batch or len(batch) == TOGETHER:
                later.append((key, harm))
            else:
                batch[key] = harm
        missed += harmed.unnamed(batch)
        waiting = later
    assert missed == []
    assert harmed.verified().sound


@pytest.mark.parametrize("share", [0.0, 0.6, 0.999])
def test_truncated_files_are_all_found_and_named(harmed: Harmed, share: float) -> None:
    for keys in _batches(random.Random(1).sample(harmed.keys, 30), TOGETHER):
        assert harmed.unnamed({key: lambda data: data[: int(share * len(data))] for key in keys}) == []


def test_deleted_files_are_all_found_and_named(harmed: Harmed) -> None:
    last = max(key for key in harmed.keys if key.startswith("ledger/"))
    gone = [key for key in harmed.keys if key not in (last, "FORMAT")]
    for keys in _batches(random.Random(2).sample(gone, 50), TOGETHER):
        assert harmed.unnamed({key: lambda _: None for key in keys}) == []
    (one,) = harmed.with_harm({last: lambda _: None}).findings  # nothing names the last line, but what it names is missed
    assert one.where.startswith(("runs/", "scores/", "exports/"))
    assert "names it" in one.what
    assert [one.where for one in harmed.with_harm({"FORMAT": lambda _: None}).findings] == ["FORMAT"]


def test_swapped_files_are_found(harmed: Harmed) -> None:
    draw = random.Random(3)
    alike: dict[str, list[str]] = {}
    for key in harmed.keys:
        alike.setdefault("/".join([key.split("/")[0], key.rpartition(".")[2]]), []).append(key)
    pairs = [draw.sample(draw.choice([keys for keys in alike.values() if len(keys) > 1]), 2) for _ in range(14)]
    pairs += [draw.sample([key for key in harmed.keys if key != "FORMAT"], 2) for _ in range(6)]
    for a, b in pairs:
        swap = _swap(harmed, a, b)
        if swap:
            assert {a, b} & {one.where for one in harmed.with_harm(swap).findings}, (a, b)


def test_a_swap_says_whose_content_it_is(harmed: Harmed) -> None:
    a, b, *_ = [key for key in harmed.keys if key.startswith("decisions/") and "/parts/00000" in key]
    found = {one.where: one.what for one in harmed.with_harm(_swap(harmed, a, b)).findings}
    assert f"it holds what {b} should" in found[a]


def test_damage_is_named_by_column_and_rows_or_line(harmed: Harmed) -> None:
    part = next(key for key in harmed.keys if key.startswith("signals/text_length-") and "/parts/" in key)
    (one,) = harmed.with_harm({part: _flip(0.1, 0)}).findings
    assert one.where == part
    assert one.place == "column words, row group 0, lines 0 to 139"
    facts = next(key for key in harmed.keys if key.endswith("/ledger.jsonl"))
    (line,) = harmed.with_harm({facts: _flip(0.0, 3)}).findings
    assert (line.where, line.place) == (facts, "line 1")
    training = next(key for key in harmed.keys if key.endswith("train.json"))

    def slower(data: bytes) -> bytes:
        return json.dumps({**json.loads(data), "seconds": 0.5}, indent=1).encode()

    (score,) = harmed.with_harm({training: slower}).findings
    assert score.what == "train.json is not what the ledger wrote down: seconds"


def test_files_that_nobody_wrote_are_named(harmed: Harmed) -> None:
    score = next(key for key in harmed.keys if key.endswith("train.json")).rpartition("/")[0]
    rows = next(key for key in harmed.keys if key.endswith("rows.json") and key.startswith("rows/")).rpartition("/")[0]
    strays = ["notes.txt", f"{score}/more.parquet", f"{rows}/more.npy", "signals/x.json", "scores/x"]
    for key in strays:
        (harmed.root / key).write_bytes(b"?")
    try:
        assert {one.where for one in harmed.verified().findings} == set(strays)
    finally:
        for key in strays:
            (harmed.root / key).unlink()


def test_harmed_exports_are_found_and_absent_ones_are_said(made: Path, harmed: Harmed) -> None:
    (file,) = (made.parent / "out").glob("*.parquet")
    sound = file.read_bytes()
    file.write_bytes(sound[:-1])
    try:
        assert [one.where for one in harmed.verified().findings] == [str(file)]
    finally:
        file.write_bytes(sound)
    shutil.move(file.parent, file.parent.with_name("aside"))
    try:
        found = harmed.verified()
        assert found.sound
        assert "is not at its place any more" in found.notes[0]
    finally:
        shutil.move(file.parent.with_name("aside"), file.parent)


def test_after_a_take_down_it_verifies_and_finds_harm(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "store")
    store = verbs.open_store(tmp_path / "store")
    pool = verbs.Run.latest(store).pool
    url = pool.read(pool.shards[0], roles=["url"]).frame["url"].drop_nulls()[0]
    take_down(look(store, Plain(urls=frozenset([url]))), who="me", reason="asked", time="2026-01-02T03:04:05+00:00")
    taken = Harmed(tmp_path / "store")
    found = taken.verified()
    assert [str(one) for one in found.findings] == []
    assert any("rows of its pool were taken down since" in note for note in found.notes)
    left = [key for key in Harmed(made).keys if key not in taken.keys]
    assert {"rows", "decisions", "signals", "subsets"} <= {key.split("/")[0] for key in left}
    for key in left:  # put back
        (taken.root / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made / key, taken.root / key)
    assert [key for key in left if key not in {one.where for one in taken.verified().findings}] == []
    for key in left:
        (taken.root / key).unlink()
    (rows,) = {key.split("/")[1] for key in left if key.startswith("rows/")}
    shutil.copytree(made / "rows" / rows, taken.root / "rows" / f"x-{'0' * 16}")
    assert any("rows that were taken down" in one.what for one in taken.verified().findings)
    shutil.rmtree(taken.root / "rows" / f"x-{'0' * 16}")
    for keys in _batches([key for key in taken.keys if key.startswith(("revo", "subsets", "decisions", "exports", "pools"))], TOGETHER):
        assert taken.unnamed({key: _flip(0.4, 1) for key in keys}) == []
    again = pool.root.parent / "verified.yaml"
    verbs.run(Recipe.load(again), store=store, executor=InProcess())
    assert [str(one) for one in taken.verified().findings] == []


def test_the_command_exits_1_with_findings(harmed: Harmed) -> None:
    def called(*more: str) -> Result:
        return CliRunner().invoke(app, ["verify", "--store", str(harmed.root), "--workers", "1", *more])

    part = next(key for key in harmed.keys if key.startswith("links/"))
    sound = (harmed.root / part).read_bytes()
    (harmed.root / part).write_bytes(sound[:-1])
    try:
        told = called("--json")
    finally:
        (harmed.root / part).write_bytes(sound)
    assert told.exit_code == 1, told.stderr
    about = json.loads(told.stdout)
    assert (about["sound"], [one["where"] for one in about["findings"]]) == (False, [part])
    clean = called("--head", about["head"][:12])
    assert clean.exit_code == 0, clean.stdout
    assert "nothing is wrong" in clean.stdout
    assert f"head: {about['head']}" in clean.stdout


def test_a_take_down_that_is_not_done_comes_first(harmed: Harmed) -> None:
    pending = harmed.root / "revocations" / "pending.json"
    pending.parent.mkdir()
    pending.write_bytes(b"{}")
    try:
        (one,) = harmed.verified().findings
    finally:
        shutil.rmtree(pending.parent)
    assert (one.where, one.fix) == ("revocations/pending.json", "run `curate revoke --resume`")


def test_what_is_no_head_or_no_share_is_refused(harmed: Harmed) -> None:
    with pytest.raises(CeterisError, match="'latest' is no head"):
        harmed.verified(head="latest")
    with pytest.raises(CeterisError, match="a sample is a share above 0"):
        harmed.verified(sample=1.5)


def test_where_no_store_is_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no store here"):
        verify(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
