import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import polars as pl
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

from curate.errors import CeterisError, PoolError, RecipeError
from curate.model import Made, digest_of_weights
from filters._open_clip import folder_of
from filters._training import Pairs
from filters.filter_network import filter_network, load

World = Callable[[int, int], pl.DataFrame]


@pytest.fixture(scope="module")
def trained(world: World) -> Made:
    """Trained for a few seconds on 1,000 scenes with true captions."""
    return filter_network(world(1000, 1), samples=12_800)


def _scores(made: Made, rows: pl.DataFrame) -> np.ndarray:
    matcher = load(made.weights, made.card)
    with torch.inference_mode():
        images = torch.stack([matcher.preprocess(image) for image in rows["image"]])
        image = torch.nn.functional.normalize(matcher.model.encode_image(images), dim=-1)
        text = torch.nn.functional.normalize(matcher.model.encode_text(matcher.tokenize(rows["text"].to_list())), dim=-1)
    return (image @ text.T).numpy()


def test_it_tells_matched_from_mismatched_pairs_of_scenes_it_never_saw(trained: Made, world: World) -> None:
    rows = world(300, 2)
    scores, texts = _scores(trained, rows), rows["text"].to_numpy()
    matched = np.diag(scores)
    other = texts[:, None] != texts[None]
    auc = np.mean([(matched[i] > scores[i, other[i]]).mean() for i in range(len(texts))])
    assert auc > 0.85, "chance is .5"


def test_shuffled_captions_teach_nothing(world: World) -> None:
    rows = world(600, 1)
    order = np.random.default_rng(0).permutation(rows.height)
    made = filter_network(rows.with_columns(text=rows["text"].gather(order)), samples=3_200)
    fresh = world(300, 2)
    scores, texts = _scores(made, fresh), fresh["text"].to_numpy()
    other = texts[:, None] != texts[None]
    assert abs(np.mean([(scores[i, i] > scores[i, other[i]]).mean() for i in range(300)]) - 0.5) < 0.1


def test_the_card_states_what_was_made_from_what(trained: Made) -> None:
    rows, held_out = trained.card["rows"], trained.card["held_out"]
    assert rows["given"] == 1000 == rows["trained_on"] + rows["held_out"]
    assert 60 < rows["held_out"] < 140
    assert held_out["auc_matched_vs_shuffled"] > 0.8
    assert held_out["image_to_text_r1"] > 3 * held_out["chance_r1"]
    assert trained.card["parameters"] > sum(w.size for w in trained.weights.values()) / 2


def test_the_same_rows_and_seed_give_the_same_bits_and_another_seed_does_not(world: World) -> None:
    rows = world(120, 3)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = filter_network(rows, samples=640)
    assert torch.equal(torch.get_rng_state(), before), "the process's own random numbers are left alone"
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(6)
    again = filter_network(rows, samples=640)
    torch.set_num_threads(threads)
    assert digest_of_weights(one.weights) == digest_of_weights(again.weights)
    assert one.card == again.card
    assert digest_of_weights(filter_network(rows, samples=640, seed=1).weights) != digest_of_weights(one.weights)


def test_unreadable_rows_are_counted_and_too_few_are_refused(world: World) -> None:
    rows = world(70, 4)
    broken = pl.concat([rows, pl.DataFrame({"image": [b"<html>", rows["image"][0][:50], None], "text": ["a", "b", "c"]})])
    with pytest.raises(PoolError, match="at least 64 readable trusted pairs"):
        filter_network(rows[:60], samples=64)
    made = filter_network(pl.concat([broken, world(40, 5)]), samples=64)
    assert made.card["rows"]["unreadable"] == 3
    assert made.card["rows"]["trained_on"] + made.card["rows"]["held_out"] == 110


def test_loading_gives_the_weights_back_frozen(trained: Made) -> None:
    matcher = load(trained.weights, trained.card)
    state = {name: tensor.numpy() for name, tensor in matcher.model.state_dict().items() if tensor.is_floating_point()}
    assert digest_of_weights(state) == digest_of_weights(trained.weights)
    assert not matcher.model.training
    assert not any(parameter.requires_grad for parameter in matcher.model.parameters())


def test_the_tokeniser_reads_words_in_any_case_and_script() -> None:
    tokenize = load(*_tiny()).tokenize
    one, other, russian, nothing = tokenize(["Two RED squares!", "two red squares", "Два красных квадрата", "\0 !?"])
    assert torch.equal(one, other)
    assert int((russian != 0).sum()) == 3
    assert int(nothing.sum()) == 0
    assert tokenize(["word " * 2_000_000]).shape == (1, 16)
    assert tokenize([]).shape == (0, 16)


def _tiny() -> tuple[dict[str, np.ndarray], dict[str, object]]:
    from filters._tower import Towers

    torch.manual_seed(0)
    state = Towers(16, 4, 8).state_dict()
    weights = {name: tensor.numpy() for name, tensor in state.items() if tensor.is_floating_point()}
    return weights, {"architecture": {"resolution": 16, "width": 4, "embed": 8}}


def test_the_held_out_tenth_goes_by_the_image_alone(world: World) -> None:
    """A pair's side never depends on its mates, so that more trusted rows do not move old ones across."""
    rows = world(100, 6)
    assert rows["image"].n_unique() == 100
    whole = filter_network(rows, samples=64).card["rows"]["held_out"]
    parts = [filter_network(pl.concat([part, part]), samples=64).card["rows"]["held_out"] // 2 for part in (rows[:50], rows[50:])]
    assert sum(parts) == whole


ARCHITECTURE = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small architecture in open_clip's own format."""
    path = tmp_path_factory.mktemp("configs") / "mine.json"
    path.write_text(json.dumps(ARCHITECTURE))
    return str(path)


@pytest.fixture(scope="module")
def transformer(world: World, config: str) -> Made:
    """A small vision and a small text transformer of open_clip's, trained for some seconds."""
    return filter_network(world(600, 1), architecture="mine", config=config, samples=6_400, rate=2e-3)


def test_an_architecture_of_open_clip_learns_too_and_its_card_says_from_what(transformer: Made) -> None:
    card = transformer.card
    assert card["held_out"]["auc_matched_vs_shuffled"] > 0.8, "chance is .5"
    assert (card["training"]["initial"], card["training"]["rate"], card["training"]["device"]) == ("random weights", 2e-3, "cpu")
    assert card["architecture"]["config"] == ARCHITECTURE
    assert card["parameters"] == sum(w.size for w in transformer.weights.values())


def test_it_leaves_as_a_folder_that_open_clip_loads_with_equal_features(transformer: Made, world: World, tmp_path: Path) -> None:
    for name, data in folder_of(json.loads(json.dumps(transformer.card["architecture"])), transformer.weights).items():
        (tmp_path / name).write_bytes(data)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    tokens = open_clip.get_tokenizer(f"local-dir:{tmp_path}")(world(20, 7)["text"].to_list())
    matcher = load(transformer.weights, transformer.card)
    with torch.inference_mode():
        images = torch.stack([preprocess(Image.open(io.BytesIO(image)).convert("RGB")) for image in world(20, 7)["image"]])
        ours = torch.stack([matcher.preprocess(image) for image in world(20, 7)["image"]])
        assert torch.allclose(model.eval().encode_image(images), matcher.model.encode_image(ours), atol=1e-5)
        assert torch.allclose(model.encode_text(tokens), matcher.model.encode_text(tokens), atol=1e-6)
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} == {n: w.shape for n, w in transformer.weights.items()}


def test_a_tiny_network_is_not_open_clips(trained: Made) -> None:
    with pytest.raises(CeterisError, match="none of open_clip's architectures"):
        folder_of(trained.card["architecture"], trained.weights)


def test_open_clips_architectures_train_to_the_same_bits_in_parts_to_the_same_numbers(world: World, config: str) -> None:
    rows = world(100, 3)
    one, again, parts, other = (
        filter_network(rows, architecture="mine", config=config, samples=192, **how) for how in ({}, {}, {"at_once": 24}, {"seed": 1})
    )
    assert digest_of_weights(one.weights) == digest_of_weights(again.weights)
    assert one.card == again.card
    assert digest_of_weights(other.weights) != digest_of_weights(one.weights)
    assert all(np.allclose(parts.weights[name], value, atol=2e-4) for name, value in one.weights.items())
    assert max(float(abs(other.weights[name] - value).max()) for name, value in one.weights.items()) > 0.05


def test_training_goes_on_from_a_checkpoint(world: World, config: str, transformer: Made, tmp_path: Path) -> None:
    path = tmp_path / "begun.safetensors"
    save_file(transformer.weights, path)
    rows, how = world(200, 8), {"architecture": "mine", "config": config, "samples": 64, "rate": 1e-6}
    gone_on, anew = filter_network(rows, initial=str(path), **how), filter_network(rows, **how)
    assert gone_on.card["held_out"]["auc_matched_vs_shuffled"] > anew.card["held_out"]["auc_matched_vs_shuffled"] + 0.1
    assert gone_on.card["training"]["initial"] == str(path)


def test_pixels_that_are_not_held_are_decoded_again_to_the_same_ones(world: World) -> None:
    rows = world(90, 2)
    images, texts = [b"<html>", *rows["image"]], ["a page", *rows["text"]]
    matcher = load(*_tiny())
    held, fleeting = Pairs(matcher, images, texts), Pairs(matcher, images, texts, held=0)
    assert held.pixels is not None
    assert fleeting.pixels is None
    order = [np.arange(start, 90, 9) for start in range(9)]
    for (rows_a, a), (rows_b, b) in zip(held.batches(order), fleeting.batches(order), strict=True):
        assert np.array_equal(rows_a, rows_b)
        assert torch.equal(a, b)
    assert torch.equal(held.tokens, fleeting.tokens)
    assert len(held.images) == 90


def test_evaluation_images_among_trusted_rows_are_refused_by_file_and_by_pixels(world: World, tmp_path: Path) -> None:
    rows = world(100, 3)
    again = io.BytesIO()
    Image.open(io.BytesIO(rows["image"][7])).save(again, "BMP")
    (tmp_path / "aside").mkdir()
    pl.DataFrame({"image": [*world(5, 9)["image"], rows["image"][3]]}).write_parquet(tmp_path / "aside" / "set.parquet")
    (tmp_path / "aside" / "seven.bmp").write_bytes(again.getvalue())
    with pytest.raises(PoolError, match=r"2 trusted rows show evaluation images") as raised:
        filter_network(rows, samples=64, refuse=str(tmp_path / "aside"))
    assert "row 3" in raised.value.where
    assert "set.parquet row 5" in raised.value.where
    assert "row 7" in raised.value.where
    assert "seven.bmp" in raised.value.where
    others = rows.filter(~pl.col("image").is_in([rows["image"][3], rows["image"][7]]))
    made = filter_network(others, samples=64, refuse=str(tmp_path / "aside"))
    assert made.card["rows"]["given"] == 98
    for name in ("empty", "words", "packed"):
        (tmp_path / name).mkdir()
    (tmp_path / "words" / "README.md").write_text("no picture", encoding="utf-8")
    (tmp_path / "packed" / "0.tar").write_bytes(again.getvalue())
    refused = {"empty": "no evaluation images", "words": "no evaluation images", "packed": "archives", "gone": "no such place"}
    for place, message in ((tmp_path / name, message) for name, message in refused.items()):
        with pytest.raises(RecipeError, match=message):
            filter_network(others, samples=64, refuse=str(place))
    pl.DataFrame({"picture": [b"x"]}).write_parquet(tmp_path / "odd.parquet")
    with pytest.raises(RecipeError, match="no column image"):
        filter_network(others, samples=64, refuse=str(tmp_path / "odd.parquet"))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"initial": "x.pt"}, "tiny architecture takes neither"),
        ({"architecture": "ViT-B-33"}, "no architecture ViT-B-33"),
        ({"batch": 0}, "batch cannot be"),
        ({"rate": "fast"}, "rate cannot be"),
        ({"resolution": 30}, "resolution cannot be"),
        ({"width": 0}, "width cannot be"),
        ({"embed": -1}, "embed cannot be"),
        ({"decay": -0.1}, "decay cannot be"),
    ],
)
def test_parameters_that_cannot_be_are_refused(world: World, how: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        filter_network(world(70, 4), **how)
