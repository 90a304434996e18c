"""The recipes of published text rules: they plan and run on real text, and a text that breaks one rule leaves for that rule."""

import ast
import itertools
import re
import sysconfig
from pathlib import Path

import polars as pl
import pytest

from curate import InProcess, Recipe
from curate.plan import Reason
from curate.record import Run
from pipelines import verbs

RECIPES = Path(__file__).parents[2] / "pipelines" / "recipes"
LAST = {"gopher": "unrepetitive", "c4": "english", "fineweb": "unique", "refinedweb": "corrected"}

LINES = """\
The harbour of the old town lies between two hills that keep out the wind.
Every morning, long before sunrise, the fishing boats leave for the open sea.
People say that the water was once deep enough to carry large merchant ships.
Today only small ferries and a few sailing yachts still find their way here.
My grandmother used to sell bread and oranges with her sister near the market hall.
She remembered storms which threw heavy stones over the wall into the street.
After the war, most of the young families moved away to look for work elsewhere.
Their houses stood empty until painters discovered how clear our winter light is.
Now there are galleries, a cinema, and even a school where children learn to dance.
Some neighbours complain about noise in summer, but few would want to have it back as it was.
What I like best is walking along the pier at night, listening to ropes and chains.
If you come to visit us, bring a warm coat, good shoes and plenty of time!""".splitlines()
GOOD = "\n".join(LINES)
WORDS = ["".join(letters) for letters in itertools.product("bdfg", "aeiou", "klmn", "aeiou", "prst")]  # all of five letters
TWIN = "\n".join(reversed(LINES))
THREES = """\
Internationally misunderstood orchestras.
Beautifully photographed landscapes.
Extraordinarily comfortable furniture.
Unquestionably magnificent craftsmanship.
Overwhelmingly sentimental decorations.
Understandably disappointed grandparents.
Professionally manufactured instruments.
Particularly uncomfortable circumstances.
The cat ran.
That dog sat.
My aunt sang.
An old song.
To be glad.
We all ate.
Red wine helped.
She read books.
The sun rose.
Her son left.
No rain fell.
Our car broke.
Big trees grew.
He had fun."""


def _filled(phrase: str) -> str:
    """The good text's words with a phrase after each tenth."""
    words = GOOD.split()
    return " ".join(f"{' '.join(words[i : i + 10])} {phrase}" for i in range(0, len(words), 10))


def _copied(n: int, copies: int, total: int) -> str:
    """`total` words, all different but for `copies` runs of n words that stand there twice, far apart."""
    fresh = iter(WORDS)
    runs = [[next(fresh) for _ in range(n)] for _ in range(copies)]
    rest = [next(fresh) for _ in range(total - 2 * n * copies - 4)]
    parts = [["the"], *runs, ["and"], *([*run, rest.pop()] for run in runs), rest, ["of", "to"]]
    return " ".join(word for part in parts for word in part)


def _without_stop_words(text: str) -> str:
    return re.sub(r"(?i)\b(the|be|to|of|and|that|have|with)\b", "our", text)


BROKEN = {  # recipe: clause: a text that breaks it and none before
    "gopher": {
        "gopher_quality.words >= 50": " ".join(GOOD.split()[:49]),
        "gopher_quality.words <= 100000": " ".join(f"{word}{i}" for i in range(201) for word in WORDS),
        "gopher_quality.mean_length >= 3": GOOD + " a b" * 150,
        "gopher_quality.mean_length <= 10": "the of " + " ".join(f"{a}{b}rst" for a, b in itertools.pairwise(WORDS[:80])),
        "gopher_quality.hashes <= 0.1": GOOD + " #" * 20,
        "gopher_quality.ellipses <= 0.1": GOOD + " …" * 20,
        "gopher_quality.bullet_lines <= 0.9": "\n".join(f"- {line}" for line in LINES),
        "gopher_quality.ellipsis_lines <= 0.3": GOOD.replace(".\n", "...\n", 4),
        "gopher_quality.alphabetic >= 0.8": GOOD + "".join(f" {n}" for n in range(1000, 1060)),
        "gopher_quality.stop_words >= 2": _without_stop_words(GOOD),
        "gopher_repetition.duplicate_lines <= 0.30": GOOD + "\nYes." * 8,
        "gopher_repetition.duplicate_line_chars <= 0.20": "\n".join(LINES + LINES[:4]),
        "gopher_repetition.top_2_gram <= 0.20": " ".join(f"{word} mighty elephants" for word in GOOD.split()),
        "gopher_repetition.top_3_gram <= 0.18": _filled("a b antidisestablishmentarianism"),
        "gopher_repetition.top_4_gram <= 0.16": _filled("a b c antidisestablishmentarianism"),
        "gopher_repetition.duplicate_5_grams <= 0.15": _copied(5, 4, 100),
        "gopher_repetition.duplicate_6_grams <= 0.14": _copied(6, 3, 100),
        "gopher_repetition.duplicate_7_grams <= 0.13": _copied(7, 3, 130),
        "gopher_repetition.duplicate_8_grams <= 0.12": _copied(8, 2, 100),
        "gopher_repetition.duplicate_9_grams <= 0.11": _copied(9, 2, 120),
        "gopher_repetition.duplicate_10_grams <= 0.10": _copied(10, 2, 150),
    },
    "c4": {
        "not page.lorem_ipsum": GOOD + "\nHere stands Lorem Ipsum dolor.",
        "not page.curly_bracket": GOOD + "\nThis line has a { in it.",
        "page.sentences >= 5": "\n".join(LINES[:4]),
        "language.code == 'en'": "Der alte Hafen liegt zwischen zwei Hügeln. Früh am Morgen fahren die Boote hinaus.\n" * 4,
    },
    "fineweb": {
        "gopher_repetition.duplicate_paragraphs <= 0.30": "\n\n".join(LINES + ["Yes."] * 8),
        "gopher_repetition.duplicate_paragraph_chars <= 0.20": "\n\n".join(LINES + LINES[:4]),
        "not page.curly_bracket": GOOD + "\nThis line has a { in it",
        "page.sentences >= 5": " ".join(LINES[:4]).replace(".", ",") + " " + " ".join(LINES[4:8]).replace(".", ";"),
        "left.punctuated_lines >= 0.12": "\n".join(line[:-1] for line in LINES),
        "left.short_lines <= 0.67": "\n".join(" ".join(line.split()[i : i + 5]) for line in LINES for i in range(0, len(line.split()), 5)),
        "left.duplicate_line_chars <= 0.01": "\n".join([*LINES, LINES[3]]),
        "left.newlines_per_word <= 0.3": THREES,
    },
    "refinedweb": {
        "shape.hashes + shape.ellipses <= 0.1": GOOD + " # . . ." * 15,
        "shape.bullet_lines <= 0.9": "\n\n".join(f"● {line}" for line in LINES),
        "shape.ellipsis_lines <= 0.3": "\n\n".join([*LINES[:6], *(f"{line} . . ." for line in LINES[6:])]),
        "shape.stop_word_uses >= 2": _without_stop_words(GOOD),
        "refinedweb_text.removed_words <= 0.05": "\n".join([*LINES, "About", "Contact", "LOG IN TO CONTINUE", "12 likes", "Share", "2024"]),
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def docstrings() -> list[str]:
    """The 300 longest of the standard library."""
    found: list[str] = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        texts = (ast.get_docstring(node) for node in nodes if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
        found += [text for text in texts if text]
    return sorted(found, key=len)[-300:]


@pytest.fixture(scope="module", params=sorted(LAST))
def run(request: pytest.FixtureRequest, docstrings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A recipe run, after its plan, on real texts, the good one, and those that break it."""
    folder, store = (tmp_path_factory.mktemp(name) for name in ("texts", "store"))
    texts = [*docstrings, None, "", GOOD, TWIN, f"{TWIN} And so on.", *BROKEN[request.param].values()]
    pl.DataFrame({"text": texts}).write_parquet(folder / "a.parquet")
    recipe = Recipe.load(RECIPES / f"{request.param}.yaml")
    plan = verbs.plan(recipe, folder, store=store).plan
    assert [name for name in plan.nodes if name != "pool"] == list(recipe.stages)
    return verbs.run(recipe, folder, store=store, executor=InProcess())


def _reasons(run: Run) -> dict[str | None, Reason]:
    """Why each text is where it is at the recipe's last stage."""
    last = LAST[run.facts["name"]]
    texts = pl.read_parquet(run.pool.root)["text"].to_list()
    decided = run.decided(last)
    return {text: decided.reasons[code] for text, code in zip(texts, run.codes(last).tolist(), strict=True)}


def test_every_recipe_of_text_rules_is_tried() -> None:
    of_images = {"dfn", "laion2b", "metaclip", *(path.stem for path in RECIPES.glob("datacomp-*.yaml"))}  # test_image_recipes.py tries them
    assert {path.stem for path in RECIPES.glob("*.yaml")} - {"demo", "demo-text", "python-docs"} - of_images == set(LAST) == set(BROKEN)


def test_a_text_that_breaks_one_rule_leaves_for_it(run: Run) -> None:
    reasons = _reasons(run)
    found = {clause: reasons[text].text for clause, text in BROKEN[run.facts["name"]].items()}
    assert found == {clause: clause for clause in found}


def test_a_good_text_stays_and_no_text_does_not(run: Run) -> None:
    reasons = _reasons(run)
    assert reasons[GOOD].kind == "in"
    assert (reasons[None].kind, reasons[""].kind) == ("no evidence", "dropped")


def test_of_two_that_differ_little_one_stays(run: Run) -> None:
    reasons = _reasons(run)
    kinds = sorted(reasons[text].kind for text in (TWIN, f"{TWIN} And so on."))
    assert kinds == (["dropped", "in"] if run.facts["name"] == "fineweb" else ["in", "in"])


def test_real_text_is_neither_all_kept_nor_all_dropped_and_nothing_fails(run: Run) -> None:
    counts = run.funnel()
    assert counts[0]["in"] == 300 + 5 + len(BROKEN[run.facts["name"]])
    for stage in counts[1:]:
        assert 100 < stage["kept"] <= stage["in"]
        assert stage["in"] - stage["kept"] == sum(reason["rows"] for reason in stage["reasons"])
        assert {reason["kind"] for reason in stage["reasons"]} <= {"dropped", "no evidence"}
    assert counts[-1]["kept"] < counts[0]["in"] * 0.95
