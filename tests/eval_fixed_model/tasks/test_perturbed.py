import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from eval_fixed_model.image_text import ask, build
from eval_fixed_model.records import Perturbed
from eval_fixed_model.score import task_scores
from eval_fixed_model.tasks import perturbed

PICTURES = np.random.default_rng(0).integers(60, 200, (6, 3, 32, 32), dtype=np.uint8).repeat(2, 2)[:, :, :32]
NUMBERS = np.arange(10, 16, dtype=np.uint32)


@pytest.mark.parametrize("variant", ["noise", "blur", "contrast", "jpeg"])
def test_a_picture_changes_by_its_number_alone(variant: str) -> None:
    changed = perturbed.images(variant, PICTURES, NUMBERS)
    assert changed.shape == PICTURES.shape
    assert changed.dtype == np.uint8
    assert (changed != PICTURES).mean() > 0.5
    assert np.array_equal(perturbed.images(variant, PICTURES[2:4], NUMBERS[2:4]), changed[2:4]), "whatever its neighbours are"
    other = perturbed.images(variant, PICTURES, NUMBERS + 1)
    assert np.array_equal(other, changed) == (variant != "noise")


def test_pictures_change_as_it_says() -> None:
    grey = np.full((200, 3, 32, 32), 128, np.uint8)
    noise = perturbed.images("noise", grey, np.arange(200, dtype=np.uint32)).astype(float) - 128
    assert noise.std() == pytest.approx(perturbed.NOISE * 255, rel=0.01)
    assert noise.mean() == pytest.approx(0, abs=0.1)
    flat = perturbed.images("contrast", PICTURES, NUMBERS).astype(float)
    assert flat.std((2, 3)) == pytest.approx(perturbed.CONTRAST * PICTURES.std((2, 3)), abs=0.2)
    assert flat.mean((2, 3)) == pytest.approx(PICTURES.mean((2, 3)), abs=0.6)
    rows = [np.abs(np.diff(pictures.astype(float), axis=3)).mean() for pictures in (PICTURES, perturbed.images("blur", PICTURES, NUMBERS))]
    assert rows[1] < 0.8 * rows[0], "neighbours become alike"
    file = io.BytesIO()
    Image.fromarray(PICTURES[0].transpose(1, 2, 0)).save(file, "JPEG", quality=perturbed.QUALITY)
    assert np.array_equal(perturbed.images("jpeg", PICTURES, NUMBERS)[0], np.asarray(Image.open(file)).transpose(2, 0, 1))


def test_texts_change_as_they_say() -> None:
    text = "a photograph of two yellow circles beside one triangle"
    assert perturbed.text("capitals", text) == text.upper()
    ordered = perturbed.text("order", text)
    assert ordered != text
    assert sorted(ordered.split()) == sorted(text.split())
    typed = perturbed.text("typos", text)
    pairs = [(a, b) for a, b in zip(text.split(), typed.split(), strict=True) if a != b]
    assert 1 <= len(pairs) <= 2, "a quarter of nine words"
    assert all(abs(len(a) - len(b)) <= 1 and set(b) <= set(a) for a, b in pairs)
    assert perturbed.text("typos", text) == typed


def test_every_text_with_a_word_of_letters_has_a_slip() -> None:
    texts = [f"{word} {i}" for i, word in enumerate(["circle", "moon", "of", "zz", "letter", "aa"] * 20)]
    changed = [perturbed.text("typos", text) for text in texts]
    assert all(a != b for a, b in zip(texts, changed, strict=True))
    assert {len(b) - len(a) for a, b in zip(texts, changed, strict=True)} == {-1, 0, 1}, "all three kinds occur"
    assert perturbed.text("typos", "7 - a") == "7 - a"
    assert perturbed.text("typos", "") == ""


def test_what_is_no_perturbation_is_refused() -> None:
    with pytest.raises(ValueError, match="no perturbation of pictures is called typos"):
        perturbed.images("typos", PICTURES, NUMBERS)
    with pytest.raises(ValueError, match="no perturbation of texts is called blur"):
        perturbed.text("blur", "a")


def test_the_first_items_of_the_headline_are_asked_again(world) -> None:
    asked = Perturbed(items=7, images=("contrast",), texts=("typos", "capitals"))
    scale = world.scale.model_copy(
        update={"perturbed": asked, "headline": world.scale.headline.model_copy(update={"tasks": ("colour", "retrieval")})}
    )
    network = build(scale, 0).eval()
    answers = ask(network, scale, "test")
    plain = ask(network, scale.model_copy(update={"perturbed": None}), "test")
    assert answers.filter(variant="").equals(plain), "what is asked as it is does not change"
    again = answers.filter(pl.col("variant") != "")
    assert set(again["task"]) == {"colour", "retrieval"}
    assert set(again["variant"]) == {"contrast", "typos", "capitals"}
    for (task, _), few in again.group_by("task", "variant"):
        first = plain.filter(task=task)["item"].unique().sort()[:7]
        assert sorted(set(few["item"])) == first.to_list()
        assert few.height == (14 if task == "retrieval" else 7)
    same = plain.join(again.filter(variant="capitals"), ["item", "task", "direction"], "semi").sort("task", "direction", "item")
    big = again.filter(variant="capitals").sort("task", "direction", "item")
    assert big.drop("variant", "nats", "sure").equals(same.drop("variant", "nats", "sure")), "the judge casefolds: nothing changes"
    assert not again.filter(variant="contrast")["nats"].equals(big["nats"])
    found = task_scores(answers, scale)["retrieval"].measures
    assert {"recall_at_1:contrast", "recall_at_1:typos", "recall_at_1:capitals", "recall_at_1:same items"} <= set(found)
    assert found["recall_at_1:capitals"] == found["recall_at_1:same items"]
