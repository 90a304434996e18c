from pathlib import Path

import pytest

from eval_fixed_model.conditions import SCORING, conditions, conditions_id, differences
from eval_fixed_model.loops import MODULES
from eval_fixed_model.scale import load_scale
from eval_fixed_model.sources import ROOM, code


@pytest.fixture(scope="module")
def held(world) -> dict:
    return conditions(world.scale)


def test_equal_conditions_have_no_differences(world, held: dict) -> None:
    again = conditions(world.scale)
    assert differences(held, again) == []
    assert conditions_id(held) == conditions_id(again)
    assert len(conditions_id(held)) == 16


def test_each_part_that_differs_is_named(held: dict) -> None:
    other = {**held, "versions": {**held["versions"], "torch": "2.11.0"}, "device": "cuda-9.0", "code": {**held["code"]}}
    del other["code"]["eval_fixed_model.rows.order"]
    named = differences(held, other)
    assert [line.split(":")[0] for line in named] == ["code eval_fixed_model.rows.order", "device", "versions torch"]
    assert named[0].endswith(", absent")
    assert named[1].endswith(", cuda-9.0")
    assert named[2].endswith(", 2.11.0")
    assert conditions_id(other) != conditions_id(held)


def test_another_scale_differs_in_scale_items_and_weights(held: dict) -> None:
    parts = {line.split(":")[0] for line in differences(held, conditions(load_scale("tiny-image-text")))}
    assert parts == {"scale", "items", "initial weights 0"}


def test_the_code_is_what_the_loop_reaches(held: dict) -> None:
    reached = set(held["code"])
    loop = {
        "rows.order",
        "rows.images",
        "scale",
        "score",
        "training.images",
        "models",
        "models.tiny_conv_bag",
        "tasks.items",
        "tasks.retrieval",
        "tasks.classification",
    }
    assert {f"eval_fixed_model.{name}" for name in loop} <= reached
    assert not {f"eval_fixed_model.{name}" for name in ("statistics", "conditions", "arms", "text")} & reached
    assert set(held["versions"]) == {"torch", "torchvision", "open_clip", "numpy", "PIL"}
    assert held["determinism"] == {"threads": 1, "deterministic algorithms": True}


def test_one_modalitys_code_is_no_condition_of_the_other() -> None:
    image, text = (code(MODULES[modality]) for modality in ("image-text", "text"))
    own = {
        "training.images",
        "rows.images",
        "models.judges",
        "models.tiny_conv_bag",
        "training.texts",
        "rows.documents",
        "rows.packing",
        "models.decoders",
    }
    assert {name.removeprefix("eval_fixed_model.") for name in set(image) & set(text)}.isdisjoint(own)
    assert own <= {name.removeprefix("eval_fixed_model.") for name in set(image) | set(text)}


def test_a_changed_line_changes_the_digest_of_its_file_alone(tmp_path: Path) -> None:
    room = tmp_path / "room"
    (room / "deep").mkdir(parents=True)
    for name, text in {
        "__init__": "", "deep/__init__": "", "loop": "def run():\n    from room.deep import far\n", "deep/far": "import room.near\n",
        "near": "import numpy\n", "apart": "import room.loop\n",
    }.items():  # fmt: skip
        (room / f"{name}.py").write_text(text, encoding="utf-8")
    before = code("room.loop", room)
    assert set(before) == {"room", "room.loop", "room.deep", "room.deep.far", "room.near"}
    (room / "apart.py").write_text("import room.loop, room.near\n", encoding="utf-8")
    assert code("room.loop", room) == before
    (room / "near.py").write_bytes(b"import numpy\r\n")
    assert code("room.loop", room) == before, "line ends are no change"
    (room / "near.py").write_text("import numpy  # another\n", encoding="utf-8")
    after = code("room.loop", room)
    assert {name for name in before if before[name] != after[name]} == {"room.near"}


# What reads scores, or chooses what is trained, and is no part of making one.
APART = {"calibration", "conditions", "arms", "ratings", "transfer", "cost", "harness", "judge_folder", "tasks.local_tasks"}


def test_every_file_of_the_room_is_reached_or_known_to_be_apart() -> None:
    modules = {".".join(("eval_fixed_model", *path.relative_to(ROOM).with_suffix("").parts)) for path in ROOM.rglob("*.py")}
    modules = {name.removesuffix(".__init__") for name in modules}
    reached = {name for entry in (SCORING, *MODULES.values()) for name in code(entry)}
    left = {name.removeprefix("eval_fixed_model.") for name in modules - reached}
    assert {name for name in left if not name.startswith("statistics")} <= APART
