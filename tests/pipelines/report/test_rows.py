"""Rows to look at: every reason has some, none that must not be shown is among them, pictures are only pixels."""

import base64
import hashlib
import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from curate.digest import hex_of
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from filters._image import ImageError
from pipelines import verbs
from pipelines.provenance.revoke import revoke
from pipelines.report import rows
from pipelines.report.evidence import Held
from pipelines.report.page import report
from pipelines.report.rows import Card, Shown, browse, fair_share, thumbnail
from pipelines.report.store_pages import Pages
from pipelines.report.thresholds import curves
from tests.pipelines.report.conftest import picture, write_rows


@pytest.fixture(scope="module")
def shown(hostile: Run) -> list[Shown]:
    """Every group of the run."""
    held = Held(hostile)
    return browse(held, curves(held))


def _cards(groups: list[Shown]) -> list[Card]:
    single = [card for one in groups for card, _ in one.cards]
    return single + [card for one in groups for pair in one.pairs for card in pair[:2] if isinstance(card, Card)]


def test_every_subset_reason_threshold_and_grouping_has_rows(shown: list[Shown]) -> None:
    titles = [(one.kind, one.title) for one in shown]
    assert [title for kind, title in titles if kind == "kept"] == ["more", "best"]
    dropped = [title for kind, title in titles if kind == "dropped"]
    assert dropped[:2] == ["basic: text_length.chars >= 3", "basic: image_shape.width >= 16"]
    assert ("no evidence", "basic: text_length.chars >= 3") in titles
    assert [kind for kind, _ in titles].count("near") == 5
    assert [title for kind, title in titles if kind == "quarantined"] == ["basic: image_shape.width >= 16"]
    assert titles[-1] == ("duplicates", "unique: exact_duplicate")


def test_the_rows_of_a_group_are_of_it(hostile: Run, shown: list[Shown]) -> None:
    for one in shown:
        for card, told in one.cards:
            fate = {stage: kind for stage, kind, _ in card.fate}
            if one.kind == "kept":
                assert one.title in card.subsets
            elif one.kind == "near":
                assert re.search(r"(passes|fails) [<>]=? ", told)
            else:
                assert fate[one.title.split(":")[0]] == one.kind
    for left, survivor, told in shown[-1].pairs:
        assert survivor is not None
        assert left.picture == survivor.picture
        assert told == "similarity 1.000"


@pytest.mark.parametrize(
    ("wanted", "at_most", "share"), [([12, 6, 1], 100, 12), ([12, 6, 1], 13, 6), ([12, 12, 12], 7, 2), ([12] * 30, 20, 1), ([], 5, 1)]
)
def test_cards_are_shared_out_so_that_every_group_has_some(wanted: list[int], at_most: int, share: int) -> None:
    assert fair_share(wanted, at_most) == share


def test_a_full_page_drops_no_group(hostile: Run, shown: list[Shown], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "AT_MOST", 3)
    held = Held(hostile)
    few = browse(held, curves(held))
    assert [(one.id, one.of) for one in few] == [(one.id, one.of) for one in shown]
    assert {one.shown for one in few} == {1}
    near = next(one for one in few if one.kind == "near")
    assert near.cards[0] in next(one for one in shown if one.id == near.id).cards[3:5]  # the nearest of all
    told = report(hostile)
    assert all(f"<b>1 of {one.of} shown</b>" in told for one in few)
    assert f"{len(few)} on this page, from all of {len(few)} groups" in told


def test_near_a_threshold_the_nearest_come_from_both_sides(hostile: Run, shown: list[Shown]) -> None:
    near = next(one for one in shown if one.kind == "near" and one.title.startswith("best"))
    words = [told.split()[1] for _, told in near.cards]
    assert words == ["passes"] * 4 + ["fails"] * 4
    values = [float(told.split()[0]) for _, told in near.cards]
    assert values == sorted(values, reverse=True)


def test_a_picture_that_cannot_be_decoded_says_so(shown: list[Shown]) -> None:
    group = next(one for one in shown if one.kind == "quarantined")
    (card, _), *_ = group.cards
    assert (card.picture, card.fault) == (None, "truncated_image") or card.fault in ("broken_image", "not_an_image")


def test_pictures_are_small_and_written_anew() -> None:
    big = Image.new("RGB", (900, 300), (200, 30, 30))
    about = Image.Exif()
    about[0x010E] = "a secret place"
    out = io.BytesIO()
    big.save(out, "JPEG", exif=about)
    address, size, _ = thumbnail(out.getvalue())
    data = base64.b64decode(address.removeprefix("data:image/webp;base64,"))
    assert size == (900, 300)
    assert Image.open(io.BytesIO(data)).size == (112, 37)
    assert b"secret" not in data
    assert b"EXIF" not in data
    with pytest.raises(ImageError, match="not_an_image"):
        thumbnail(b"<svg xmlns='http://www.w3.org/2000/svg'/>")


def _saved(image: Image.Image, form: str, **how: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **how)
    return out.getvalue()


def _bomb(side: int) -> bytes:
    """A PNG that says it is so large; its rows are not there."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("side", [7_000, 20_000])
def test_a_picture_that_says_it_is_huge_is_not_decoded(side: int) -> None:
    with pytest.raises(ImageError, match="too_large"):
        thumbnail(_bomb(side))


@pytest.mark.parametrize(
    ("form", "mode", "fill", "wanted"),
    [
        ("JPEG", "CMYK", (0, 255, 255, 0), (255, 0, 0)),
        ("PNG", "I;16", 65_535 // 2, (127, 127, 127)),
        ("PNG", "RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("GIF", "RGB", (255, 0, 0), (255, 0, 0)),
    ],
)
def test_pictures_of_all_kinds_are_shown_as_they_look(form: str, mode: str, fill: Any, wanted: tuple[int, int, int]) -> None:
    more = {"save_all": True, "append_images": [Image.new("RGB", (40, 30), (0, 0, 255))]} if form == "GIF" else {}  # it moves
    address, size, _ = thumbnail(_saved(Image.new(mode, (40, 30), fill), form, **more))
    seen = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert size == seen.size == (40, 30)
    assert getattr(seen, "n_frames", 1) == 1
    pixel = seen.convert("RGB").getpixel((20, 15))
    assert isinstance(pixel, tuple)
    assert all(abs(a - b) <= 12 for a, b in zip(pixel, wanted, strict=True)), pixel


BARRED = """
models:
  list: {hash_list: {file: list.txt}}
signals:
  listed: {hash_match: {model: list}}
restricted: listed.matched
stages:
  basic: {keep: "text_length.chars >= 3"}
  best: {after: basic, keep: {top: pool.quality, count: 20}}
subsets: [basic, best]
"""


def test_restricted_and_taken_down_rows_are_on_no_page_and_no_search_tells_of_them(tmp_path: Path) -> None:
    captions = tuple(f"row {n} of secrets{n}" for n in range(30))
    write_rows(tmp_path / "shards", captions, 32)
    (tmp_path / "list.txt").write_text("\n".join(hashlib.sha256(picture(n)).hexdigest() for n in (1, 3, 5)), encoding="utf-8")
    recipe = Recipe.parse(BARRED, base=tmp_path)
    run = verbs.run(recipe, tmp_path / "shards", store=tmp_path / "store", executor=InProcess())
    without = BARRED.replace("restricted: listed.matched\n", "").replace("best:", "finest:").replace("best]", "finest]")
    open_recipe = Recipe.parse(without, base=tmp_path)
    other = verbs.run(open_recipe, tmp_path / "shards", store=tmp_path / "store", executor=InProcess())
    uids = hex_of(run.uids())
    for _ in range(2):
        report(run, tmp_path / "before.html")
    report(run, tmp_path / "bare.html")
    (tmp_path / "bare.html").write_text("cut down by its owner", encoding="utf-8")
    urls = [f"https://pool.example/{n}?<b>{n}</b>" for n in (2, 4)]
    taken = revoke(urls, store=tmp_path / "store", yes=True, who="a test").touched["exports"]
    assert [(one["layout"], one["folder"], one["files"]) for one in taken] == [("report", str(tmp_path), ["before.html"])]
    hidden = (1, 2, 3, 4, 5)
    for one in (run, other):  # what one run restricts, no other shows
        said = {value for value, _ in verbs.mixes(one, ["text"], ["pool"])["text"].rows()}
        assert not said & {captions[n] for n in hidden}
        assert captions[6] in said
        told = report(Run(one.store, one.folder))
        assert "secrets6" in told
        assert not [n for n in hidden if re.search(rf"secrets{n}\b", told)]
        assert "?&lt;b&gt;6&lt;" in told
        assert not [n for n in hidden if f"?&lt;b&gt;{n}&lt;" in told]
    pages = Pages(Store.open(tmp_path / "store"), "/")
    for n in range(1, 7):
        asked = {"uid": uids[n], "url": f"https://pool.example/{n}?<b>{n}</b>", "text": f"row {n} of"}
        answers = {by: pages.search(by, value) for by, value in asked.items()}
        state = "restricted" if n in (1, 3, 5) else "revoked"
        for by, page in answers.items():
            assert bool(re.search(rf"secrets{n}\b", page)) == ("data:image/webp" in page) == (n == 6), (by, n)
        assert (f"{state}: nothing of it is shown" in answers["uid"]) == (n != 6)
        assert (f"{state}: nothing of it is shown" in answers["url"] or "Taken down on" in answers["url"]) == (n != 6)
    assert pl.read_parquet(tmp_path / "shards" / "part-0.parquet")["text"][1] == captions[1]  # the pool is the owner's


def test_cards_name_no_duplicate_that_another_run_restricts(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    texts, ids = ["the same text twice", "the same text twice", "another text"], ["secret-id", "plain-id", "third-id"]
    pl.DataFrame({"text": texts, "uid": ids, "level": [1, 2, 3]}).write_parquet(tmp_path / "own" / "0.parquet")
    free = "{stages: {one: {keep: {one_per: exact_duplicate, prefer: [pool.level ORDER]}}}, subsets: [one]}"
    barred = '{restricted: "pool.level == 1", stages: {one: {keep: "pool.level > 0"}}, subsets: [one]}'
    for order in ("asc", "desc"):
        store = tmp_path / order
        run = verbs.run(Recipe.parse(free.replace("ORDER", order)), tmp_path / "own", store=store, executor=InProcess())
        secret = hex_of(run.uids())[0]
        assert "secret-id" in report(run)
        verbs.run(Recipe.parse(barred), tmp_path / "own", store=store, executor=InProcess())
        told = report(run)
        assert "plain-id" in told
        assert "secret-id" not in told
        assert secret not in told
