import random

import numpy as np
import polars as pl
import pytest

from curate.errors import PoolError, RecipeError
from curate.model import Made, digest_of_weights
from filters.quality_classifier import load, quality_classifier

CLEAR = "we show that the result follows from the lemma because every term of the sum is bounded and so the proof is complete".split()  # noqa: SIM905
LOUD = "buy now cheap best offer click here free shipping order today discount deal hot sale limited win big prize".split()  # noqa: SIM905
SHARED = "and the a of to in for with on by".split()  # noqa: SIM905


def _texts(words: list[str], count: int, seed: int, mixed: float = 0.3) -> pl.DataFrame:
    """Texts of which each word is one of `words`, or with the chance `mixed` one of all."""
    draw = random.Random(seed)
    every = CLEAR + LOUD + SHARED
    return pl.DataFrame(
        {
            "text": [
                " ".join(draw.choice(every if draw.random() < mixed else words) for _ in range(draw.randint(8, 40))) for _ in range(count)
            ]
        }
    )


@pytest.fixture(scope="module")
def trained() -> Made:
    return quality_classifier(_texts(CLEAR, 400, 1), _texts(LOUD, 900, 2), bits=14)


def test_it_tells_texts_it_never_saw_apart(trained: Made) -> None:
    score = load(trained.weights, trained.card)
    good, rest = score(_texts(CLEAR, 200, 3)["text"]), score(_texts(LOUD, 200, 4)["text"])
    assert (good > 0).mean() > 0.97
    assert (rest < 0).mean() > 0.97
    assert good.mean() - rest.mean() > 2


def test_the_card_says_how_good_it_is_on_what_it_did_not_learn(trained: Made) -> None:
    rows, held_out = trained.card["rows"], trained.card["held_out"]
    assert (rows["trusted"], rows["others"]) == (400, 900)
    assert rows["trained_on"] + rows["held_out"] == 1300
    assert (held_out["trusted"] + held_out["others"]) == rows["held_out"] > 80
    assert held_out["auc"] > 0.97
    assert held_out["low"] <= held_out["auc"] <= held_out["high"] <= 1


def test_texts_of_one_kind_are_not_told_apart() -> None:
    found = quality_classifier(_texts(CLEAR, 500, 5), _texts(CLEAR, 500, 6), bits=14).card["held_out"]
    assert found["low"] < 0.5 < found["high"]
    assert 0.02 < found["standard_error"] < 0.1


def test_order_teaches_by_pairs_of_words() -> None:
    forth = pl.DataFrame({"text": [f"{a} {b} {c}" for a in "abcdefg" for b in "hijklmn" for c in "opq"]})
    back = pl.DataFrame({"text": [" ".join(reversed(text.split())) for text in forth["text"]]})
    made = quality_classifier(forth, back, bits=16)
    score = load(made.weights, made.card)
    assert (score(pl.Series(["a h", "g n", "n q"])) > 0).all()
    assert (score(pl.Series(["h a", "n g", "q n"])) < 0).all()


def test_the_same_rows_and_seed_give_the_same_bits_and_others_do_not(trained: Made) -> None:
    rows = _texts(CLEAR, 400, 1), _texts(LOUD, 900, 2)
    again = quality_classifier(*rows, bits=14)
    assert digest_of_weights(again.weights) == digest_of_weights(trained.weights)
    assert again.card == trained.card
    others = [quality_classifier(*rows, bits=14, **{name: value}) for name, value in {"seed": 1, "epochs": 2, "rate": 0.1}.items()]
    assert len({digest_of_weights(one.weights) for one in [trained, *others]}) == 4


def test_repeated_texts_and_those_of_both_sides_count_once_and_as_trusted(trained: Made) -> None:
    good, rest = _texts(CLEAR, 400, 1), _texts(LOUD, 900, 2)
    nothing = pl.DataFrame({"text": [None]}, schema={"text": pl.String})
    again = quality_classifier(pl.concat([good, good, nothing]), pl.concat([rest, good, rest]), bits=14)
    assert digest_of_weights(again.weights) == digest_of_weights(trained.weights)


def test_too_few_rows_and_impossible_sizes_are_refused() -> None:
    good, rest = _texts(CLEAR, 60, 1), _texts(LOUD, 300, 2)
    with pytest.raises(PoolError, match=r"at least 64 different texts of each side .* there are 5\d trusted and 2\d\d others") as raised:
        quality_classifier(good, rest)
    assert raised.value.fix
    with pytest.raises(PoolError, match="at least 64"):
        quality_classifier(rest, rest)
    for wrong in ({"bits": 27}, {"bits": 0}, {"epochs": 0}):
        with pytest.raises(RecipeError, match="cannot have bits"):
            quality_classifier(rest, rest, **wrong)


def test_scores_are_means_of_the_weights_of_words_and_pairs(trained: Made) -> None:
    score = load(trained.weights, trained.card)
    one, other, both, apart, again = score(pl.Series(["proof", "Lemma!", "proof lemma", "proof  LEMMA,", "proof proof"])).to_list()
    assert both == apart
    assert both not in (one, other)
    assert score(pl.Series(["proof", "(PROOF)", "\u00dfx", "ßX"])).to_list()[:2] == [one, one]
    assert again != one, "its pair with itself is a feature too"
    assert score(pl.Series(["", " ..!", None, "-"], dtype=pl.String)).to_list() == [None] * 4
    assert score(pl.Series(["日本語", "日 本 語"])).n_unique() == 1
    gains = trained.weights["gains"]
    assert gains.dtype == np.int16
    assert gains.size == 1 << 14
    assert 32_000 < np.abs(gains).max() <= 32_767


def test_a_text_of_megabytes_is_learned_and_scored() -> None:
    long = pl.DataFrame({"text": ["win " * 500_000, "x" * 2_000_000, "🙂𠀀é" * 100_000]})
    made = quality_classifier(_texts(CLEAR, 100, 1), pl.concat([_texts(LOUD, 100, 2), long]), bits=12, epochs=1)
    assert load(made.weights, made.card)(long["text"]).null_count() == 0
