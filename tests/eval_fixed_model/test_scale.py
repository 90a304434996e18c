import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from curate.errors import CeterisError
from eval_fixed_model.scale import SHIPPED, kept_scale, load_scale
from eval_fixed_model.tasks.items import items_of
from tests.eval_fixed_model.texts import small_scale

# What trainings and questions depend on, of each shipped scale. A change here says that scores of before and after are not comparable: add
# a scale instead.
GOLDEN = {
    "tiny-image-text": "a4a20c776b1134096725a31b3b0a3d95b79ecd765945e1cf442f4732fe21ec61",
    "tiny-text": "51d529c075034d29da0918fbffd16ee60be3ff59b9fe6c3fa14497ea1501a51d",
}

# The same with how scores are judged. Until the two were parted, conditions held this one: it must go on meaning what it meant.
WHOLE = {
    "tiny-image-text": "9bdb5ecc2ea3f3dd6fbb164f369360fea48a03ed392be130ce2d440053c3daac",
    "tiny-text": "bf51fe0ae7b340f866a50cf2ed38698008fab5d57cc9723c31421a3756ecff4a",
}

LLAMA = {"name": "llama", "width": 32, "inner": 64, "layers": 1, "heads": 2, "key_value_heads": 1, "tied": False}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_shipped_scale_is_frozen(name: str) -> None:
    scale = load_scale(name)
    assert (scale.digest, scale.whole_digest) == (GOLDEN[name], WHOLE[name])


def test_the_digest_is_of_the_data_alone(tmp_path: Path, write_scale: Callable[..., Path]) -> None:
    elsewhere = write_scale(tmp_path / "tiny-image-text.yaml")  # other key order, no comments, another folder
    assert elsewhere.read_text(encoding="utf-8") not in (SHIPPED / "tiny.yaml").read_text(encoding="utf-8")
    assert load_scale(elsewhere).digest == GOLDEN["tiny-image-text"]


@pytest.mark.parametrize(
    "change",
    [
        {"samples_seen": 51264},
        {"optimiser__learning_rate": 0.0031},
        {"seeds__first": 1},
        {"augmentation__roll": 1},
        {"headline__tasks": ["shape"]},
        {"perturbed": None},
    ],
)
def test_every_number_of_trainings_and_questions_counts(tmp_path: Path, write_scale: Callable[..., Path], change: dict[str, float]) -> None:
    assert load_scale(write_scale(tmp_path / "tiny-image-text.yaml", **change)).digest != GOLDEN["tiny-image-text"]


@pytest.mark.parametrize(
    "change",
    [{"alike": 4.7}, {"alike": None}, {"analysis": "paired"}, {"headline__delta": 1.5}, {"seeds__looks": [4, 8]}, {"comparable": "no"}],
)
def test_how_scores_are_judged_is_no_part_of_what_they_were_made_under(
    tmp_path: Path, write_scale: Callable[..., Path], change: dict[str, object]
) -> None:
    changed = load_scale(write_scale(tmp_path / "tiny-image-text.yaml", **change))
    assert changed.digest == GOLDEN["tiny-image-text"]
    assert changed.whole_digest != WHOLE["tiny-image-text"]
    assert changed.beside() != load_scale("tiny-image-text").beside()
    kept = kept_scale(load_scale("tiny-image-text").conditioned(), changed.beside(), SHIPPED)
    assert kept.whole_digest == changed.whole_digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimiser__momentum": 0.9}, "unknown key momentum"),
        ({"optimiser__learning_rate": "fast"}, r"optimiser\.learning_rate"),
        ({"samples_seen": 51201}, "not a multiple of batch 64"),
        ({"headline__tasks": ["shape", "smell"]}, "unknown tasks: smell"),
        ({"analysis": "twinned"}, r"analysis"),
        ({"tasks__colour__templates": ["a circle"]}, r"holds `\{\}` once"),
        ({"tasks__colour__classes": ["red", "red"]}, "named twice"),
        ({"tasks__retrieval": {"kind": "smell"}}, r"tasks\.retrieval\.kind: there is no smell"),
        ({"augmentation__roll": 33}, "images of 32 pixels cannot be rolled by 33"),
        ({"alike": 0.01}, r"alike: should be greater than or equal to 0\.1"),
        ({"alike": True}, r"alike: should be a valid number"),
        ({"batch": True}, r"batch: should be a valid integer"),
        ({"model__channels": [True, 32, 64]}, r"model\.channels\.0: should be a valid integer"),
        ({"image__mean": True}, r"image\.mean"),
        ({"tasks__retrieval": {"kind": "retrieval", "chance": False}}, r"tasks\.retrieval"),
        ({"optimiser__learning_rate": "0.003"}, r"optimiser\.learning_rate: should be a valid number"),
        ({"alike": float("inf")}, r"alike: should be a finite number"),
        ({"items": {}}, "items are a file or a folder"),
        ({"tokens__tokenizer": "bytes"}, "the tokenizer bytes is for the other modality"),
        ({"tokens__vocabulary": 1 << 17}, "kept in 16 bits"),
    ],
)
def test_what_is_no_scale_is_refused(tmp_path: Path, write_scale: Callable[..., Path], change: dict[str, object], message: str) -> None:
    file = write_scale(tmp_path / "small.yaml", **change)
    with pytest.raises(CeterisError, match=message) as caught:
        load_scale(file)
    assert str(file) in str(caught.value)


def test_what_is_wrong_is_shown_where_it_stands(tmp_path: Path, write_scale: Callable[..., Path]) -> None:
    for change, shown in (
        ({"optimiser__momentum": 0.9, "analysis": "twinned"}, ("momentum", "analysis")),
        ({"tasks__shape__classes": 3}, "classes"),
    ):
        file = write_scale(tmp_path / "small.yaml", **change)
        lines = file.read_text(encoding="utf-8").splitlines()
        with pytest.raises(CeterisError, match=r"analysis|momentum|classes") as caught:
            load_scale(file)
        line, column = map(int, caught.value.where.rsplit(":", 2)[1:])
        assert lines[line - 1][column - 1 :].startswith(shown)
    file.write_text(file.read_text(encoding="utf-8").replace("  batch: 64\n", ""), encoding="utf-8")
    with pytest.raises(CeterisError, match="this needs the key batch") as caught:
        load_scale(file)
    assert caught.value.where.startswith(f"{file}:1:1")


OWN = """\
mine:
  modality: text
  model: {name: byte_ngrams, width: 16, inner: 32, layers: 1, heads: 1, orders: [1, 2], words: 1, rows: 512}
  tokens: {tokenizer: bytes, vocabulary: 257, context: 64}
  tokens_seen: 5120
  batch: 8
  order: exact
  optimiser: {name: adamw, learning_rate: 0.01, beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weight_decay: 0.1, clip_norm: 1.0}
  schedule: {name: constant_then_decay, warmup: 0.05, decay: 0.6}
  precision: float32
  seeds: {first: 0, looks: [3, 5, 8]}
  items: {folder: questions}
  tasks:
    said: {kind: likelihood}
    told: {kind: likelihood}
    colours: {kind: multiple_choice, choices: 3}
  headline: {tasks: [said, told], measure: bits per byte, delta: 0.05}
  analysis: unpaired
"""


@pytest.mark.parametrize(
    ("written", "instead", "place", "what", "fix"),
    [
        (
            "[said, told]",
            "[said, colours]",
            "17:14",
            "in bits per byte, and its task colours (multiple_choice) in points",
            "`tasks: [said]`",
        ),
        ("bits per byte", "points", "17:35", "in points, and its task said (likelihood) in bits per byte", "`measure: bits per byte`"),
        ("[said, told]", "[colours]", "17:32", "(multiple_choice) in points", "write `measure: points`"),
        ("[said, told]", "[said, tolled]", "17:14", "unknown tasks: tolled", "did you mean told?"),
        ("looks:", "lucks:", "11:21", "unknown key lucks", "did you mean looks?"),
        ("choices:", "choises:", "16:38", "unknown key choises", "did you mean choices?"),
        ("multiple_choice", "multiple_choise", "16:15", "there is no multiple_choise", "did you mean multiple_choice?"),
        ("measure: bits per byte", "measure: bits", "17:35", "headline.measure", "'bits per byte'"),
        ("5120", "5121", "5:3", "5121 tokens are not a multiple of the 512 of a batch", "write tokens_seen: 5120"),
        ("modality: text", "modality: texts", "2:3", "'texts' is no modality", "did you mean text?"),
    ],
)
def test_what_is_wrong_is_said_in_words_with_its_place_and_what_to_write(
    tmp_path: Path, written: str, instead: str, place: str, what: str, fix: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(OWN, encoding="utf-8")
    assert load_scale(file).headline.better == "lower"
    assert OWN.count(written) == 1
    file.write_text(OWN.replace(written, instead), encoding="utf-8")
    with pytest.raises(CeterisError, match=re.escape(what)) as caught:
        load_scale(file)
    assert caught.value.where == f"{file}:{place}"
    assert what in caught.value.what
    assert fix in caught.value.fix


def test_what_is_wrong_in_tasks_of_a_file_of_their_own_is_shown_there(tmp_path: Path) -> None:
    before, tasks = OWN.split("  tasks:\n")
    tasks, after = tasks.split("  headline:")
    (tmp_path / "mine.yaml").write_text(f"{before}  tasks: asked.yaml\n  headline:{after}", encoding="utf-8")
    (tmp_path / "asked.yaml").write_text(tasks.replace("    ", "").replace("choices:", "choises:"), encoding="utf-8")
    with pytest.raises(CeterisError, match="unknown key choises") as caught:
        load_scale(tmp_path / "mine.yaml")
    assert caught.value.where == f"{tmp_path / 'asked.yaml'}:3:34"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": "blocked"}, "packed in exact order"),
        ({"tokens__tokenizer": "clip"}, "the tokenizer clip is for the other modality"),
        ({"tokens__tokenizer": "file", "tokens__file": "own.json"}, "byte_ngrams reads bytes"),
        ({"tokens__vocabulary": 256}, "does not hold 256 bytes and a separator"),
        ({"tokens__file": "none.json"}, "`file` belongs to"),
        ({"model__heads": 3}, "width 16 does not give each of 3 heads"),
        ({"model": {**LLAMA, "heads": 3}}, "width 32 does not give each of 3 heads"),
        ({"model": {**LLAMA, "heads": 4, "key_value_heads": 3}}, "4 heads cannot share 3"),
        ({"last_checkpoints": {"count": 3, "every": 10}}, "3 checkpoints 10 steps apart do not lie in 20 steps"),
        ({"tasks__cloze": {"kind": "short_answer", "most_tokens": 32}}, "leave no room for a question in 32"),
    ],
)
def test_what_could_not_be_trained_or_asked_is_no_scale_of_texts(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small_scale(**change)


def test_a_scale_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_scale("tiny-image-text").batch = 128


def test_names_and_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CeterisError, match="did you mean tiny-image-text"):
        load_scale("tiny-image-txt")
    with pytest.raises(CeterisError, match="no such scale file"):
        load_scale(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: {b: 1\nc: ]", encoding="utf-8")
    with pytest.raises(CeterisError, match=r"bad\.yaml:2:\d+: not YAML"):
        load_scale(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(CeterisError, match="maps names to records"):
        load_scale(tmp_path / "list.yaml")
    record = (SHIPPED / "tiny.yaml").read_text(encoding="utf-8").split("tiny-image-text:", 1)[1].split("\ntiny-text:")[0]
    (tmp_path / "two.yaml").write_text(f"one:{record}\ntwo:{record}", encoding="utf-8")
    with pytest.raises(CeterisError, match="2 scales in one file"):
        load_scale(tmp_path / "two.yaml")


def test_more_seeds_begin_with_the_same_seeds(tmp_path: Path, write_scale: Callable[..., Path]) -> None:
    scale = load_scale(write_scale(tmp_path / "later.yaml", seeds__first=7))
    assert scale.seed_sequence(3) == (7, 8, 9)
    assert scale.seed_sequence(5)[:3] == scale.seed_sequence(3)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_shipped_items_are_what_the_shipped_scale_asks(split: str) -> None:
    scale = load_scale("tiny-image-text")
    every = {items.task: items for items in items_of(scale, split)}
    assert {task: len(items.numbers) for task, items in every.items()} == {
        "shape": 1000, "colour": 1000, "count": 900, "relation": 300, "retrieval": 500,
        "handwritten_digits": 360 if split == "validation" else 1437,
    }  # fmt: skip
    for task, asked in scale.tasks.items():
        assert asked.kind != "classification" or set(every[task].labels) == set(range(len(asked.classes)))
    assert len(set(every["retrieval"].texts)) == 500
    assert all(items.images.shape[1:] == (3, 32, 32) and items.images.dtype == np.uint8 for items in every.values())
    assert scale.chance("shape", 1000) == 5
    assert scale.chance("retrieval", 500) == 0.2
