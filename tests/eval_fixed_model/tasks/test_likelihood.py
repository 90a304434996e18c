import math

import pytest

from eval_fixed_model.records import Likelihood
from eval_fixed_model.tasks.answers import ANSWERS
from eval_fixed_model.tasks.likelihood import likelihood
from eval_fixed_model.tasks.metrics import measures

TEXTS = ["größer", "a longer text"]


def test_a_texts_nats_are_of_all_its_tokens_and_its_bytes_are_of_utf8(bigram, items) -> None:
    answers = likelihood(bigram, items("likelihood", text=TEXTS, group=["de", None]))
    assert dict(answers.schema) == {name: dtype() for name, dtype in ANSWERS.items()}
    nats = [float(one.nats.sum(dtype="f8")) for one in bigram.texts(TEXTS)]
    assert answers["nats"].to_list() == pytest.approx(nats)
    assert answers["bytes"].to_list() == [8, 13]
    assert answers["item"].to_list() == [10, 11]
    assert answers["group"].to_list() == ["de", None]
    assert answers["rank"].null_count() == answers["sure"].null_count() == 2
    assert measures(answers, Likelihood(kind="likelihood"))["bits_per_byte"] == pytest.approx(-sum(nats) / math.log(2) / 21)


def test_a_network_that_knows_nothing_needs_the_logarithm_of_its_tokens(parrot, items) -> None:
    answers = likelihood(parrot("z"), items("likelihood", text=["abc"]))
    assert answers["nats"].to_list() == pytest.approx([-3 * math.log(257)])
