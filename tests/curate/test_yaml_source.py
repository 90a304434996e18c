"""YAML 1.2 as plain values with places: what is read, what is refused, and that writing gives it back."""

import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.errors import RecipeError
from curate.yaml_source import Number, plain, read, without_text, write


def value(text):
    return read(text, where="r.yaml").value


@pytest.mark.parametrize("word", ["no", "No", "yes", "on", "off", "n", "y", "NO"])
def test_norwegian_stays_text(word):
    assert value(f"code: {word}") == {"code": word}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-4", 1e-4),
        ("0.29", 0.29),
        (".5", 0.5),
        ("-3", -3),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("~", None),
        ("", None),
        ("null", None),
        ("True", True),
        ("false", False),
        ("'1e-4'", "1e-4"),
        ('"true"', "true"),
        ("<<", "<<"),
    ],
)
def test_plain_words_are_what_yaml_1_2_says(text, expected):
    found = value(f"a: {text}")["a"]
    assert found == expected
    assert isinstance(found, type(expected))


def test_numbers_keep_the_text_they_were_written_as():
    found = value("a: 0.290")["a"]
    assert isinstance(found, Number)
    assert (found, found.text) == (0.29, "0.290")
    assert type(without_text({"a": [found]})["a"][0]) is float


def test_every_key_and_value_has_its_place():
    source = read("a:\n  b: [x, 'y']\n  c: |\n    text\nd: {e: 1}\n", where="r.yaml")
    assert source.at(("a", "b", 1)) == "r.yaml:2:11"
    assert source.at(("a", "b"), key=True) == "r.yaml:2:3"
    assert source.at(("a", "c")) == "r.yaml:4:5"
    assert source.at(("d", "e")) == "r.yaml:5:8"
    assert source.at(("d", "nowhere", "at all")) == "r.yaml:5:4"
    assert source.at(("nowhere",)) == "r.yaml:1:1"


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("a: 1\nb: 2\na: 3", ":3:1", "the key a occurs twice; first at r.yaml:1:1"),
        ("x: {a: 1, a: 2}", ":1:11", "the key a occurs twice; first at r.yaml:1:5"),
        ("1: x\n'1': y", ":2:1", "the key 1 occurs twice"),
        ("a: &x 1\nb: *x", ":1:4", "anchors and aliases (& and *) are not read"),
        ("a: !!python/object/apply:os.system [x]", ":1:4", "tags such as tag:yaml.org,2002:python/object/apply:os.system are not read"),
        ("a: .nan", ":1:4", ".nan is not a finite number"),
        ("a: 1e999", ":1:4", "1e999 is not a finite number"),
        ("a: " + "1" * 65, ":1:4", "a number of more than 64 characters"),
        ("? [a]\n: 1", ":1:3", "a key must be text"),
        ("a: [1, 2", ":1:9", "not YAML: expected ',' or ']'"),
        ("a: b: c", ":1:5", "not YAML: mapping values are not allowed here"),
        ("\ta: 1", ":1:1", "not YAML: found character '\\t'"),
        ("--- 1\n--- 2", ":2:1", "one document of YAML 1.2 is read"),
        ("%YAML 1.1\n---\na: 1", ":2:1", "one document of YAML 1.2 is read"),
        ("a: " + "[" * 30 + "]" * 30, ":1:24", "nested more than 20 deep"),
        ("a: \0", ":1:4", "not YAML: a character that has no place"),
        ("a: " + "x" * (1 << 20), "", "more than 1 MiB of YAML"),
    ],
)
def test_what_is_no_plain_data_is_refused_at_its_place(text, place, what):
    with pytest.raises(RecipeError, match=re.escape(f"r.yaml{place}: {what}")):
        value(text)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False).map(Number) | TEXT
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXT, v, max_size=3), max_leaves=8)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_written_values_read_back_equal(data):
    back = value(write(data)) or {}
    assert back == data
    assert repr(back) == repr(data)


def test_python_values_become_what_yaml_would_have_given():
    made = plain({"a": (1, 0.25, None), 2: Fraction(1, 3), "p": Path("x/y")}, "set")
    assert made == {"a": [1, 0.25, None], "2": "1/3", "p": "x/y"}
    assert made["a"][1].text == "0.25"
    for bad in (float("nan"), object(), {1, 2}, b"bytes"):
        with pytest.raises(RecipeError, match=r"is nothing a recipe can hold"):
            plain({"a": [bad]}, "set")
