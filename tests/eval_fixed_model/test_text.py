from pathlib import Path

import numpy as np
import polars as pl
import pytest
from ruamel.yaml import YAML

from curate.digest import hex_of
from curate.errors import CeterisError
from eval_fixed_model import text
from eval_fixed_model.conditions import conditions, differences
from eval_fixed_model.loops import loop_of
from eval_fixed_model.records import MultipleChoice
from eval_fixed_model.scale import TextScale
from eval_fixed_model.score import Job, train_and_score
from eval_fixed_model.tasks.text_items import COLUMNS
from tests.eval_fixed_model.texts import documents, file_scale, sentences, small_scale

CHOICE = {"kind": "multiple_choice", "choices": ["sat", "zzz"], "label": 0}


def _with_items(folder: Path, scale: TextScale) -> TextScale:
    likelihood = [("held_out", {"kind": "likelihood"}), ("out_of_domain", {"kind": "likelihood"}), ("cloze", CHOICE)]
    items = [
        {"task": task, "split": split, "text": one, **more}
        for split in ("validation", "test")
        for task, more in likelihood
        for one in sentences(4, seed=9)
    ]
    pl.DataFrame(items, schema=COLUMNS).write_parquet(folder / "items.parquet")
    tasks = {**scale.model_dump(mode="json")["tasks"], "cloze": {"kind": "multiple_choice", "choices": 2}}
    made = TextScale.model_validate({**scale.model_dump(mode="json"), "items": {"file": "items.parquet"}, "tasks": tasks})
    made._folder = folder
    return made


def test_the_loop_trains_and_asks_through_the_one_score(tmp_path: Path) -> None:
    scale = _with_items(tmp_path, small_scale())
    assert loop_of(scale) is text
    file = tmp_path / "small.yaml"
    with file.open("w", encoding="utf-8") as out:
        YAML(typ="safe", pure=True).dump({scale.name: scale.model_dump(mode="json", exclude={"name"}, exclude_none=True)}, out)
    rows = documents(tmp_path / "rows", sentences(60), scale)
    scores = [train_and_score(Job(tmp_path / "rows", str(file), rows.uids[:n], 0, tmp_path / f"out-{n}")) for n in (50, 60)]
    assert scores[0].weights != scores[1].weights
    for score in scores:
        assert set(score.tasks) == {"held_out", "out_of_domain", "cloze"}
        assert 1 < score.headline < 8
        assert score.headline == pytest.approx(np.mean([score.tasks[task].value for task in ("held_out", "out_of_domain")]))
        assert score.tasks["cloze"].items == 4


def test_a_trained_network_has_fewer_bits_a_byte(tmp_path: Path) -> None:
    scale = _with_items(tmp_path, small_scale())
    rows = text.materialise(
        [(documents(tmp_path / "a", sentences(60), scale).uids, pl.DataFrame({"text": sentences(60)}))], scale, tmp_path / "b"
    )
    trained = text.train(scale, rows, np.arange(60), 0)[0]

    def bits(network: object) -> float:
        answers = text.ask(network, scale, "validation").filter(task="held_out")
        return -answers["nats"].sum() / answers["bytes"].sum() / np.log(2)

    assert bits(trained) < bits(text.build(scale, 0).eval()) - 1
    assert hex_of(text.open_rows(tmp_path / "b").uids) == hex_of(rows.uids)


def test_a_llama_on_tokens_of_a_file_is_asked_alike(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    scale = _with_items(tmp_path, file_scale(tmp_path))
    network = text.build(scale, 0).eval()
    answers = text.ask(network, scale, "validation")
    assert answers["task"].value_counts().height == 3
    first = sentences(4, seed=9)[0]
    model = text.language_model(network, scale)
    assert model.tokenizer.decode(model.tokenizer.encode(first)) == first
    plain = text.LanguageModel(network, model.tokenizer, model.context, model.vocabulary)
    assert np.allclose(plain.text(first).nats, model.text(first).nats, atol=1e-5)
    assert float(answers["nats"][0]) == pytest.approx(float(model.text(first).nats.sum()), rel=1e-4)


def test_another_tokenizer_is_another_condition(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    scale = _with_items(tmp_path, file_scale(tmp_path))
    before = conditions(scale)
    assert {"transformers", "tokenizers"} <= set(before["versions"])
    assert not {"transformers", "tokenizers"} & set(conditions(_with_items(tmp_path, small_scale()))["versions"])
    (tmp_path / "small.json").write_text((tmp_path / "small.json").read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert differences(before, conditions(scale))[0].startswith("items:")


def test_items_that_the_scale_does_not_ask_are_refused_before_training(tmp_path: Path) -> None:
    scale = _with_items(tmp_path, small_scale())
    asked = scale.model_copy(update={"tasks": {**scale.tasks, "cloze": MultipleChoice(kind="multiple_choice", choices=3)}})
    with pytest.raises(CeterisError, match="choices, and not 3 as the scale says"):
        conditions(asked)
