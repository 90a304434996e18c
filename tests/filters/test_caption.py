import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from filters._caption_patterns import BOILERPLATE, FILES, FORMS
from filters._caption_words import KINDS, WORDS
from filters.caption import caption


def _of(*texts: str | None, sources: list[str | None] | None = None) -> pl.DataFrame:
    rows = {"text": texts, "caption_source": sources or [None] * len(texts)}
    return caption(pl.DataFrame(rows, schema={"text": pl.String, "caption_source": pl.String}))


def test_colours_counts_and_places_are_counted_and_listed() -> None:
    found = _of(
        "Two red squares, one Blue circle next to them",
        "red-red RED; redder",
        "a cat in front of a dog, on the left of the frame",
        "nothing of the kind",
        "",
        None,
    )
    columns = found.select("words", "colours", "counts", "spatial").rows()
    assert columns == [(9, 2, 2, 1), (3, 3, 0, 0), (13, 0, 0, 2), (4, 0, 0, 0), (0, 0, 0, 0), (None,) * 4]
    said = [None if one is None else sorted(WORDS[number] for number in np.frombuffer(one, "<u4")) for one in found["said"]]
    assert said[0] == ["blue", "next to", "one", "red", "two"]
    assert said[1:2] + said[3:] == [["red"], [], [], None]


def test_no_word_is_of_two_kinds_and_a_longer_phrase_hides_the_shorter_in_it() -> None:
    assert len(set(WORDS)) == len(WORDS)
    assert all(re.fullmatch("[a-z]+( [a-z]+)*", word) for word in WORDS)
    assert list(KINDS.values())[-1][1] == len(WORDS)
    assert _of("walks across from it", "across")["spatial"].to_list() == [1, 1]
    assert _of("on the left of it")["spatial"].to_list() == [1]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Image may contain: 2 people, sky", "may contain"),
        ("May be an image of text", "may contain"),
        ("No photo description available.", "may contain"),
        ("Click to enlarge", "enlarge"),
        ("Harbour at dusk (click here for a larger view)", "enlarge"),
        ("View larger map", "enlarge"),
        ("Image not available", "placeholder"),
        ("No image", "placeholder"),
        ("Icon", "placeholder"),
        ("Royalty-Free Stock Photo of a lake", "stock"),
        ("Sunset - Getty Images", "stock"),
        ("© 2019 A. Person", "rights"),
        ("Photo by A. Person", "rights"),
        ("Add to Cart", "shop"),
        ("Shirt 50% off", "shop"),
        ("Share on Facebook", "share"),
        ("Read more", "page"),
        ("go to slide 3", "page"),
        ("a red logo on a white van", None),
        ("a boy may be seen at the image of a saint", None),
        ("the stock pot is on the stove", None),
        ("a child shares an apple", None),
        ("click beetle on a leaf", None),
    ],
)
def test_stock_phrases(text: str, kind: str | None) -> None:
    assert _of(text)["boilerplate"].to_list() == [kind]
    assert _of(f"{text} ", text.upper())["boilerplate"].to_list() == [kind] * 2


@pytest.mark.parametrize(
    ("text", "kind", "form"),
    [
        ("IMG_1234.jpg", "camera", "camera"),
        ("DSC00123", "camera", "camera"),
        ("_DSC0042 copy", "camera", None),
        ("P1010101.JPG", "camera", "camera"),
        ("a dog (IMG_1234)", "camera", None),
        ("image-0042.png", "camera", "camera"),
        ("Screenshot 2020-01-02 at 10.11.12.png", "screenshot", "screenshot"),
        ("9f86d081884c7d659a2feaa0c55ad015", "hash", "hash"),
        ("123e4567-e89b-12d3-a456-426614174000.jpg", "hash", "hash"),
        ("holiday-beach.jpeg", "file", "file"),
        ("https://example.org/a.png", "url", "url"),
        ("see www.example.org for more", "url", None),
        ("12/03/2015", None, "date"),
        ("March 3rd, 2015 10:12 pm", None, "date"),
        ("2015-03-12", None, "date"),
        ("Sat 12 Mar 2015", None, "date"),
        ("$12.99", None, "price"),
        ("Only £5 - £10!", None, "price"),
        ("12,50 EUR", None, "price"),
        ("300 x 250 px", None, "size"),
        ("12345", None, "number"),
        ("#7", None, "number"),
        ("***", None, "symbols"),
        ("a dog, 3 March 2015", None, None),
        ("a $5 note", None, None),
        ("imagine 2000 dimensions", None, None),
        ("the deed of 1850", None, None),
        ("", None, None),
    ],
)
def test_names_of_files_and_what_is_no_caption(text: str, kind: str | None, form: str | None) -> None:
    assert _of(text).select("file", "form").rows() == [(kind, form)]


def test_every_kind_of_pattern_is_met_by_a_test() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    for kind in (*BOILERPLATE, *FILES, *FORMS):
        assert source.count(f'"{kind}"') >= 1, kind


def test_shares_of_capitals_and_digits() -> None:
    found = _of("ALL CAPS 12", "Aa1 ", "日本語", "123", " ", "", "ÄÖä", None)
    assert found["upper"].to_list() == pytest.approx([1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 2 / 3, None])
    assert found["digits"].to_list() == pytest.approx([2 / 9, 1 / 3, 0.0, 1.0, 0.0, 0.0, 0.0, None])


def test_who_wrote_it_is_read_from_the_role() -> None:
    kinds = {
        "human": ["human", "Crowd workers", "annotator_7", "spoken-transcript"],
        "alt-text": ["alt", "alt_text", "html title", "alttext"],
        "synthetic": [
            "synthetic",
            "BLIP-2",
            "blip2_large",
            "raw_blip",
            "gpt-4o",
            "model:coca",
            "generated from alt-text",
            "human-like LLM",
        ],
        "unknown": ["", "somewhere", "github", "aircraft", "philosophy", "digital", None],
    }
    for kind, sources in kinds.items():
        found = _of(*["a dog"] * len(sources), sources=sources)
        assert found["writer"].to_list() == [kind] * len(sources), sources
        assert found["written_by"].to_list() == sources
