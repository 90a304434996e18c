"""What `curate eval --dry-run` says: of a scale alone, and of a run's trainings."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from eval_fixed_model.cost import START, Device, cost_of, fit
from eval_fixed_model.scale import load_scale
from eval_fixed_model.training.place import peak_of
from pipelines import verbs
from pipelines.scores.dry_run import DryRun, On, dry_run, markdown, print_dry_run, scales_table
from pipelines.scores.evaluations import Evaluation


@pytest.fixture(scope="module")
def large() -> DryRun:
    return dry_run("dclm-7b-1x")


def test_a_scale_that_nothing_here_can_train_is_priced(large: DryRun) -> None:
    assert large.cost.size == 6_889_410_560
    assert (large.trainings, large.arms) == (1, {})
    processor, *gpus = large.on
    assert processor.seconds is not None
    assert processor.seconds > 365 * 86400
    assert {gpu.device for gpu in gpus} >= {"NVIDIA H100"}
    h100 = next(gpu for gpu in gpus if gpu.device == "NVIDIA H100")
    assert h100.fit is not None
    assert h100.fit.examples is None  # 18 bytes a parameter are more than its memory
    assert h100.seconds == pytest.approx(large.cost.training / (0.4 * (peak_of("NVIDIA H100") or 0) * h100.fit.devices))


def test_a_processor_has_a_training_a_core_and_a_start() -> None:
    plan = DryRun(load_scale("tiny-text"), cost_of(load_scale("tiny-text")), (), 7, 1, {}, (), ())
    assert plan.of_all(On("this processor", 2, None, 10.0, "")) == START + 4 * 10
    assert plan.of_all(On("one", 1, fit(plan.cost, Device("one", 80 * 10**9, 1e15, 1)), 10.0, "")) == 70


def test_what_is_missing_is_named_and_goes_when_it_is_brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = dry_run("dclm-400m-1x").missing
    assert "the tokenizer gpt-neox-20b.json" in before
    assert "the evaluation items dclm.parquet" in before
    for name in ("gpt-neox-20b.json", "dclm.parquet"):
        (tmp_path / name).write_bytes(b"")
    assert [text for text in dry_run("dclm-400m-1x").missing if "tokenizer" in text or "items" in text] == []


def test_nothing_is_missing_of_a_scale_that_is_whole(tmp_path: Path) -> None:
    assert dry_run("tiny-image-text").missing == ()
    small = load_scale("tiny-text")
    record = {**small.model_dump(mode="json", exclude={"name"}), "precision": "bfloat16", "items": {"file": str(small.evaluation_file)}}
    with (tmp_path / "small.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump({"small": record}, file)
    assert dry_run(str(tmp_path / "small.yaml")).missing == ()  # the processor trains it in seconds


def test_every_difference_from_the_original_is_printed(large: DryRun, capsys: pytest.CaptureFixture[str]) -> None:
    print_dry_run(large)
    said = capsys.readouterr().out
    assert "6,889,410,560 parameters" in said
    assert "137,787,080,704 tokens in 32,851 steps of 2,048" in said
    lines = [text for text in (load_scale("dclm-7b-1x").comparable or "").splitlines() if text]
    assert lines[0] == "Not comparable with the public board."
    assert all(text in said for text in lines)
    assert all(f"missing: {text}" in said for text in large.missing)
    assert "does not fit" in said


def test_the_json_holds_it_all(large: DryRun) -> None:
    told = json.loads(json.dumps(large.to_json()))
    assert told["scale"] == "dclm-7b-1x"
    assert told["cost"]["training"] == large.cost.training
    assert told["cost"]["macs"] * 6 == pytest.approx(told["cost"]["training"])
    assert [each["device"] for each in told["on"]] == [each.device for each in large.on]
    assert told["comparable"] == list(large.comparable)


def test_a_runs_trainings_are_those_that_an_evaluation_makes(judged: Evaluation, done: Run, small_scale: Path) -> None:
    found = dry_run(str(small_scale), done, seeds=2)
    assert found.trainings == len({key for arm in judged.arms.values() for key in arm.scores.values()})
    assert found.arms["whole pool"].rows == judged.arms["whole pool"].rows + judged.rejected  # as if every picture could be read
    assert found.arms["best"].rows == judged.arms["best"].rows == 100
    assert found.arms["best"].times == pytest.approx(6.4)  # 640 pairs are seen


def test_documents_are_shown_by_their_tokens(done: Run, capsys: pytest.CaptureFixture[str]) -> None:
    found = dry_run("tiny-text", done, seeds=1)
    assert found.arms["best"].tokens_a_row == pytest.approx(655_360 / 100)
    assert found.arms["best"].times is None
    print_dry_run(found)
    said = capsys.readouterr().out
    assert "6,554" in said
    assert f"{found.trainings} trainings" in said
    assert "leaves out those that are empty or unreadable" in " ".join(said.split())


def test_scale_and_seeds_are_the_recipes_unless_given(done: Run) -> None:
    found = dry_run(run=done)
    assert (found.scale.name, found.seeds) == ("tiny-image-text", 2)
    assert dry_run(run=done, seeds=4).trainings == 2 * found.trainings
    with pytest.raises(CeterisError, match="no scale is named"):
        dry_run()


def test_a_pool_of_the_wrong_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps({"text": f"words number {n}"}) + "\n" for n in range(4)), encoding="utf-8")
    recipe = "pool: {path: pool.jsonl}\nstages: {long: {keep: 'text_length.words > 2'}}\nsubsets: [long]\n"
    (tmp_path / "texts.yaml").write_text(recipe, encoding="utf-8")
    run = verbs.run(Recipe.load(tmp_path / "texts.yaml"), store=tmp_path / ".ceteris", executor=InProcess())
    assert any("trains on image" in text for text in dry_run("tiny-image-text", run).missing)


def test_the_table_of_scales() -> None:
    kinds = [Device("small", 80 * 10**9, 1e15, 0), Device("large", 160 * 10**9, 1e15, 0)]
    lines = scales_table(("tiny-image-text", "dclm-1b-1x", "dclm-7b-2x"), kinds)
    told = [(line["parameters"], line["sees"]) for line in lines]
    assert told == [("745 k", "51.2 k pairs"), ("1.44 B", "28.8 B tokens"), ("6.89 B", "276 B tokens")]
    assert [line["on"] for line in lines] == ["this processor", "8 x small", "8 x large"]
    assert scales_table(("dclm-7b-2x",), kinds[:1])[0]["on"] == "8 x small, had each 156 GB"
    assert lines[1]["FLOPs"] == "2.7e+20"
    table = markdown(lines).splitlines()
    assert table[1].count("---") == len(lines[0])
    assert table[2].startswith("| tiny-image-text | image-text | tiny_conv_bag | 745 k |")


def test_what_is_here_goes_before_what_would_hold_it() -> None:
    here, elsewhere = Device("here", 80 * 10**9, 1e15, 2), Device("elsewhere", 160 * 10**9, 1e15, 0)
    (line,) = scales_table(("dclm-7b-1x",), [elsewhere, here])
    assert line["on"] == "2 x here, had each 156 GB"
