"""A recipe's scale is looked up before a row is read."""

import subprocess
import sys
from pathlib import Path

import pytest

from curate.errors import RecipeError
from curate.executor import InProcess
from curate.recipe import Recipe
from pipelines import verbs

RECIPE = "pool: {path: pool.jsonl}\nstages: {long: {keep: text_length.words > 2}}\nsubsets: [long]\nevaluate: {scale: SCALE, seeds: 2}\n"


@pytest.mark.parametrize(
    ("named", "said", "fix"),
    [
        ("tiny-txt", "no scale is called 'tiny-txt'", "did you mean tiny-text"),
        ("tiny-txt", "no scale is called", "tiny-image-text, tiny-text"),
        ("none.yaml", "no such scale file", "from where the command runs"),
        ("bad.yaml", r"needs the key modality.*bad\.yaml:1:1", "a complete scale"),
    ],
)
def test_an_unknown_scale_is_refused_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, said: str, fix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pool.jsonl").write_text('{"text": "one two three"}\n', encoding="utf-8")
    (tmp_path / "bad.yaml").write_text("bad: {batch: 3}\n", encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("SCALE", named), encoding="utf-8")
    recipe = Recipe.load("recipe.yaml")
    for act in (verbs.plan, lambda given, **how: verbs.run(given, executor=InProcess(), **how)):
        with pytest.raises(RecipeError, match=said) as caught:
            act(recipe, store=tmp_path / "s")
        assert caught.value.where == "recipe.yaml:4:12"
        assert fix in caught.value.fix
    verbs.plan(Recipe.parse(RECIPE.replace("SCALE", "datacomp-small-partial")), store=tmp_path / "s")


def test_looking_a_scale_up_imports_no_torch() -> None:
    said = "import sys; from pipelines import verbs; from curate.recipe import Recipe\n"
    said += (
        f"from pipelines.scores.named_scale import refuse_unknown_scale as f; f(Recipe.parse({RECIPE.replace('SCALE', 'tiny-text')!r}))\n"
    )
    subprocess.run([sys.executable, "-c", said + "assert 'torch' not in sys.modules"], check=True)
