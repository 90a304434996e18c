"""What became of a row, in every run of a store that holds it, however it is asked for."""

import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from curate.digest import hex_of
from curate.errors import CeterisError, PoolError
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from pipelines import verbs
from pipelines.cli import app
from pipelines.documents.document import document
from pipelines.provenance.fate import fates
from pipelines.provenance.index import index
from pipelines.provenance.uses import uses

UIDS = [f"{number:032x}" for number in range(1, 9)]
TEXTS = ["one two three", "four five six seven", "a", "seven eight", "one", "two words", "seven and eight and nine", "five"]
RECIPE = """
stages:
  basic: {keep: "text_length.words > 1"}
  long:  {after: basic, keep: {top: text_length.words, count: 2}}
subsets: [basic, long]
"""


def frame() -> pl.DataFrame:
    urls = [f"https://host{number % 3}.example/{number // 2}" for number in range(8)]
    return pl.DataFrame({"uid": UIDS, "text": TEXTS, "url": urls, "source": ["web", "book"] * 4})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pool, a larger one that begins with it, and a store with two runs on the first and one on the second."""
    folder = tmp_path_factory.mktemp("fate")
    (folder / "small").mkdir()
    frame()[:5].write_parquet(folder / "small" / "0.parquet")
    (folder / "large").mkdir()
    frame()[:5].write_parquet(folder / "large" / "0.parquet")
    frame()[5:].write_parquet(folder / "large" / "1.parquet")
    recipe = Recipe.parse(RECIPE, where="recipe.yaml")
    for one, pool in ((recipe, "small"), (recipe.set_text("stages.long.keep.count=1"), "small"), (recipe, "large")):
        verbs.run(one, folder / pool, store=folder / "store", executor=InProcess())
    return folder


@pytest.fixture(scope="module")
def store(place: Path) -> Store:
    return Store.open(place / "store")


def test_a_row_answers_for_every_run_on_every_pool_that_holds_it(store, place) -> None:
    (fate,) = fates(store, uid=UIDS[1]).rows
    assert [Path(one["pool"]).name for one in fate.runs] == ["large", "small", "small"]
    assert [one["subsets"] for one in fate.runs] == [["pool", "basic", "long"]] * 3
    assert {Path(one["pool"]).name: (one["shard"], one["row"]) for one in fate.places} == {
        "large": ("0.parquet", 1),
        "small": ("0.parquet", 1),
    }
    assert fate.story["text"] == TEXTS[1]
    assert fate.story["values"]["text_length.words"] == 4
    (fate,) = fates(store, uid=UIDS[0]).rows
    assert [one["subsets"] for one in fate.runs] == [["pool", "basic"], ["pool", "basic"], ["pool", "basic", "long"]]
    assert [one["out"]["long"]["stage"] for one in fate.runs[:2]] == ["long", "long"]
    assert fate.runs[1]["out"]["long"]["cut"] == 4
    (fate,) = fates(store, uid=UIDS[2]).rows
    assert all({name: verdict["stage"] for name, verdict in one["out"].items()} == {"basic": "basic", "long": "basic"} for one in fate.runs)
    (fate,) = fates(store, uid=UIDS[7]).rows
    assert [Path(one["pool"]).name for one in fate.runs] == ["large"]


def test_a_run_narrows_it(store) -> None:
    first = Run.latest(store).folder.removeprefix("runs/")
    (fate,) = fates(store, uid=UIDS[0], run=first).rows
    assert [one["run"] for one in fate.runs] == [first]
    with pytest.raises(CeterisError, match="no run called none"):
        fates(store, uid=UIDS[0], run="none")


def test_rows_of_a_url_and_of_a_piece_of_text(store) -> None:
    found = fates(store, url="https://host0.example/1")
    assert [one.uid for one in found.rows] == [UIDS[3]]
    assert all("every url of" in note for note in found.notes)
    found = fates(store, text="seven", at_most=2)
    assert found.found == 3
    assert {one.uid for one in found.rows} <= {UIDS[1], UIDS[3], UIDS[6]}
    assert len(found.rows) == 2
    assert all("was looked at" in note for note in found.notes)
    assert [one.uid for one in fates(store, text="seven eight").rows] == [UIDS[3]]


def test_what_is_not_there_is_said_with_how_it_was_looked_for(store) -> None:
    for asked, said in (
        ({"uid": "f" * 32}, "no pool of this store has a row"),
        ({"url": "https://host0.example/"}, "no row of any pool of this store has this url"),
        ({"text": "no such words"}, "no row of any pool of this store has this text"),
        ({"url": "https://host0.example/\udcff"}, "no text in UTF-8"),
    ):
        with pytest.raises(CeterisError, match=said) as raised:
            fates(store, **asked)
        assert raised.value.fix
    for asked in ({}, {"uid": UIDS[0], "url": "x"}):
        with pytest.raises(CeterisError, match="in one way"):
            fates(store, **asked)


def test_an_index_gives_the_same_answers_and_is_named(place, tmp_path) -> None:
    made = Store.open(tmp_path / "store")
    run = verbs.run(Recipe.parse(RECIPE), place / "large", store=made, executor=InProcess())
    asked = [{"uid": UIDS[6]}, {"url": "https://host1.example/0"}]
    before = [fates(made, **one) for one in asked]
    (done,) = index(made)
    assert done.made == ("uid", "url", "host")
    assert done.records["url"] == 8
    assert index(made)[0].made == ()
    after = [fates(made, **one) for one in asked]
    assert [one.rows for one in after] == [one.rows for one in before]
    assert [one.notes for one in before] != [one.notes for one in after]
    assert not after[0].notes
    assert "by the index" in after[1].notes[0]
    assert verbs.why(run, UIDS[6])["stages"]["long"]["kind"] == "in"


def test_a_pool_that_changed_is_left_out_and_named_or_refused(place, tmp_path) -> None:
    made, recipe = Store.open(tmp_path / "store"), Recipe.parse(RECIPE)
    (tmp_path / "gone").mkdir()
    frame()[2:].write_parquet(tmp_path / "gone" / "0.parquet")
    verbs.run(recipe, tmp_path / "gone", store=made, executor=InProcess())
    (tmp_path / "gone" / "0.parquet").unlink()
    with pytest.raises(PoolError, match="the shard is gone"):
        fates(made, url="https://host0.example/1")
    verbs.run(recipe, place / "large", store=made, executor=InProcess())
    found = fates(made, url="https://host0.example/1")
    assert [one.uid for one in found.rows] == [UIDS[3]]
    assert [note for note in found.notes if "not searched: the shard is gone" in note]
    assert len(fates(made, uid=UIDS[3]).rows[0].runs) == 2


def _revoke(store: Store, pool: Path, row: int) -> None:
    digest = Run.latest(store).pool.shards[0].digest
    with store.writer() as epoch:
        listed = pl.DataFrame({"row": [row], "request": [1]}, schema={"row": pl.UInt64, "request": pl.UInt32})
        store.publish("revoked", [store.put_frame("revoked", "list", listed, scope=digest)], epoch)


def test_a_row_that_was_taken_down_says_so_and_nothing_else(place, tmp_path) -> None:
    made = Store.open(tmp_path / "store")
    verbs.run(Recipe.parse(RECIPE), place / "large", store=made, executor=InProcess())
    _revoke(made, place / "large", 1)
    for asked in ({"uid": UIDS[1]}, {"url": "https://host1.example/0"}):
        found = fates(made, **asked)
        assert [(one.uid, one.state) for one in found.rows] == [(UIDS[1], "revoked")]
        assert TEXTS[1] not in json.dumps(found.to_json()["rows"] if "url" in asked else found.to_json())
        assert not found.rows[0].story["values"]
    assert UIDS[1] not in [one.uid for one in fates(made, text="seven").rows]
    told = CliRunner().invoke(app, ["why", UIDS[1], "--store", made.address])
    assert told.exit_code == 0
    assert "revoked" in told.stdout
    assert TEXTS[1] not in told.stdout


def test_the_command_tells_one_row_in_full_and_several_in_short(store) -> None:
    def said(*arguments: str) -> str:
        told = CliRunner().invoke(app, ["why", *arguments, "--store", store.address])
        assert told.exit_code == 0, told.output
        return told.stdout

    latest, _, first = [one["run"] for one in fates(store, uid=UIDS[0]).rows[0].runs]
    full = said(UIDS[0])
    assert f"run: {latest}" in full
    assert "text_length.words" in full
    assert f"  {first} " in full
    assert f"{TEXTS[0]}" in full
    short = said("--text", "seven")
    assert [line for line in short.splitlines() if line.startswith(UIDS[6])]
    assert "not in basic, long: basic: dropped: text_length.words > 1" in said("--url", "https://host2.example/1")
    assert "... and 2 more rows" in said("--text", "seven", "--at-most", "1")
    story = json.loads(said(UIDS[0], "--json"))
    assert (story["uid"], len(story["runs"]), story["state"]) == (UIDS[0], 3, "")
    assert CliRunner().invoke(app, ["why", UIDS[0], "--url", "x", "--store", store.address]).exit_code != 0


def test_lists_name_rows_as_the_pool_does_but_not_what_nobody_may_see(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    words = pl.DataFrame({"uid": [f"doc/{number}" for number in range(8)], "text": ["a " * (9 - number) + "end" for number in range(8)]})
    words.with_columns(flag=pl.Series([0, 0, 0, 1, 0, 0, 0, 0])).write_parquet(tmp_path / "p" / "0.parquet")
    cut = "stages: {long: {keep: {top: text_length.words, count: 4}}}\nsubsets: [long]"
    store = Store.open(tmp_path / "s")
    first = verbs.run(Recipe.parse(cut), tmp_path / "p", store=store, executor=InProcess())
    assert [row["original"] for row in verbs.near(first, "long", 2)] == ["doc/2", "doc/3", "doc/4", "doc/5"]
    verbs.run(Recipe.parse('restricted: "pool.flag == 1"\n' + cut), tmp_path / "p", store=store, executor=InProcess())
    name = first.folder.removeprefix("runs/")

    def said(*arguments: str) -> str:
        told = CliRunner().invoke(app, ["why", *arguments, "--store", store.address])
        assert told.exit_code == 0, told.output
        return told.stdout

    shown = said("--stage", "long", "--near", "--at-most", "3", "--run", name).splitlines()
    kept = [line.split() for line in shown if line.endswith("kept") or line.endswith("dropped")]
    assert [line[1:] for line in kept] == [["doc/2", "8", "kept"], ["(not", "shown)", "kept"], ["doc/4", "6", "dropped"]]
    listed = said("--text", "a a end")
    assert [line.split()[1] for line in listed.splitlines() if line.endswith(tuple(f"0.parquet row {row}" for row in range(8)))] == [
        "doc/0", "doc/1", "doc/2", "doc/4", "doc/5", "doc/6", "doc/7",
    ]  # fmt: skip
    assert "doc/3" not in listed


def _picture(seed: int) -> Image.Image:
    waves = np.random.default_rng(seed).uniform(0.02, 0.2, (6, 3))
    y, x = np.mgrid[:160, :160]
    light = sum(np.sin(a * x + b * y + 6 * c) for a, b, c in waves)
    return Image.fromarray(np.clip(128 + 30 * np.stack([light, light * 0.8, -light], axis=-1), 0, 255).astype(np.uint8))


def _bytes(picture: Image.Image, kind: str, **options: int) -> bytes:
    held = io.BytesIO()
    picture.save(held, kind, **options)
    return held.getvalue()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes]]:
    """Four pictures: the second the first's pixels in other bytes, the third nearly the first, the fourth another; and one that is none."""
    one = _picture(1)
    images = [_bytes(one, "PNG"), _bytes(one, "BMP"), _bytes(one, "JPEG", quality=90), _bytes(_picture(2), "PNG"), b"no"]
    folder = tmp_path_factory.mktemp("gallery")
    (folder / "pool").mkdir()
    held = pl.Series([{"bytes": image, "path": None} for image in images], dtype=pl.Struct({"bytes": pl.Binary, "path": pl.String}))
    pl.DataFrame({"image": held, "text": [f"picture number {n}" for n in range(5)]}).write_parquet(folder / "pool" / "0.parquet")
    return folder, images


@pytest.mark.parametrize("stored", [True, False])
def test_a_picture_is_found_by_bytes_pixels_and_nearly(gallery, tmp_path, stored) -> None:
    folder, images = gallery
    keep = "{one_per: perceptual_duplicate}" if stored else '"text_length.words > 1"'
    made = Store.open(tmp_path / "store")
    verbs.run(
        Recipe.parse(f"errors_at_most: 0.5\nstages: {{one: {{keep: {keep}}}}}\nsubsets: [one]"),
        folder / "pool",
        store=made,
        executor=InProcess(),
    )
    (tmp_path / "asked.png").write_bytes(images[0])
    found = fates(made, image=tmp_path / "asked.png")
    assert [(one.places[0]["row"], one.match["image"]) for one in found.rows] == [(0, "equal bytes"), (1, "equal pixels"), (2, "near")]
    assert 0 < found.rows[2].match["distance"] <= 31
    hashed = "4 hashes from the store, 1 images hashed" if stored else "0 hashes from the store, 5 images hashed"
    assert any(hashed in note for note in found.notes)
    (tmp_path / "asked.png").write_bytes(b"no picture")
    with pytest.raises(CeterisError, match="cannot be decoded: not_an_image"):
        fates(made, image=tmp_path / "asked.png")
    with pytest.raises(CeterisError, match="cannot be read"):
        fates(made, image=tmp_path / "none.png")


def test_a_row_that_one_run_restricts_is_an_address_in_all(gallery, tmp_path) -> None:
    folder, images = gallery
    (tmp_path / "list.txt").write_text(hashlib.sha256(images[0]).hexdigest(), encoding="utf-8")
    made = Store.open(tmp_path / "store")
    free = '{stages: {one: {keep: "text_length.words > 1"}}, subsets: [one]}'
    listed = "{models: {list: {hash_list: {file: list.txt}}}, signals: {listed: {hash_match: {model: list}}}, restricted: listed.matched, "
    for recipe in (listed + free[1:], free):
        verbs.run(Recipe.parse(recipe, base=tmp_path), folder / "pool", store=made, executor=InProcess())
    uid = hex_of(Run.latest(made).uids())[0]
    (fate,) = fates(made, uid=uid).rows
    assert fate.state == "restricted"
    assert [bool(one.get("restricted")) for one in fate.runs] == [False, True]
    assert set(fate.story) == {"uid", "shard", "row", "stages", "values", "subsets"}
    assert "picture number" not in json.dumps(fate.to_json())
    alone = fates(made, uid=uid, run=Run.latest(made).folder.removeprefix("runs/")).rows[0]
    assert (alone.state, len(alone.runs), "text" in alone.story) == ("restricted", 1, False)
    assert {one.uid for one in fates(made, text="picture number").rows}.isdisjoint({uid})
    assert fates(made, text="picture number").found == 4
    (tmp_path / "asked.png").write_bytes(images[0])
    assert [(one.state, one.match["image"]) for one in fates(made, image=tmp_path / "asked.png").rows] == [
        ("restricted", "equal bytes"),
        ("", "equal pixels"),
        ("", "near"),
    ]
    # Nor does it leave by the run that knows of no restriction.
    with pytest.raises(CeterisError, match="1 rows of one are restricted by another run"):
        verbs.export(Run.latest(made).subset("one"), tmp_path / "out", layout="uids")
    with pytest.raises(CeterisError, match="1 rows of one are restricted by another run"):
        document(Run.latest(made), "one", tmp_path / "papers")
    told = CliRunner().invoke(app, ["why", uid, "--store", made.address])
    assert "restricted if listed.matched" in told.stdout
    assert "picture number" not in told.stdout


def test_a_duplicate_names_no_row_that_another_run_restricts(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    texts, ids = ["the same text twice", "the same text twice", "another text"], ["secret-id", "plain-id", "third-id"]
    pl.DataFrame({"text": texts, "uid": ids, "level": [1, 2, 3]}).write_parquet(tmp_path / "own" / "0.parquet")
    made = Store.open(tmp_path / "store")
    free = "{stages: {one: {keep: {one_per: exact_duplicate, prefer: [pool.level ORDER]}}}, subsets: [one]}"
    for order in ("asc", "desc"):
        verbs.run(Recipe.parse(free.replace("ORDER", order)), tmp_path / "own", store=made, executor=InProcess())
        assert "secret-id" in json.dumps(fates(made, uid="plain-id").to_json())
        barred = '{restricted: "pool.level == 1", stages: {one: {keep: "pool.level > 0"}}, subsets: [one]}'
        other = Store.open(shutil.copytree(made.address, tmp_path / order))
        verbs.run(Recipe.parse(barred), tmp_path / "own", store=other, executor=InProcess())
        first = Run.latest(made).folder.removeprefix("runs/")
        for run in (None, first):
            told = json.dumps(fates(other, uid="plain-id", run=run).to_json())
            assert "secret-id" not in told
            assert hex_of(Run.latest(other).uids()[:1])[0] not in told
        assert '"restricted"' in told


@pytest.mark.parametrize("indexed", [False, True])
def test_what_a_request_took_down_is_known_by_its_old_uid_and_url_and_by_nothing_else(place, tmp_path, indexed) -> None:
    made = Store.open(tmp_path / "store")
    verbs.run(Recipe.parse(RECIPE), place / "large", store=made, executor=InProcess())
    url = frame()["url"][1]

    def said(*arguments: str) -> str:
        told = CliRunner().invoke(app, [*arguments, "--store", made.address])
        assert told.exit_code == 0, told.output
        return told.stdout

    index(made)
    said("revoke", f"url:{url}", "--reason", "asked", "--yes")
    if indexed:
        (one,) = index(made)
        assert (one.made, one.records["uid"], one.records["url"]) == (("uid", "url", "host"), 8, 8)
    for arguments in (("why", UIDS[1]), ("why", "--url", url)):
        told = said(*arguments)
        assert "request 1" in told
        assert "reason asked" in told
        assert TEXTS[1] not in told
    found = fates(made, url=url)
    assert [one.state for one in found.rows] == ["revoked"]
    assert any("by the index" in note for note in found.notes) == indexed
    assert uses(made, source="host1.example").rows == {str(place / "large"): 3}
    assert "request 1" in said("trace", "--url", url)
    assert "1 rows of" in said("trace", "--uid", UIDS[1])
    with pytest.raises(CeterisError, match="has this text"):
        fates(made, text=TEXTS[1])


@pytest.mark.parametrize("asked", [{"text": ""}, {"uid": " "}, {"url": ""}])
def test_an_empty_question_is_refused(store: Store, asked: dict[str, str]) -> None:
    with pytest.raises(CeterisError, match="is no row's name"):
        fates(store, **asked)


def test_an_index_is_advised_where_it_is_felt(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    said = [fates(store, uid=UIDS[0]).notes, fates(store, url="https://host0.example/0").notes]
    assert not any("curate index" in note for notes in said for note in notes)
    monkeypatch.setattr("pipelines.provenance.fate.MANY", 5)
    said = [fates(store, uid=UIDS[0]).notes, fates(store, url="https://host0.example/0").notes]
    assert all("curate index" in note for notes in said for note in notes)


def test_a_folder_opened_in_two_ways_is_said_to_be_two_pools(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    pl.DataFrame({"text": ["one two three"], "body": ["one two four"]}).write_parquet(tmp_path / "own" / "0.parquet")
    recipe = Recipe.parse(RECIPE, where="recipe.yaml")
    for roles in ({}, {"text": "body"}):
        verbs.run(recipe, tmp_path / "own", store=tmp_path / "store", roles=roles, executor=InProcess())
    found = fates(Store.open(tmp_path / "store"), text="one two")
    assert found.found == 2
    (said,) = [note for note in found.notes if "2 pools" in note]
    assert "with other roles (text=body and text=text)" in said
    assert "another uid in each" in said
    assert not any("pools" in note for note in fates(Store.open(tmp_path / "store"), text="three").notes)
