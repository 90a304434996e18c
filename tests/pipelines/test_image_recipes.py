"""The recipes of published image-text selections: each plans before there are data, and runs on the demo's pool."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate import InProcess, Recipe, Run
from curate.plan import Plan
from pipelines import export, plan, run
from pipelines.commands.options import RECIPES
from pipelines.demo.make_pool import make_pool

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


SCORED = """
models: {matcher: {filter_network: {trusted: trusted/, samples: 2560}}}
signals: {emb: {clip_embedding: {model: matcher}}, match: {feature_cosine: {image: emb.image, text: emb.text}}}
stages: {scored: {keep: "match.score >= -1 and image_shape.width > 0"}}
subsets: [scored]
"""
BROUGHT = {
    "original_width": "image_shape.width",
    "original_height": "image_shape.height",
    "clip_b32_similarity_score": "match.score",
    "clip_l14_similarity_score": "match.score",
    "l14_img": "emb.image",
}
WORDNET = {"circle": 1, "square": 2, "triangle": 3, "star": 4, "flag": 5}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's pool with 600 rows, and `metadata/`: the rows that can be scored, with what DataComp's pools bring, measured here."""
    folder = tmp_path_factory.mktemp("published")
    make_pool(folder, rows=600, seed=3, shards=2)
    done = run(Recipe.parse(SCORED, base=folder), folder / "shards", store=folder / "store", executor=InProcess())
    export(done.subset("scored"), folder / "metadata", evidence=BROUGHT)
    rows = pl.read_parquet(folder / "metadata" / "*.parquet")
    rows.head(12).write_parquet(folder / "target.parquet")
    (folder / "wordnet").mkdir()
    for part in ("noun", "verb", "adj", "adv"):
        lines = [f"{word} n 1 0 1 0 {number:08d}  \n" for word, number in WORDNET.items()] if part == "noun" else []
        (folder / "wordnet" / f"index.{part}").write_text("".join(lines), encoding="utf-8")
        (folder / "wordnet" / f"{part}.exc").write_text("", encoding="utf-8")
    (folder / "ids.txt").write_text("".join(f"n{number:08d}\n" for number in WORDNET.values()), encoding="utf-8")
    (folder / "metadata.json").write_text(json.dumps(["red", "blue", "green", *WORDNET, "nothing of it"]), encoding="utf-8")
    return folder


def cut_down(name: str, folder: Path) -> Recipe:
    """A shipped recipe beside the demo's pool: data of its own, a network in place of published weights, thresholds for small pictures."""
    recipe = replace(shipped(name), base=folder)
    network = {"filter_network": {"trusted": "trusted/", "samples": 256}}
    changes: dict[str, dict[str, Any]] = {
        "datacomp-basic": {"stages.large.keep": "pool.original_width >= 40 and pool.original_width <= 3 * pool.original_height"},
        "datacomp-text-based": {"models.classes.entity_list.ids": "ids.txt"},
        "datacomp-image-based": {"models.parts.feature_clusters.target": "target.parquet", "models.parts.feature_clusters.k": 20},
        "datacomp-image-based-clip": {"models.parts.feature_clusters.target": "target.parquet", "models.parts.feature_clusters.k": 20},
        "dfn": {"models.network": network},
        "laion2b": {"models.b32": network, "stages.large.keep": "text_length.chars >= 5 and image_file.bytes >= 1024"},
        "metaclip": {"stages.balanced.keep.at_most": 30},
    }
    for path, value in changes.get(name, {}).items():
        recipe = recipe.set(path, value)
    return recipe.set("errors_at_most", 1.0) if recipe.stages else recipe


@pytest.fixture(scope="module")
def made(demo: Path) -> dict[str, Run]:
    """Every recipe's run: DataComp's on the metadata, the others on the pictures."""
    pools = {name: demo / ("metadata" if name in STORED else "shards") for name in [*STORED, *COMPUTED]}
    return {name: run(cut_down(name, demo), pool, store=demo / "store", executor=InProcess()) for name, pool in pools.items()}


def test_datacomps_baselines_keep_what_their_rules_say(made: dict[str, Run], demo: Path) -> None:
    rows = pl.read_parquet(demo / "metadata" / "*.parquet")
    english = made["datacomp-image-based"].evidence("language")
    text = rows["text"]
    assert len(made["datacomp-no-filter"].subset("pool")) == rows.height > 500
    score = rows["clip_l14_similarity_score"]
    best = score.sort(descending=True)[int(0.3 * rows.height) - 1]
    assert sorted(made["datacomp-clip-score"].subset("clip_score").hex) == sorted(rows.filter(score >= best)["uid"])
    spoken = dict(zip(english["row"], english["code"], strict=True))
    words, chars = text.str.split(" ").list.len(), text.str.len_chars()
    aligned = [uid for row, uid in enumerate(rows["uid"]) if score[row] >= 0.28]
    kept = set(made["datacomp-laion2b"].subset("laion2b").hex)
    assert kept <= set(aligned)
    assert all(spoken[row] != "en" for row, uid in enumerate(rows["uid"]) if uid in aligned and uid not in kept and row in spoken)
    width, height = rows["original_width"].cast(pl.Int64), rows["original_height"].cast(pl.Int64)
    shaped = (width >= 40) & (width <= 3 * height) & (words > 2) & (chars > 5)
    basic = {uid for row, uid in enumerate(rows["uid"]) if shaped[row] and spoken.get(row) == "en"}
    assert set(made["datacomp-basic"].subset("basic").hex) == basic != set()
    named = text.str.to_lowercase().str.split(" ").list.eval(pl.element().is_in([*WORDNET, *(f"{word}s" for word in WORDNET)])).list.any()
    found = made["datacomp-text-based"].subset("text_based").hex
    assert set(found) <= set(rows.filter(named)["uid"])
    assert len(found) > 50


def test_the_image_based_rule_and_its_meeting_with_the_score(made: dict[str, Run]) -> None:
    based, both = made["datacomp-image-based"], made["datacomp-image-based-clip"]
    near = set(based.subset("image_based").hex)
    assert 0 < len(near) < len(based.subset("image_based").run.uids())
    assert set(both.subset("datacomp_1b").hex) == near & set(made["datacomp-clip-score"].subset("clip_score").hex)


def test_laion_metaclip_and_dfn_on_pictures(made: dict[str, Run]) -> None:
    laion, metaclip, dfn = (made[name] for name in ("laion2b", "metaclip", "dfn"))
    stage = next(stage for stage in dfn.funnel() if stage["stage"] == "dfn")
    entering = stage["in"] - sum(reason["rows"] for reason in stage["reasons"] if reason["kind"] != "dropped")
    assert stage["kept"] == len(dfn.subset("dfn")) == 15 * entering // 100
    scores = laion.evidence("b32")
    assert 0 < len(laion.subset("laion2b")) <= scores.filter(pl.col("score") >= 0.28).height
    assert laion.funnel()[-1]["kept"] <= laion.evidence("exact_duplicate.sketch")["key"].n_unique()
    concepts = metaclip.evidence("concepts")
    assert len(metaclip.subset("matched")) == concepts.filter(pl.col("count") > 0).height
    assert 0 < len(metaclip.subset("balanced")) < len(metaclip.subset("matched"))
