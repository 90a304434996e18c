import resource
import shutil
import signal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.torch import load_file

from curate.digest import words_of_hex
from curate.errors import CeterisError
from curate.executor import InProcess, Processes
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from eval_fixed_model.score import Job, SeedScore
from pipelines import verbs
from pipelines.scores import training
from pipelines.scores.account import limits
from pipelines.scores.arms import training_pools
from pipelines.scores.evaluations import Evaluation, entries
from pipelines.scores.leaderboard import leaderboard
from pipelines.scores.training import evaluate
from pipelines.scores.verdicts import compare
from pipelines.scores.verified import verified


def test_every_candidate_has_its_controls(judged: Evaluation) -> None:
    against: dict[str, list[str]] = {}
    for candidate, control in judged.contrasts:
        against.setdefault(candidate, []).append(control)
    sizes = {name: arm.rows for name, arm in judged.arms.items()}
    assert against == {
        "basic": ["whole pool", f"random {sizes['basic']}"],
        "best": ["whole pool", f"random {sizes['best']}", "unique"],
        "scored": ["whole pool", f"random {sizes['scored']}"],
        "rest": ["whole pool", f"random {sizes['rest']}", "unique"],
    }
    assert {name: arm.kind for name, arm in judged.arms.items() if name in ("whole pool", "best", "unique", "trusted only")} == {
        "whole pool": "pool",
        "best": "candidate",
        "unique": "parent",
        "trusted only": "trusted",
    }


def test_equal_sizes_share_a_random_control(judged: Evaluation) -> None:
    same = judged.arms["best"].rows == judged.arms["scored"].rows
    assert sum(arm.kind == "random" for arm in judged.arms.values()) == (3 if same else 4)


def test_random_controls_are_redrawn_for_every_seed_and_nested(judged: Evaluation) -> None:
    members = {}
    for name, arm in judged.arms.items():
        if arm.kind == "random":
            for seed, key in arm.scores.items():
                file = next(judged.store.path("rows").glob(f"*/members/{key.split('/')[-2]}.npy"))
                members[name, seed] = {tuple(row) for row in np.load(file).tolist()}
    names = sorted({name for name, _ in members}, key=lambda name: judged.arms[name].rows)
    assert members[names[0], 0] != members[names[0], 1]
    assert members[names[0], 0] < members[names[-1], 0]


def test_rows_that_cannot_be_decoded_leave_every_arm_alike(judged: Evaluation, done: Run) -> None:
    folder = next(judged.store.path("rows").iterdir())
    rejected = pl.read_parquet(folder / "rejected.parquet")
    assert rejected.height == judged.rejected > 0
    assert judged.arms["whole pool"].rows == len(done.subset("pool")) - judged.rejected
    gone = {tuple(words) for words in words_of_hex(rejected["uid"].to_list()).tolist()}
    for file in folder.glob("members/*.npy"):
        assert not gone & {tuple(row) for row in np.load(file).tolist()}


def test_nothing_is_trained_twice(judged: Evaluation, done: Run, small_scale: Path) -> None:
    assert judged.trained == len({key for arm in judged.arms.values() for key in arm.scores.values()})
    again = evaluate(done, scale=str(small_scale), seeds=2, executor=InProcess())
    assert again.trained == 0
    assert [one.arms for one in entries(done.store)] == [judged.arms]
    assert entries(done.store)[0].score("best", 1) == judged.score("best", 1)


def test_another_process_trains_to_the_same_weights(judged: Evaluation, done: Run, small_scale: Path) -> None:
    kept = judged.score("best", 0)
    folder = judged.store.path(judged.arms["best"].scores[0])
    (folder / "train.json").unlink()
    (folder / "items.parquet").unlink()
    folder.rmdir()
    executor = Processes(1)
    try:
        again = evaluate(done, scale=str(small_scale), seeds=2, executor=executor)
    finally:
        executor.close()
    assert again.trained == 1
    assert again.score("best", 0).weights == kept.weights
    assert again.score("best", 0).headline == kept.headline


def test_leaked_items_are_found_and_left_out(judged: Evaluation) -> None:
    assert judged.leaked
    every, clean = judged.score("best", 0), judged.score("best", 0, without_leaks=True)
    assert sum(task.items for task in clean.tasks.values()) == sum(task.items for task in every.tasks.values()) - len(judged.leaked)


def test_a_pool_without_images_says_how_to_fetch_them(tmp_path: Path) -> None:
    pl.DataFrame({"url": ["https://example.org/1.png"], "text": ["one"]}).write_parquet(tmp_path / "a.parquet")
    run = verbs.run(
        Recipe.parse('{stages: {a: {keep: "text_length.words > 0"}}, subsets: [a]}'), tmp_path, store=tmp_path / "s", executor=InProcess()
    )
    with pytest.raises(CeterisError, match="holds none") as error:
        evaluate(run, scale="tiny-image-text", seeds=1, executor=InProcess())
    assert "img2dataset" in error.value.fix


def test_a_recipe_without_a_scale_is_told_to_name_one(tmp_path: Path) -> None:
    pl.DataFrame({"text": ["one"]}).write_parquet(tmp_path / "a.parquet")
    run = verbs.run(
        Recipe.parse('{stages: {a: {keep: "text_length.words > 0"}}, subsets: [a]}'), tmp_path, store=tmp_path / "s", executor=InProcess()
    )
    with pytest.raises(CeterisError, match="names no scale"):
        evaluate(run, executor=InProcess())


def test_trusted_rows_among_the_evaluation_items_are_refused(place: Path, tmp_path: Path, small_scale: Path) -> None:
    from eval_fixed_model.scale import load_scale
    from eval_fixed_model.tasks.items import read_items

    test = read_items(load_scale(small_scale)).filter(pl.col("split") == "test", pl.col("image").is_not_null()).head(90)
    leaked = pl.DataFrame(
        {"image": [{"bytes": image, "path": None} for image in test["image"]], "text": [f"picture {i}" for i in range(90)]}
    )
    (tmp_path / "trusted").mkdir()
    leaked.write_parquet(tmp_path / "trusted" / "a.parquet")
    text = (place / "small.yaml").read_text(encoding="utf-8")
    unjudged = text[: text.index("evaluate:")]  # where the recipe names the scale they are refused before training
    recipe = Recipe.parse(unjudged, base=tmp_path).set("models.matcher.filter_network.samples", 128)
    run = verbs.run(recipe, place / "shards", store=Store.open(tmp_path / "s"), executor=InProcess())
    with pytest.raises(CeterisError, match="trusted rows hold evaluation items"):
        evaluate(run, scale=str(small_scale), seeds=1, executor=InProcess())


def test_trusted_rows_that_moved_are_read_where_they_lie_now(place: Path, tmp_path: Path) -> None:
    text = (place / "small.yaml").read_text(encoding="utf-8").replace("samples: 2560", "samples: 128")
    for name in ("one", "two"):
        shutil.copytree(place / "trusted", tmp_path / name / "trusted")
        run = verbs.run(Recipe.parse(text, base=tmp_path / name), place / "shards", store=tmp_path / "s", executor=InProcess())
        (trusted,) = training_pools(run, ["image"])
        assert trusted.root.resolve() == (tmp_path / name / "trusted").resolve()
        shutil.rmtree(tmp_path / name)
    assert len(run.store.storage.list("ledger/")) == 1


def test_trusted_rows_of_two_networks_and_repeated_ones_are_read_once(place: Path, tmp_path: Path, small_scale: Path) -> None:
    rows = pl.concat([pl.read_parquet(file) for file in sorted((place / "trusted").glob("*.parquet"))])
    pl.concat([rows, rows.head(3)]).write_parquet(tmp_path / "trusted.parquet")
    network = "{filter_network: {trusted: trusted.parquet, samples: 128, seed: %d}}"
    text = (
        f"{{models: {{one: {network % 0}, two: {network % 1}}}, "
        "signals: {one: {clip_score: {model: one}}}, stages: {a: {keep: {top: one.score, count: 100}}}, subsets: [a]}"
    )
    run = verbs.run(Recipe.parse(text, base=tmp_path), place / "shards", store=tmp_path / "s", executor=InProcess())
    found = evaluate(run, scale=str(small_scale), seeds=1, executor=InProcess())
    assert found.arms["trusted only"].rows == rows.height


def test_what_only_names_a_target_is_no_arm(place: Path, tmp_path: Path, small_scale: Path) -> None:
    """A model that trusts nothing has training rows too: none of them are a control, and those without pictures are not even read."""
    for name, columns in (("target", ["text", "image"]), ("bare", ["text"])):
        rows = pl.read_parquet(place / "trusted" / "trusted.parquet").head(40).select(columns)
        (tmp_path / name).mkdir()
        features = pl.Series("f", np.random.default_rng(0).random((40, 3)).astype(np.float32).tolist(), dtype=pl.List(pl.Float32))
        rows.with_columns(features).write_parquet(tmp_path / name / "0.parquet")
    pool = pl.concat([pl.read_parquet(path) for path in sorted((place / "shards").glob("*.parquet"))]).head(120)
    features = pl.Series("f", np.random.default_rng(1).random((120, 3)).astype(np.float32).tolist(), dtype=pl.List(pl.Float32))
    (tmp_path / "pool").mkdir()
    pool.with_columns(features).write_parquet(tmp_path / "pool" / "0.parquet")
    for name, read in (("target", 1), ("bare", 0)):
        text = (
            f"{{models: {{c: {{feature_clusters: {{target: {name}/, features: pool.f, k: 4}}}}}}, "
            "signals: {near: {cluster: {features: pool.f, model: c}}}, stages: {a: {keep: near.near}}, subsets: [a]}"
        )
        run = verbs.run(Recipe.parse(text, base=tmp_path), tmp_path / "pool", store=tmp_path / "s", executor=InProcess())
        assert (len(training_pools(run, ["image"])), training_pools(run, ["image"], trusted=True)) == (read, [])
        found = evaluate(run, scale=str(small_scale), seeds=1, executor=InProcess())
        assert {arm.kind for arm in found.arms.values()} == {"pool", "candidate", "random"}


def test_trained_networks_are_kept_and_are_the_ones_that_were_scored(
    scored: Evaluation, two_tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eval_fixed_model.loops import loop_of
    from eval_fixed_model.scale import load_scale

    shutil.copytree(scored.store.path(""), tmp_path / "s")
    run = Run(Store.open(tmp_path / "s"), scored.run)
    monkeypatch.chdir(tmp_path)
    done = evaluate(run, scale=str(two_tasks), seeds=1, only=["long"], judges=Path("judges"), executor=InProcess())
    assert done.trained == 1  # again, though its score was there
    (scale_file,) = (tmp_path / "judges").rglob("scale.yaml")
    assert scale_file.parent == tmp_path / "judges" / "long" / "seed-0"
    network = loop_of(done.scale).build(load_scale(scale_file), 1)
    network.load_state_dict(load_file(scale_file.with_name("weights.safetensors")))
    assert loop_of(done.scale).weights_digest(network) == done.score("long", 0).weights == scored.score("long", 0).weights
    # An attempt that ended goes on; a folder of another evaluation, or of anything else, is refused.
    assert evaluate(run, scale=str(two_tasks), seeds=1, only=["long"], judges=Path("judges"), executor=InProcess()).trained == 0
    shutil.rmtree(tmp_path / "judges" / "long" / "seed-0")
    assert evaluate(run, scale=str(two_tasks), seeds=1, only=["long"], judges=Path("judges"), executor=InProcess()).trained == 1
    assert (tmp_path / "judges" / "long" / "seed-0" / "weights.safetensors").is_file()
    shutil.rmtree(done.store.path(done.arms["long"].scores[0]))  # it ended after its network, before its score
    assert evaluate(run, scale=str(two_tasks), seeds=1, only=["long"], judges=Path("judges"), executor=InProcess()).trained == 1
    assert (tmp_path / "judges" / "long" / "seed-0" / "weights.safetensors").is_file()
    monkeypatch.setattr(training, "_train", lambda *_: pytest.fail("trained before it looked where the networks go"))
    (tmp_path / "judges" / "evaluation.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CeterisError, match="place for the trained networks is not empty") as error:
        evaluate(run, scale=str(two_tasks), seeds=1, judges=Path("judges"), executor=InProcess())
    assert "name a new folder" in error.value.fix


def test_a_node_with_other_software_is_refused(
    scored: Evaluation, two_tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(scored.store.path(""), tmp_path / "s")
    run = Run(Store.open(tmp_path / "s"), scored.run)
    elsewhere = training.software(scored.scale)
    elsewhere["versions"] = {**elsewhere["versions"], "torch": "1.0"}
    monkeypatch.setattr(training, "software", lambda _: elsewhere)
    with pytest.raises(CeterisError, match=r"other software than where the evaluation began: versions torch: .*, 1\.0"):
        evaluate(run, scale=str(two_tasks), seeds=4, only=["long"], executor=InProcess())


def test_arms_of_equal_rows_are_trained_once_and_each_has_its_network(place: Path, two_tasks: Path, tmp_path: Path) -> None:
    recipe = Recipe.parse('{stages: {all: {keep: "text_length.words >= 0 or text_length.words < 0"}}, subsets: [all]}', base=tmp_path)
    run = verbs.run(recipe, place / "shards", store=tmp_path / "s", executor=InProcess())
    done = evaluate(run, scale=str(two_tasks), seeds=1, only=["all", "whole pool"], judges=tmp_path / "judges", executor=InProcess())
    assert len({arm.rows for arm in done.arms.values()}) == done.trained == 1
    assert len(done.arms) == 2
    assert {file.parts[-3] for file in (tmp_path / "judges").rglob("weights.safetensors")} == set(done.arms)


def test_a_full_disk_is_told_in_words(scored: Evaluation, two_tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(scored.store.path(""), tmp_path / "s")
    run = Run(Store.open(tmp_path / "s"), scored.run)
    shutil.rmtree(run.store.path(scored.arms["long"].scores[0]))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handled = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    train = training._train_one

    def on_a_full_disk(job: Job) -> SeedScore | None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))  # a write fails
        return train(job)

    monkeypatch.setattr(training, "_train_one", on_a_full_disk)
    try:
        with pytest.raises(CeterisError, match="File too large") as error:
            evaluate(run, scale=str(two_tasks), seeds=2, executor=InProcess())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handled)
    assert "goes on" in error.value.fix
    monkeypatch.setattr(training, "_train_one", train)
    assert evaluate(run, scale=str(two_tasks), seeds=2, executor=InProcess()).score("long", 0).weights == scored.score("long", 0).weights


def test_an_evaluation_that_ended_between_its_parts_is_mended(scored: Evaluation, two_tasks: Path, tmp_path: Path) -> None:
    for case in ("ledger alone", "no head", "no head, and others since"):
        shutil.copytree(scored.store.path(""), tmp_path / case)
        store = Store.open(tmp_path / case)
        (entry,) = (tmp_path / case).glob("scores/*/entries/*.json")
        (head,) = [path for path in (tmp_path / case / "ledger").glob("*.json") if entry.name in path.read_text(encoding="utf-8")]
        head.unlink()
        if case == "ledger alone":
            entry.unlink()
        if case == "no head, and others since":
            evaluate(Run(store, scored.run), scale=str(two_tasks), seeds=1, only=["long"], executor=InProcess())
        evaluate(Run(store, scored.run), scale=str(two_tasks), seeds=2, executor=InProcess())
        (found,) = verified(tmp_path / case)
        assert found.refused == ()
        assert {arm.name for arm in found.arms} == set(scored.arms)


def test_scores_are_read_with_the_scale_they_were_made_under(
    scored: Evaluation, two_tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's scale file may change, or go, after an evaluation: a delta of today judges scores of yesterday only where it is asked to,
    and the verdict says so; nothing is trained for it."""
    shutil.copytree(scored.store.path(""), tmp_path / "s")
    run = Run(Store.open(tmp_path / "s"), scored.run)
    shutil.copytree(two_tasks.parent, tmp_path / "scale")
    mine = tmp_path / "scale" / two_tasks.name
    monkeypatch.chdir(mine.parent)
    first = evaluate(run, scale=mine.name, seeds=2, executor=InProcess())
    monkeypatch.chdir(tmp_path)
    assert run.store.json(next(key for key in run.store.storage.list("scores/") if "/entries/000002" in key))["scale"] == str(mine)
    before = compare(first)
    text = mine.read_text(encoding="utf-8")
    delta = f"delta: {before.family.delta}"
    assert delta in text
    mine.write_text(text.replace(delta, "delta: 77.0"), encoding="utf-8")
    after = compare(run)
    assert (after.family, list(after.evaluation.scale.tasks)) == (before.family, list(first.scale.tasks))
    again = compare(run, scale=str(mine))
    assert (again.family.delta, again.changed) == (77.0, (f"headline delta: {before.family.delta}, 77.0",))
    assert any(f"changed (then, now): headline delta: {before.family.delta}, 77.0." in said for said in limits(again))
    assert not any("changed (then, now)" in said for said in limits(after))
    assert again.file != before.file
    noisier = mine.read_text(encoding="utf-8").replace("alike: 30", "alike: 4.5")
    mine.write_text(noisier, encoding="utf-8")
    anew = evaluate(run, scale=str(mine), seeds=2, executor=InProcess())
    assert (anew.trained, anew.conditions) == (0, first.conditions)
    assert (compare(run).family.alike, compare(run).changed) == (4.5, ("alike: 30.0, 4.5", f"headline delta: {before.family.delta}, 77.0"))
    (group,) = [one for one in leaderboard([run.store.path("")]).groups if "scores/" + one.conditions == anew.conditions]
    (said,) = [note for note in group.notes if "judged in another way" in note]
    assert "alike: 4.5, 30.0" in said
    assert f"headline delta: 77.0, {before.family.delta}" in said
    mine.write_text(noisier.replace("samples_seen: 640", "samples_seen: 704"), encoding="utf-8")
    with pytest.raises(CeterisError, match="nothing was evaluated for this run at the scale"):
        compare(run, scale=str(mine))
    mine.unlink()
    assert compare(run, scale=first.scale.name).family.alike == 4.5


def test_rows_of_another_tokenizer_are_other_rows(scored: Evaluation) -> None:
    from eval_fixed_model.loops import loop_of
    from eval_fixed_model.scale import load_scale

    scale, held = load_scale("tiny-text"), {"versions": {}, "code": {}}
    brought = scale.model_copy(update={"tokens": scale.tokens.model_copy(update={"tokenizer": "file", "file": "tokenizer.json"})})
    for one, differ in ((scale, False), (brought, True)):  # a file's content is in the digest of the items alone
        ids = {training._rows_id(Run(scored.store, scored.run), loop_of(one), one, {**held, "items": items}) for items in ("a", "b")}
        assert (len(ids) == 2) == differ
