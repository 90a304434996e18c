"""A sweep of recipes with one mistake each: every error says file, line and column, what is wrong, and what to do."""

import re
from pathlib import Path

import polars as pl
import pytest

from curate.errors import CeterisError
from curate.recipe import Recipe
from pipelines import verbs

WHOLE = """\
pool: {path: p/}
signals:
  twins: {near_duplicate_text: {words: 5, threshold: 0.8}}
stages:
  long: {keep: "text_length.words >= 20 and language.code == 'en'"}
  uniq: {after: long, keep: {one_per: twins, prefer: [text_length.chars desc]}}
  best: {after: uniq, keep: {top: text_length.words, fraction: 0.3}}
  both: {any_of: [uniq, best]}
subsets: [best, both]
evaluate: {scale: tiny-text, seeds: 3}
"""
TWINS = "{near_duplicate_text: {words: 5, threshold: 0.8}}"
KEEP = "\"text_length.words >= 20 and language.code == 'en'\""
KEYS = [
    "pool",
    "path",
    "signals",
    "threshold",
    "stages",
    "keep",
    "after",
    "one_per",
    "prefer",
    "top",
    "fraction",
    "any_of",
    "subsets",
    "evaluate",
    "scale",
    "seeds",
]
CHANGED = [
    *[(f"{key}:", f"{key[:-1]}x:") for key in KEYS],
    ("near_duplicate_text", "near_duplicat_text"),
    ("{path: p/}", "{path: p/, layout: parket}"),
    ("{path: p/}", "{path: p/, layot: x}"),
    ("{path: p/}", "{path: p/, roles: [text]}"),
    ("{path: p/}", "{path: p/, roles: {text: nope}}"),
    ("{path: p/}", "{}"),
    ("p/", "q/"),
    ("p/", "5"),
    ("{path: p/}", "[p/]"),
    ("long: {keep", "long: {after: best, keep"),
    ("after: long", "after: uniq"),
    ("after: long", "after: lang"),
    ("after: long", "after: [long]"),
    ("[uniq, best]", "[uniq, bst]"),
    ("[uniq, best]", "[]"),
    ("[uniq, best]", "uniq"),
    ("any_of: [uniq, best]", "minus: [uniq]"),
    ("any_of: [uniq, best]", "any_of: [uniq, best], after: long"),
    ("[best, both]", "[best, bth]"),
    ("[best, both]", "[best, best]"),
    ("[best, both]", "best"),
    ("[best, both]", "[1]"),
    *[("seeds: 3", f"seeds: {value}") for value in ("three", "0", "-1", "1.5", "true", "10k", "!!int 3", "3, seeds: 4", "9" * 80)],
    *[
        ("fraction: 0.3", one)
        for one in ("fraction: 1.3", "fraction: a third", "fraction: 30%", "fraction: -0.3", "fraction: 0.3, count: 3")
    ],
    *[
        ("fraction: 0.3", one)
        for one in ("count: 3.5", "count: 10k", "count: -1", "tokens: 100", "fraction: 0.3, ties: kep", "fraction: .inf")
    ],
    *[("top: text_length.words", f"top: {one}") for one in ("text_length.words up", "text_length.word", "language.code", "words", "5")],
    ("[text_length.chars desc]", "text_length.chars desc"),
    ("chars desc", "chars down"),
    ("chars desc", "char desc"),
    *[("one_per: twins", f"one_per: {one}") for one in ("twns", "text_length", "twins, keeper: diret", "twins, against: nowhere/")],
    *[("0.8", one) for one in ("high", "1.8", "0.1", ".nan")],
    *[("words: 5", one) for one in ("words: five", "word: 5", "words: [5]", "words:")],
    (TWINS, "{near_duplicate_text: {}, language: {}}"),
    (TWINS, "near_duplicate_text"),
    (TWINS, "{}"),
    ("long: {keep", "pool: {keep"),
    ("long: {keep", '"a b": {keep'),
    ("long: {keep", "a/b: {keep"),
    ("{any_of: [uniq, best]}", ""),
    ("uniq: {after", "long: {after"),
    ("  long:", "\tlong:"),
    ("  uniq:", "   uniq:"),
    ("{after: long,", "&x {after: long,"),
    ("[best, both]", "*x"),
    ("[best, both]", "[best, both"),
    ("{after: long,", "{<<: *a, after: long,"),
    ("== 'en'\"", "== 'en'"),
    ("  twins:", "  match: {clip_score: {model: nope}}\n  twins:"),
]
RULES = [
    "",
    "[a]",
    "5",
    "true",
    '""',
    "{}",
    "a: b: c",
    "{random: 0.5, seed: 1, top: text_length.words}",
    "{best: 5}",
    "{random: half, seed: 1}",
    "{random: 2.5, seed: 1}",
    "{random: 0.5}",
    "{random: 0.5, seed: x}",
    "{repeat: 0}",
    "{repeat: x}",
    "{mix: {a: 0.5}, by: pool.source, seed: 1}",
    "{mix: {s: 1}, seed: 1}",
    "{mix: web, by: pool.source, seed: 1}",
    "{balance: pool.sorce, at_most: 2, seed: 0}",
    "{balance: pool.source, seed: 0}",
    "{soft_cap: text_length.words, penalty: x, count: 2, seed: 0}",
    "{soft_cap: text_length.words, penalty: 1, seed: 0}",
]
EXPRESSIONS = [
    "text_length.words >=",
    "text_length.words = 5",
    "words > 5",
    "text_length.words > 'a'",
    "language.code > 5",
    "text_length.words in 5",
    "text_length.words in []",
    "(text_length.words > 5",
    "text_length.words > 5)",
    "text_length.words > 5 an text_length.chars > 2",
    "text_length.words + 'a' > 1",
    "not",
    "text_length.words",
    "text_length.words > 1 > 2",
    "language.code == en",
    "language.code == 'en",
    "pool.nope == 1",
    "`pool.no",
    "import os",
    "text_length.words > 1e999",
    "sum(text_length.words) > 1",
    "language.code is 5",
    "nofilter.x > 1",
    "text_length.words > 10k",
    "text_length.words == None",
    "language.code in ['en', 5]",
    "license.class > 'open'",
    "twins.group == 1",
    "clip_score.score > .2",
    "image_shape.width > 3",
    "a.b.c > 1",
    "&& 1",
    "5 > 3",
    "None",
    "text_length.words / 0 > 1",
    "text_length.words <> 5",
    "'a' in language.code",
    "language.prob > 20%",
    "text_length.words \u2265 5",
]
ADDED = [
    "pool: {path: q/}",
    "errors_at_most: 5%",
    "errors_at_most: 2",
    "---\na: 1",
    "? [a]\n: b",
    "x: \x01",
    "x: " + "[" * 30 + "]" * 30,
    "models: [a]",
    "restricted: {top: text_length.words, count: 1}",
    "restricted: nope.x",
    "restricted:",
    "models:\n  m: {open_clp: {}}",
    "stage: {}",
    "models:\n  m: {open_clip: {nam: x}}",
]
TEXTS = [
    *[WHOLE.replace(old, new, 1) for old, new in CHANGED],
    *[WHOLE.replace(KEEP, rule, 1) for rule in RULES],
    *[WHOLE.replace(KEEP, f'"{expression}"', 1) for expression in EXPRESSIONS],
    *[f"{WHOLE}{line}\n" for line in ADDED],
    *["", "null\n", "- a\n", "5\n", "stages: [a]\n", "%YAML 1.1\n---\n" + WHOLE, "\ufeff" + WHOLE.replace("seeds:", "seds:")],
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sweep")
    (made / "p").mkdir()
    pl.DataFrame({"uid": ["a", "b"], "text": ["x y", "z"], "source": ["s", "t"]}).write_parquet(made / "p" / "0.parquet")
    return made


def test_the_recipe_without_a_mistake_is_planned(folder: Path) -> None:
    (folder / "whole.yaml").write_text(WHOLE, encoding="utf-8")
    assert list(verbs.plan(Recipe.load(folder / "whole.yaml"), store=folder / "store").plan.nodes) == [
        "pool",
        "long",
        "uniq",
        "best",
        "both",
    ]


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_every_mistake_has_a_place_and_a_remedy(folder: Path, number: int) -> None:
    (folder / "r.yaml").write_text(TEXTS[number], encoding="utf-8", newline="")
    with pytest.raises(CeterisError, match=r"r\.yaml:\d+:\d+") as caught:
        verbs.plan(Recipe.load(folder / "r.yaml"), store=folder / "store")
    error = caught.value
    assert re.search(r"r\.yaml:\d+:\d+", error.where), error
    assert error.what, error
    assert error.fix, error


@pytest.mark.parametrize(
    ("old", "new", "fix"),
    [
        ("seeds:", "seds:", "did you mean seeds?"),
        ("fraction: 0.3", "fraction: 30%", "without a percent sign"),
        ("== 'en'", "== 5", "write the text in quotes"),
        (">= 20", ">= '20'", "write a number, without quotes"),
        ("  long:", "\tlong:", "indent by spaces"),
        ("[uniq, best]", "[uniq]", "name at least 2"),
    ],
)
def test_the_remedy_fits(folder: Path, old: str, new: str, fix: str) -> None:
    (folder / "r.yaml").write_text(WHOLE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CeterisError, match=re.escape(fix)) as caught:
        verbs.plan(Recipe.load(folder / "r.yaml"), store=folder / "store")
    assert fix in caught.value.fix
