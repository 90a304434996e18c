"""Which layout and which roles a file's column names mean."""

import pyarrow as pa
import pytest

from curate.errors import PoolError
from curate.layouts import LAYOUTS, kind_of, layout_named, recognise, unify

TEXT, URL = {"text": "String"}, {"url": "String"}
PICTURE = {"image": "image", "text": "String"}


@pytest.mark.parametrize(
    ("ending", "columns", "layout", "roles"),
    [
        ("parquet", PICTURE, "huggingface-image-text", {"image": "image", "text": "text"}),
        ("parquet", {"jpg": "bytes", "caption": "String"}, "image-text", {"image": "jpg", "text": "caption"}),
        ("jsonl", {"image": "String", "text": "String"}, "image-text", {"image": "image", "text": "text"}),
        (
            "parquet",
            {"uid": "String", **URL, **TEXT, "original_width": "Int64", "clip_b32_similarity_score": "Float32"},
            "datacomp-commonpool",
            {"text": "text", "uid": "uid", "url": "url"},
        ),
        (
            "parquet",
            {"URL": "String", "TEXT": "String", "LICENSE": "String", "similarity": "Float64"},
            "laion",
            {"license": "LICENSE", "text": "TEXT", "url": "URL"},
        ),
        (
            "parquet",
            {**TEXT, "id": "String", "dump": "String", **URL, "language": "String"},
            "fineweb",
            {"text": "text", "uid": "id", "url": "url"},
        ),
        (
            "jsonl",
            {"id": "String", **TEXT, "source": "String", "metadata": "nested JSON", "added": "String"},
            "dolma",
            {"observed": "added", "source": "source", "text": "text", "uid": "id"},
        ),
        ("jsonl", {**TEXT, **URL, "metadata": "nested JSON"}, "dclm", {"text": "text", "url": "url"}),
        ("parquet", {"Text": "String", "Licence": "String"}, "plain-text", {"license": "Licence", "text": "Text"}),
        ("txt", {"text": "String", "path": "String"}, "text-folder", {"text": "text"}),
        (
            "tar",
            {"caption": "String", "uid": "String", "key": "String", "image": "bytes", "txt": "String"},
            "webdataset",
            {"image": "image", "text": "txt", "uid": "uid"},
        ),
        (
            "parquet",
            {**URL, "caption": "String", "key": "String", "status": "String", "image": "bytes", "face_bboxes": "nested list<x>"},
            "img2dataset",
            {"face_boxes": "face_bboxes", "image": "image", "text": "caption", "url": "url"},
        ),
    ],
)
def test_layout_and_roles_are_recognised(ending, columns, layout, roles):
    found, named = recognise(ending, columns, "a")
    assert (found.name, named) == (layout, roles)


def test_layouts_own_names_are_never_ambiguous():
    columns = {"uid": "String", **URL, **TEXT, "caption": "String", "original_width": "Int64"}
    assert recognise("parquet", columns, "a")[1]["text"] == "text"
    with pytest.raises(PoolError, match=r"2 columns could be the role text: text, caption"):
        recognise("parquet", {**TEXT, "caption": "String"}, "a")


def test_alternatives_are_no_candidates():
    columns = {**PICTURE, "alt_text": "String", "caption_fr": "String", "image_url": "String", "source_license": "String"}
    assert recognise("parquet", columns, "a")[1] == {"image": "image", "text": "text"}


def test_nested_columns_are_no_candidates_where_a_scalar_is():
    assert recognise("parquet", {**TEXT, "source": "nested struct", "Source": "String"}, "a")[1]["source"] == "Source"
    assert "license" not in recognise("parquet", {**TEXT, "license": "nested list"}, "a")[1]


def test_override_wins_and_an_empty_one_takes_the_role_away():
    columns = {"uid": "String", **TEXT, "caption": "String"}
    assert recognise("parquet", columns, "a", overrides={"text": "caption"})[1] == {"text": "caption", "uid": "uid"}
    assert recognise("parquet", columns, "a", overrides={"text": "caption", "uid": ""})[1] == {"text": "caption"}
    assert recognise("parquet", columns, "a", overrides={"text": "text", "observed": "caption"})[1]["observed"] == "caption"


def test_image_override_decides_the_layout():
    assert recognise("parquet", {**TEXT, "photo": "image"}, "a", overrides={"image": "photo"})[0].name == "huggingface-image-text"
    assert recognise("parquet", {**TEXT, "photo": "bytes"}, "a", overrides={"image": "photo"})[0].name == "image-text"


@pytest.mark.parametrize(
    ("columns", "given", "match"),
    [
        (TEXT, {"layout": "fineweb2"}, r"no layout is called 'fineweb2'; did you mean 'fineweb'"),
        (TEXT, {"layout": "fineweb"}, r"layout fineweb has columns id, text, url, dump; missing here: id, url, dump; found text"),
        (TEXT, {"layout": "text-folder"}, r"layout text-folder is made of txt files"),
        ({"content": "String"}, {}, r"no text column among content"),
        ({}, {}, r"no text column among \(none\)"),
        (TEXT, {"overrides": {"text": "txet"}}, r"role text names the column 'txet', which is not there; did you mean 'text'"),
        (TEXT, {"overrides": {"not a role": "text"}}, r"'not a role' cannot be a role"),
        (
            {"text": "nested list<item: string>"},
            {},
            r"column 'text' cannot be the role text: found nested list<item: string>, expected text",
        ),
        (
            {**TEXT, "image": "nested list"},
            {},
            r"column 'image' cannot be the role image: found nested list, expected struct\{bytes, path\}, binary or a path",
        ),
    ],
)
def test_what_cannot_be_a_pool_says_why(columns, given, match):
    with pytest.raises(PoolError, match=match) as raised:
        recognise("parquet", columns, "shards/a.parquet", **given)
    assert raised.value.fix


def test_every_layout_is_found_by_its_name():
    assert [layout_named(layout.name) for layout in LAYOUTS] == list(LAYOUTS)


@pytest.mark.parametrize(
    ("arrow", "kind"),
    [
        (pa.large_string(), "String"),
        (pa.string_view(), "String"),
        (pa.dictionary(pa.int32(), pa.string()), "String"),
        (pa.large_binary(), "bytes"),
        (pa.uint8(), "UInt8"),
        (pa.float16(), "Float32"),
        (pa.decimal128(10, 2), "Float64"),
        (pa.timestamp("ns"), "Datetime"),
        (pa.timestamp("s", "Europe/Paris"), "Datetime UTC"),
        (pa.date32(), "Date"),
        (pa.null(), "Null"),
        (pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "image"),
        (pa.struct([("bytes", pa.binary())]), "image"),
        (pa.list_(pa.float32()), "nested list<item: float>"),
    ],
)
def test_kind_of_arrow_type(arrow, kind):
    assert kind_of(arrow) == kind


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("Int8", "Int32", "Int64"),
        ("UInt8", "UInt64", "UInt64"),
        ("UInt8", "Int8", "Int64"),
        ("Int64", "Float32", "Float64"),
        ("Null", "image", "image"),
        ("String", "Null", "String"),
        ("String", "Int64", None),
        ("Boolean", "Int8", None),
        ("Date", "Datetime", None),
        ("image", "bytes", None),
    ],
)
def test_what_two_kinds_have_in_common(one, other, both):
    assert unify(one, other) == unify(other, one) == both
