"""The recipes of published image-text selections: each plans before there are data, and runs on the demo's pool."""

import json
from pathlib import Path

import pytest

from curate import Recipe
from curate.plan import Plan
from pipelines import plan
from pipelines.options import RECIPES

STORED = sorted(path.stem for path in RECIPES.glob("datacomp-*.yaml"))
COMPUTED = ["dfn", "laion2b", "metaclip"]


def shipped(name: str) -> Recipe:
    return Recipe.load(RECIPES / f"{name}.yaml")


@pytest.mark.parametrize("name", [*STORED, *COMPUTED])
def test_it_plans_before_there_are_data_and_says_what_differs(name: str, tmp_path: Path) -> None:
    recipe = shipped(name)
    found = plan(recipe, layout="datacomp-commonpool" if name in STORED else "image-text", store=tmp_path / "store")
    assert isinstance(found.plan, Plan)
    assert set(found.plan.nodes) - {"pool", "unseen"} == set(recipe.stages)
    comment = [line for line in (RECIPES / f"{name}.yaml").read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    assert any("arXiv" in line for line in comment)
    assert name == "datacomp-no-filter" or any("# Different: " in line for line in comment)
    assert json.dumps(found.plan.recipe.digest)
