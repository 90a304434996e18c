import polars as pl

from eval_fixed_model.records import Likelihood, MultipleChoice, ShortAnswer
from eval_fixed_model.tasks import text_scoring
from eval_fixed_model.tasks.answers import ANSWERS
from eval_fixed_model.tasks.metrics import measures
from eval_fixed_model.tasks.text_scoring import ask_items, by_group


def test_each_kind_is_asked_its_way_and_answers_alike(parrot, items) -> None:
    model = parrot("a cup")
    choices = {"text": ["a", "a"], "choices": [["cap", "cup"]] * 2, "label": [1, 0], "group": ["hot", "cold"]}
    asked = [
        ask_items(model, items("likelihood", text=["a cup"]), Likelihood(kind="likelihood")),
        ask_items(model, items("multiple_choice", **choices), MultipleChoice(kind="multiple_choice", choices=2)),
        ask_items(model, items("short_answer", text=["a"], choices=[["Cup"]], group=["1"]), ShortAnswer(kind="short_answer")),
    ]
    whole = pl.concat(asked)
    assert dict(whole.schema) == {name: dtype() for name, dtype in ANSWERS.items()}
    assert whole["rank"].to_list() == [None, 1, 2, 1]
    assert by_group(asked[1]).rows() == [("cold", 1, 0.0), ("hot", 1, 100.0)]
    assert by_group(pl.concat([asked[2], asked[2].with_columns(variant=pl.lit("typos"), rank=pl.lit(2, pl.UInt32))])).rows() == [
        ("1", 1, 100.0)
    ]


def test_a_scale_is_asked_task_by_task_and_its_test_items_again_with_typos(bigram, text_scale, monkeypatch) -> None:
    monkeypatch.setattr(text_scoring, "MISSPELT", 2)
    rows = [{"task": "held_out", "kind": "likelihood", "text": "some longer text with words"}] * 3
    rows += [{"task": "cloze", "kind": "multiple_choice", "text": "some words", "choices": ["one", "two"], "label": 1}]
    tasks = {"cloze": {"kind": "multiple_choice", "choices": 2, "likelihood": "per byte"}, "held_out": {"kind": "likelihood"}}
    scale = text_scale(rows, tasks)
    answers = text_scoring.ask_scale(bigram, scale, "test")
    assert answers["task"].to_list() == ["cloze", *["held_out"] * 3, "cloze", *["held_out"] * 2]
    assert answers["item"].to_list() == [7, 4, 5, 6, 7, 4, 5]
    assert answers["variant"].to_list() == [""] * 4 + ["typos"] * 3
    assert measures(answers.filter(task="held_out"), scale.tasks["held_out"])["bits_per_byte:typos"] > 0
    assert text_scoring.ask_scale(bigram, scale, "validation")["variant"].unique().to_list() == [""]
