from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import torch

from curate.errors import PoolError
from curate.model import Made, digest_of_weights
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
