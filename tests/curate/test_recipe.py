"""Recipes: what they say, what identifies them, how they are changed, and where their mistakes are."""

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest

from curate.errors import RecipeError
from curate.recipe import Evaluate, Part, Recipe
from curate.rule import Expr, OnePer, Top

TEXT = """\
pool: {path: shards/, layout: huggingface-image-text}
models:
  matcher: {filter_network: {trusted: trusted/, seed: 0}}
signals:
  match: {clip_score: {model: matcher}}
  twins: {near_duplicate_image: {bits: 6}}
stages:
  basic:    {keep: "text_length.words > 2 and text_length.chars > 5"}
  english:  {after: basic, keep: "language.code == 'en' and language.prob >= 0.8"}
  matched:  {after: english, keep: {top: match.score, fraction: 0.45}}
  agreed:   {all_of: [matched, english]}
  closed:   {after: agreed, keep: "license.class in ['proprietary', 'unknown']"}
  usable:   {minus: [agreed, closed]}
  combined: {after: usable, keep: {one_per: twins, prefer: [license.class asc, match.score desc]}}
subsets: [basic, matched, combined]
evaluate: {scale: tiny-image-text, seeds: 5}
"""


def parse(text):
    return Recipe.parse(text, where="r.yaml", base=Path("/recipes"))


def test_recipe_says_what_is_written():
    recipe = parse(TEXT)
    assert (recipe.pool.path, recipe.pool.layout, recipe.pool.roles) == (Path("/recipes/shards"), "huggingface-image-text", {})
    assert recipe.models == {"matcher": Part("filter_network", {"trusted": "trusted/", "seed": 0})}
    assert recipe.signals["twins"] == Part("near_duplicate_image", {"bits": 6})
    assert recipe.subsets == ("basic", "matched", "combined")
    assert recipe.evaluate == Evaluate("tiny-image-text", 5)
    assert recipe.errors_at_most == Fraction(1, 20)
    basic, matched, usable, combined = (recipe.stages[name] for name in ("basic", "matched", "usable", "combined"))
    assert (basic.combinator, basic.parents, type(basic.rule)) == ("after", ("pool",), Expr)
    assert matched.rule == Top("match.score", False, Fraction(9, 20), None, False)
    assert (usable.combinator, usable.parents, usable.rule) == ("minus", ("agreed", "closed"), None)
    assert isinstance(combined.rule, OnePer)


def test_stages_are_ordered_parents_first_however_they_are_written():
    lines = TEXT.splitlines()
    stages = [line for line in lines if re.match(r"  \w+: +\{(after|keep|all_of|minus)", line)]
    turned = TEXT.replace("\n".join(stages), "\n".join(reversed(stages)))
    for text in (TEXT, turned):
        recipe = parse(text)
        order = recipe.order()
        assert sorted(order) == sorted(recipe.stages)
        for name in order:
            assert all(parent == "pool" or order.index(parent) < order.index(name) for parent in recipe.stages[name].parents)
    assert parse(turned).digest == parse(TEXT).digest


GOLDEN = "stages: {basic: {keep: text_length.words > 2}, best: {after: basic, keep: {top: match.score, fraction: 0.3}}}\nsubsets: [best]\n"


def test_digest_of_a_small_recipe_never_changes():
    assert parse(GOLDEN).digest == "bf3b4538b71c3117fbfdc22c5dce6fc7665fc054136f590c4fd0a4a0612bf272"


def test_digest_ignores_spelling_and_place():
    other = """\
# a comment
subsets:
- best
errors_at_most: 1/20
pool: {path: elsewhere/}
stages:
  best:
    keep:
      top: match.score desc
      fraction: 0.30
      ties: uid
    after: basic
  basic:
    after: pool
    keep: >-
      (text_length.words) > 2.0
evaluate: {scale: other, seeds: 9}
"""
    assert Recipe.parse(other, where="other.yaml", base=Path("/tmp")).digest == parse(GOLDEN).digest


def test_digest_ignores_the_order_of_subsets():
    recipe = parse(TEXT)
    assert recipe.set("subsets", ["combined", "basic", "matched"]).digest == recipe.digest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("stages.best.keep.fraction", 0.31),
        ("stages.best.keep.top", "match.score asc"),
        ("stages.basic.keep", "text_length.words >= 2"),
        ("stages.best.after", "pool"),
        ("subsets", ["best", "basic"]),
        ("errors_at_most", 0.5),
    ],
)
def test_digest_sees_everything_that_selects_rows(path, value):
    recipe = parse(GOLDEN)
    changed = recipe.set(path, value)
    assert changed.digest != recipe.digest
    assert changed != recipe
    assert changed.set(path, _at(recipe, path)).digest == recipe.digest


def _at(recipe, path):
    value = recipe.source.value
    for part in path.split("."):
        value = value.get(part, {"errors_at_most": 0.05, "after": "pool"}.get(part))
    return value


def test_resolved_text_reads_back_equal():
    for recipe in (parse(TEXT), parse(GOLDEN), parse(TEXT).set_text("stages.matched.keep.fraction=0.2")):
        again = parse(recipe.text)
        assert again == recipe
        assert again.digest == recipe.digest
        assert again.text == recipe.text


def test_set_changes_the_value_at_a_literal_path():
    recipe = parse(TEXT)
    changed = recipe.set_text("stages.matched.keep.fraction=0.2")
    assert changed.stages["matched"].rule.fraction == Fraction(1, 5)
    assert recipe.stages["matched"].rule.fraction == Fraction(9, 20)
    assert changed == recipe.set("stages.matched.keep.fraction", 0.2)
    assert changed == recipe.set("stages.matched.keep.fraction", Fraction(1, 5))
    assert "fraction: 0.2" in changed.text
    assert recipe.set_text("signals.twins.near_duplicate_image.bits=4").signals["twins"].parameters == {"bits": 4}
    assert recipe.set_text("subsets.1=usable").subsets == ("basic", "usable", "combined")
    assert recipe.set_text("errors_at_most=1/3").errors_at_most == Fraction(1, 3)
    assert recipe.set_text("stages.basic.keep='text_length.words > 9'").stages["basic"].rule.text == "text_length.words > 9"
    assert recipe.set_text("evaluate.seeds = 3").evaluate.seeds == 3


@pytest.mark.parametrize(
    ("assignment", "message", "fix"),
    [
        ("stages.macthed.keep.fraction=0.2", "set stages.macthed.keep.fraction: no such path: stages.macthed", "did you mean matched?"),
        ("stages.new.keep=s.a > 1", "set stages.new.keep: no such path: stages.new", ""),
        ("stages.matched.keep.fractoin=0.2", "set stages.matched.keep.fractoin: unknown key fractoin", "did you mean fraction?"),
        ("stages.matched.keep.fraction=2", "set stages.matched.keep.fraction: fraction: a share lies between 0 and 1, not 2", ""),
        ("stages.matched.keep.fraction=[", "set stages.matched.keep.fraction:1:", ""),
        ("stages.matched.keep.fraction=", "set stages.matched.keep.fraction: stages.matched.keep.fraction has no value", ""),
        ("subsets.7=usable", "set subsets.7: no such path: subsets.7", ""),
        ("fraction", "--set: 'fraction' is not PATH=VALUE", "for example stages.matched.keep.fraction=0.2"),
    ],
)
def test_set_that_leads_nowhere_is_refused(assignment, message, fix):
    with pytest.raises(RecipeError, match=re.escape(message)) as raised:
        parse(TEXT).set_text(assignment)
    assert fix in raised.value.fix


def stage(text):
    return f"stages:\n  one: {{keep: s.a > 1}}\n  two: {text}\nsubsets: [two]\n"


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("stages:\n  one: {kep: s.a > 1}\n", "r.yaml:2:9: unknown key kep", "did you mean keep?"),
        ("stgaes: {}\n", "r.yaml:1:1: unknown key stgaes", "did you mean stages?"),
        ("stages:\n  one: {keep: s.a > 1}\n  one: {keep: s.a > 2}\n", "r.yaml:3:3: the key one occurs twice; first at r.yaml:2:3", ""),
        (stage("{keep: s.a > 1 s.b}"), "r.yaml:3:23: a condition ends here, found s.b", "join conditions by `and` or `or`"),
        (stage("{keep: wrods > 1}"), "r.yaml:3:15: evidence is named signal.column; found wrods", ""),
        (stage("{after: oen}"), "r.yaml:3:16: unknown stage oen", "did you mean one?"),
        (stage("{minus: [one, thre]}"), "r.yaml:3:22: unknown stage thre", ""),
        (stage("{all_of: [one]}"), "r.yaml:3:17: stages.two.all_of: List should have at least 2 items", ""),
        (stage("{all_of: [one, one], after: one}"), "has both after and all_of", "make two stages of it"),
        (stage("{keep: {tpo: s.a, count: 1}}"), "r.yaml:3:16: unknown rule tpo", "did you mean top?"),
        (stage("{keep: {top: s.a, count: 1, tiess: keep}}"), "r.yaml:3:36: unknown key tiess", "did you mean ties?"),
        (stage("{keep: }"), "r.yaml:3:9: stages.two.keep has no value", "give it one or remove the key"),
        ("stages:\n  a: {after: c}\n  b: {after: a}\n  c: {after: b}\n", "r.yaml:2:3: stages in a cycle: a -> ", ""),
        ("stages:\n  a: {after: a}\n", "r.yaml:2:3: stages in a cycle: a -> a", ""),
        ("stages: {a: {keep: s.a > 1}}\nsubsets: [b]\n", "r.yaml:2:11: unknown subset b: it is no stage", ""),
        ("stages: {a: {keep: s.a > 1}}\nsubsets: [a, a]\n", "r.yaml:2:14: the subset a is listed twice", ""),
        ("stages: {pool: {keep: s.a > 1}}\n", "r.yaml:1:10: pool is the name of every row together", ""),
        ("signals: {pool: {clip_score: {}}}\n", "pool is the name of what the pool brings", ""),
        ("signals: {m: {a: {}, b: {}}}\n", "signals.m names 2 filters", "write m: {FILTER: {parameters}}"),
        (
            "signals: {m: {clip_score: {model: mtacher}}}\nmodels: {matcher: {f: {}}}\n",
            "r.yaml:1:35: unknown model mtacher",
            "did you mean",
        ),
        ("stages: {3rd: {keep: s.a > 1}}\n", "r.yaml:1:10: '3rd' is no name", ""),
        ("evaluate: {scale: x}\n", "r.yaml:1:11: evaluate needs the key seeds", ""),
        ("errors_at_most: 5%\n", "r.yaml:1:17: errors_at_most: a share is written 0.3 or 1/3", ""),
        ("", "r.yaml:1:1: the recipe is empty", ""),
        ("- a\n", "r.yaml:1:1: a recipe is a mapping", ""),
    ],
)
def test_mistake_is_named_at_line_and_column_with_the_nearest_name(text, message, fix):
    with pytest.raises(RecipeError, match=re.escape(message)) as raised:
        parse(text)
    assert fix in raised.value.fix


@pytest.mark.parametrize(
    ("keep", "place"),
    [
        ("|\n      s.a > 1 and s.b > 2\n      = 3", "5:7"),
        (">-\n      s.a > 1 and s.b > 2\n      and s.c > 1 and\n\n        = 3", "7:9"),
        ("s.a > 1 and s.b > 2\n      and s.c = 3 # why", "4:15"),
        ("'s.a > 1\n      and s.c = 3'", "4:15"),
    ],
)
def test_expression_over_several_lines_is_refused_at_its_own_line(keep, place):
    with pytest.raises(RecipeError, match=rf"^r\.yaml:{place}: '=' means nothing here"):
        parse(f"stages:\n  one:\n    keep: {keep}\nsubsets: [one]\n")


def test_folded_expression_knows_the_line_of_every_clause():
    recipe = parse("stages:\n  one:\n    keep: >-\n      s.a > 1 and\n      s.b > 2\n\n# and more\nsubsets: [one]\n")
    last = recipe.stages["one"].rule.clauses[-1]
    assert last.text == "s.b > 2"
    with pytest.raises(RecipeError, match=r"^r\.yaml:5:7: unknown column s\.b"):
        last.check({})


def test_cycle_among_combinators_names_every_stage_of_it():
    with pytest.raises(RecipeError, match=r"stages in a cycle: (a|b|c) -> ") as raised:
        parse("stages:\n  a: {any_of: [b, c]}\n  b: {minus: [pool, c]}\n  c: {keep: s.a > 1, after: a}\n")
    assert raised.value.what.count("->") in (2, 3)


def test_file_is_read_and_named_in_errors(tmp_path):
    (tmp_path / "mine.yaml").write_text(TEXT, encoding="utf-8-sig")
    recipe = Recipe.load(tmp_path / "mine.yaml")
    assert recipe == Recipe.parse(TEXT, base=tmp_path)
    assert (recipe.name, recipe.pool.path) == ("mine", tmp_path / "shards")
    with pytest.raises(RecipeError, match=r"there is no such recipe") as raised:
        Recipe.load(tmp_path / "mien.yaml")
    assert raised.value.fix == "did you mean mine.yaml?"
    (tmp_path / "latin.yaml").write_bytes("stages: {}\n# caf\xe9\n".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"latin\.yaml:2:1: not UTF-8 text"):
        Recipe.load(tmp_path / "latin.yaml")


def test_place_of_any_key_can_be_asked():
    recipe = parse(TEXT)
    assert recipe.where("stages.matched.keep") == "r.yaml:10:30"
    assert recipe.where("signals.match.clip_score.model") == "r.yaml:5:24"


def test_json_schema_is_published_and_describes_every_key():
    schema = Recipe.json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == {"pool", "models", "signals", "stages", "subsets", "evaluate", "errors_at_most", "restricted"}
    assert schema["additionalProperties"] is False
    assert all(each.get("description") for each in schema["properties"].values())
    names = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))
    assert names <= set(schema["$defs"])
    assert all(each.get("additionalProperties") is False for each in schema["$defs"].values() if each["type"] == "object")
    keep = schema["$defs"]["StageKeys"]["properties"]["keep"]
    assert [each.get("title") for each in keep["anyOf"]] == [None, "top", "one_per", "random", "mix", "balance", "repeat", "soft_cap"]


SHIPPED = sorted((Path(__file__).parents[2] / "pipelines" / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipe_reads(path):
    recipe = Recipe.load(path)
    assert Recipe.parse(recipe.text, base=recipe.base) == recipe
