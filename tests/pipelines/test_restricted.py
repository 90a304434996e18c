"""Rows on a list of hashes: seen by nothing else, in no arm and no model, and known by their address and hash alone."""

import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from curate.digest import hex_of
from curate.errors import PoolError, RecipeError
from curate.executor import InProcess
from curate.pool import Pool
from curate.quarantine import quarantined, restricted
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from filters._image import ImageError, decode
from filters._pdq import pdq
from pipelines import verbs
from pipelines.cli import app
from pipelines.provenance.unseen import unseen
from pipelines.scores.reading import reads

RECIPE = """
models:
  list: {hash_list: {file: list.txt}}
  matcher: {filter_network: {trusted: trusted/, samples: 64}}
  counts: {passage_counts: {}}
signals:
  listed: {hash_match: {model: list}}
  match: {clip_score: {model: matcher}}
  again: {repeated_text: {model: counts}}
restricted: listed.matched
stages:
  shaped: {keep: "image_shape.width > 0"}
  best: {keep: {top: match.score, count: 60}}
  unlike: {after: best, keep: {one_per: exact_duplicate}}
  said: {after: shaped, keep: "again.later_chars >= 0"}
subsets: [shaped, best, unlike, said]
"""
LISTED = (3, 90, 200, 201)


@pytest.fixture(scope="module")
def rows(place: Path) -> pl.DataFrame:
    """The pool's rows, in order."""
    return pl.concat([pl.read_parquet(path) for path in sorted((place / "shards").glob("*.parquet"))])


@pytest.fixture(scope="module")
def barred(rows: pl.DataFrame) -> list[int]:
    """The rows that show a listed file: those listed, and their byte-equal copies."""
    images = rows["image"].struct.field("bytes")
    known = [images[row] for row in LISTED]
    return [row for row, image in enumerate(images) if image in known]


@pytest.fixture(scope="module")
def done_with(place: Path, rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose list names some of its images, each by another kind of hash."""
    folder = tmp_path_factory.mktemp("restricted")
    images = rows["image"].struct.field("bytes")
    kinds = ("md5", "sha1", "sha256", "sha256")
    lines = [hashlib.new(kind, images[row]).hexdigest() for kind, row in zip(kinds, LISTED, strict=True)]
    (folder / "list.txt").write_text("\n".join(lines), encoding="utf-8")
    (folder / "trusted").symlink_to(place / "trusted")
    return verbs.run(Recipe.parse(RECIPE, base=folder), place / "shards", store=folder / "s", executor=InProcess())


def test_every_listed_row_leaves_first_and_no_other_evidence_of_it_is_gathered(
    done_with: Run, barred: list[int], rows: pl.DataFrame
) -> None:
    assert len(barred) >= 4
    reasons = done_with.decided("lawful").reasons
    codes = done_with.codes("lawful")
    assert [row for row, code in enumerate(codes.tolist()) if reasons[code].kind == "restricted"] == barred
    assert done_with.decided("lawful").kept == rows.height - len(barred)
    for name in done_with.facts["measures"]:
        measured = set(done_with.evidence(name)["row"].to_list())
        assert bool(measured & set(barred)) == (name == "listed"), name
    lines = {line["stage"]: line for line in done_with.funnel()}
    assert [(each["kind"], each["rows"]) for each in lines["lawful"]["reasons"]] == [("restricted", len(barred))]
    kept = {uid for name in ("pool", "shaped", "best", "unlike", "said") for uid in done_with.subset(name).hex}
    assert not kept & set(hex_of(done_with.uids()[barred]))


def test_what_is_shown_of_a_restricted_row_is_its_address_and_its_hash(done_with: Run, rows: pl.DataFrame) -> None:
    row = LISTED[0]
    story = verbs.why(done_with, hex_of(done_with.uids()[[row]])[0])
    assert set(story) == {"uid", "shard", "row", "stages", "values", "subsets"}
    assert story["stages"] == {"lawful": {"kind": "restricted", "stage": "lawful", "rule": "restricted if listed.matched"}}
    assert set(story["values"]) == {"listed.matched", "listed.kind", "listed.hash", "listed.list"}
    text = json.dumps(story)
    for role in ("text", "url", "license", "source"):
        assert rows[role][row] is None or rows[role][row] not in text
    other = verbs.why(done_with, hex_of(done_with.uids()[[row + 1]])[0])
    assert other["stages"]["lawful"]["kind"] == "in"
    assert "url" in other


def test_the_listing_has_addresses_and_hashes_and_the_quarantine_none_of_them(
    done_with: Run, barred: list[int], rows: pl.DataFrame
) -> None:
    listing = restricted(done_with)
    assert listing["uid"].to_list() == hex_of(done_with.uids()[barred])
    images = rows["image"].struct.field("bytes")
    for place, row in enumerate(barred):
        kind, found = listing["listed.kind"][place], listing["listed.hash"][place]
        assert hashlib.new(kind, images[row]).hexdigest() == found
    assert listing["row"].to_list()[0] == LISTED[0]
    assert not set(quarantined(done_with)["uid"].drop_nulls()) & set(listing["uid"])
    store = str(done_with.store.path(""))
    ran = CliRunner().invoke(app, ["audit", "--restricted", "--store", store])
    assert f"{len(barred)} restricted rows" in ran.output
    assert listing["uid"][0] in ran.output
    uid = listing["uid"][0]
    told = CliRunner().invoke(app, ["why", uid, "--store", store])
    assert "restricted if listed.matched" in told.output
    assert told.exit_code == 0


def test_no_sample_of_a_pool_that_has_their_shard_shows_them(done_with: Run, barred: list[int], place: Path, tmp_path: Path) -> None:
    first, *_ = sorted((place / "shards").glob("*.parquet"))
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / first.name).symlink_to(first)
    pool = Pool.open(tmp_path / "alone", roles={"source": ""})
    (shard,) = pool.shards
    held = [row for row in barred if row < shard.rows]
    assert held
    assert unseen(done_with.store, pool)(shard).tolist() == held
    assert unseen(Store.open(tmp_path / "empty"), pool)(shard).tolist() == []


def test_no_arm_reads_them(done_with: Run, barred: list[int]) -> None:
    """What the instrument decodes, before arms are made of it."""
    read = {uid for uids, _ in reads(done_with, ["image", "text"], verbs.silent) for uid in hex_of(uids)}
    every = hex_of(done_with.uids())
    assert {row for row, uid in enumerate(every) if uid not in read} == set(barred)
    assert len(read) > len(every), "the trusted rows are read too"


def test_a_model_made_from_the_pool_is_made_without_them(done_with: Run, barred: list[int], rows: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    rows.filter(~pl.int_range(rows.height).is_in(barred)).write_parquet(tmp_path / "pool" / "a.parquet")
    bare = """
models: {counts: {passage_counts: {}}}
signals: {again: {repeated_text: {model: counts}}}
stages: {said: {keep: "again.later_chars >= 0"}}
subsets: [said]
"""
    without = verbs.run(Recipe.parse(bare, base=tmp_path), tmp_path / "pool", store=tmp_path / "s", executor=InProcess())
    digests = [run.store.json(run.facts["models"]["counts"]["folder"] + "/model.json")["weights"] for run in (done_with, without)]
    assert digests[0] == digests[1]


def test_trusted_rows_on_the_list_stop_the_run_by_address_alone(done_with: Run, place: Path, tmp_path: Path) -> None:
    trusted = pl.read_parquet(place / "trusted" / "trusted.parquet")
    (tmp_path / "list.txt").write_text(hashlib.md5(trusted["image"][7]["bytes"]).hexdigest(), encoding="utf-8")
    (tmp_path / "trusted").symlink_to(place / "trusted")
    with pytest.raises(PoolError, match="1 rows to train on are restricted") as raised:
        verbs.run(Recipe.parse(RECIPE, base=tmp_path), place / "shards", store=tmp_path / "s", executor=InProcess())
    assert raised.value.where.endswith("trusted.parquet row 7")
    assert trusted["text"][7] not in str(raised.value)


def test_pictures_near_a_listed_one_are_restricted_by_a_distance_of_the_recipes_own(
    place: Path, rows: pl.DataFrame, tmp_path: Path
) -> None:
    digests = {}
    for row, image in enumerate(rows["image"].struct.field("bytes")):
        try:
            found, quality = pdq(np.asarray(decode(image or b"")))
        except ImageError:
            continue
        if quality >= 50:
            digests[row] = np.frombuffer(found, np.uint8)
    first = next(iter(digests))
    (tmp_path / "list.txt").write_text(digests[first].tobytes().hex(), encoding="utf-8")
    text = """
models: {list: {hash_list: {file: list.txt, kind: pdq}}}
signals: {listed: {hash_match: {model: list}}}
restricted: "listed.matched or listed.distance <= 60"
stages: {wide: {keep: "image_shape.width > 0"}}
subsets: [wide]
"""
    recipe = Recipe.parse(text, base=tmp_path)
    run = verbs.run(recipe, place / "shards", store=tmp_path / "s", executor=InProcess())
    near = {row for row, digest in digests.items() if np.unpackbits(digest ^ digests[first]).sum() <= 60}
    assert set(np.flatnonzero(run.codes("lawful")).tolist()) == near
    assert first in near
    closer = verbs.run(recipe.set("restricted", "listed.distance < 1"), place / "shards", store=tmp_path / "s", executor=InProcess())
    assert closer.facts["measures"]["listed"] == run.facts["measures"]["listed"], "another distance measures nothing again"
    assert first in np.flatnonzero(closer.codes("lawful"))
    assert closer.facts["recipe"] != run.facts["recipe"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("restricted: {top: listed.distance, count: 3}", "restricted is no expression"),
        ("restricted: listed.mached", "unknown column listed.mached"),
        ("restricted: nothing.matched", "no filter called nothing"),
        ("restricted: listed.matched\n  lawful: {keep: 'image_shape.width > 0'}", "lawful is the name of the pool without"),
    ],
)
def test_what_restricts_nothing_is_the_recipes_error(change: str, message: str, place: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("d41d8cd98f00b204e9800998ecf8427e", encoding="utf-8")
    head, _, stages = change.partition("\n")
    text = f"""
models: {{list: {{hash_list: {{file: list.txt}}}}}}
signals: {{listed: {{hash_match: {{model: list}}}}}}
{head}
stages:
  wide: {{keep: "image_shape.width > 0"}}
{stages}
subsets: [wide]
"""
    with pytest.raises(RecipeError, match=message):
        verbs.plan(Recipe.parse(text, base=tmp_path), place / "shards", store=tmp_path / "s")
