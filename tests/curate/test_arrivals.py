"""Soft-cap sampling by arrival times is the sequence of draws that it stands for."""

import heapq
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from curate import arrivals
from curate.arrivals import exp, first_arrivals, log, times_drawn
from curate.digest import h
from curate.repetition import SoftCap


def words(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, (count, 2), dtype=np.uint64)


def draw(rule, scores, uids, batch=None):
    size = batch or max(len(scores), 1)
    found = first_arrivals(rule, lambda: ((scores[n : n + size], uids[n : n + size]) for n in range(0, len(scores), size)), len(scores))
    counts = times_drawn(rule, found.best, found.last, scores, uids)
    assert (int(counts.sum()), int((counts > 0).sum())) == (found.samples, found.rows)
    return counts


def rule_of(count, penalty=0.5, temperature=1.0, seed=0):
    return SoftCap("a.b", penalty, temperature, None, count, seed)


def test_logarithm_and_exponential_are_right_to_the_last_bits():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.random(20_000), np.exp(rng.uniform(-700, 700, 20_000)), 1 - 2.0 ** -np.arange(1, 53), [2.0**-53, 1.0]])
    true = np.array([math.log(each) for each in x.tolist()])
    assert (abs(log(x) - true) <= 2 * np.spacing(abs(true))).all()
    y = np.concatenate([rng.uniform(-700, 700, 20_000), rng.uniform(-1, 1, 20_000), [0.0]])
    true = np.array([math.exp(each) for each in y.tolist()])
    assert (abs(exp(y) - true) <= 2 * np.spacing(true)).all()
    assert exp(np.array([-np.inf, -800, 800, np.inf])).tolist() == [0, 0, np.inf, np.inf]


def test_the_number_of_draws_is_exact_whatever_the_batches():
    scores, uids = np.random.default_rng(1).normal(0, 2, 900), words(900)
    for count in (1, 300, 900, 5_000):
        counts = draw(rule_of(count), scores, uids)
        assert counts.sum() == count
        assert (draw(rule_of(count), scores, uids, batch=77) == counts).all()
    order = np.random.default_rng(2).permutation(900)
    assert (draw(rule_of(900), scores[order], uids[order]) == draw(rule_of(900), scores, uids)[order]).all()


def test_memory_for_a_few_draws_gives_the_same_cut(monkeypatch):
    scores, uids = np.random.default_rng(1).normal(0, 2, 900), words(900)
    before = draw(rule_of(4_000), scores, uids)
    monkeypatch.setattr(arrivals, "IN_MEMORY", 3)
    monkeypatch.setattr(arrivals, "BINS", 16)
    monkeypatch.setattr(arrivals, "SAMPLE", 10)
    assert (draw(rule_of(4_000), scores, uids) == before).all()


@pytest.mark.parametrize("wrong", [1e-3, 1e3])
def test_a_bad_guess_of_the_last_arrival_changes_nothing(wrong, monkeypatch):
    scores, uids = np.random.default_rng(1).normal(0, 2, 300), words(300)
    before, means = draw(rule_of(500), scores, uids), arrivals._means
    monkeypatch.setattr(arrivals, "_means", lambda *given: means(*given) * wrong)
    assert (draw(rule_of(500), scores, uids) == before).all()


def test_more_draws_only_add_to_fewer():
    scores, uids = np.random.default_rng(1).normal(0, 2, 300), words(300)
    fewer, more = (draw(rule_of(count), scores, uids) for count in (200, 350))
    assert (fewer <= more).all()


def test_rows_with_scores_far_apart_are_ranked_and_no_number_overflows():
    scores, uids = np.array([0.0, -5_000.0, 1e300, -1e300, 999.0]), words(5)
    assert draw(rule_of(1, penalty=1.0), scores, uids).tolist() == [0, 0, 1, 0, 0]
    assert draw(rule_of(40, penalty=1.0), scores - 1e300, uids).sum() == 40
    assert draw(rule_of(0), scores, uids).tolist() == [0] * 5
    assert draw(rule_of(10), np.empty(0), words(0)).tolist() == []


@pytest.mark.parametrize("penalty", [900.0, 1e9])
def test_a_penalty_above_all_scores_draws_rows_in_turn(penalty):
    counts = draw(rule_of(50, penalty), np.random.default_rng(0).normal(size=20), words(20))
    assert sorted(counts.tolist()) == [2] * 10 + [3] * 10


def test_no_more_draws_than_copies_are_possible(monkeypatch):
    monkeypatch.setattr(arrivals, "MOST_COPIES", 4)
    assert draw(rule_of(81), np.random.default_rng(0).normal(size=20), words(20)).tolist() == [4] * 20
    assert draw(rule_of(80, 0.0, 1e-4), np.random.default_rng(0).normal(size=20), words(20)).tolist() == [4] * 20
    scores = np.random.default_rng(0).normal(size=20)
    counts = draw(rule_of(70, 0.0, 1e-4), scores, words(20))
    assert counts[np.argsort(-scores)].tolist() == [4] * 17 + [2, 0, 0]


def test_ties_are_told_apart_by_uid(monkeypatch):
    monkeypatch.setattr(arrivals, "h", lambda *given: np.full_like(given[2], 1 << 62))
    scores, uids = np.zeros(50), words(50)
    counts = draw(rule_of(70, penalty=1.0), scores, uids)
    twice = np.lexsort((uids[:, 1], uids[:, 0]))[:20]
    assert counts.tolist() == [2 if row in twice else 1 for row in range(50)]


def _in_turn(rule, scores, uids):
    """The same waits in exact sums of 60 digits, one draw after the other; and how much later the first draw left out would come."""
    with localcontext(prec=60, Emax=10**17, Emin=-(10**17)):
        warm, best = Decimal(rule.temperature), Decimal(max(scores.tolist()))

        def wait(row, drawn):
            uniform = (Decimal(int(h("soft_cap", rule.seed, uids[row : row + 1], drawn)[0, 0]) >> 12) + Decimal("0.5")) / 2**52
            return -uniform.ln() * ((best - Decimal(float(scores[row])) + drawn * Decimal(rule.penalty)) / warm).exp()

        counts, coming, times = [0] * len(scores), [(wait(row, 0), row) for row in range(len(scores))], []
        heapq.heapify(coming)
        for _ in range(rule.count):
            time, row = heapq.heappop(coming)
            counts[row] += 1
            times.append(time)
            heapq.heappush(coming, (time + wait(row, counts[row]), row))
        return counts, coming[0][0] / times[-1] - 1


@pytest.mark.parametrize(
    ("spread", "penalty", "temperature", "count"),
    [
        (1, 0.15, 1e-4, 300),  # steep: nearly the ranks
        (1, 0.15, 1.0, 300),
        (1, 0.15, 1e6, 300),  # flat: nearly uniform
        (1, 0.0, 1e-4, 50),
        (1e4, 1_000, 1.0, 200),  # sizes in bytes
        (1e4, 1_000, 1e-4, 200),
        (1e4, 1_000, 1e6, 200),
        (1e4, 0.5, 1e-4, 100),
        (1e9, 1e8, 1e-4, 200),
    ],
)
def test_steep_flat_and_huge_scores_are_drawn_as_in_exact_numbers(spread, penalty, temperature, count):
    scores, uids = np.random.default_rng(3).uniform(-1, 1, 120) * spread, words(120)
    rule = rule_of(count, penalty, temperature)
    counts, apart = _in_turn(rule, scores, uids)
    assert apart > 1e-4, "the last draw and the next are told apart by a float64"
    assert draw(rule, scores, uids, batch=50).tolist() == counts


@pytest.mark.parametrize(("best", "penalty", "temperature"), [(1e308, 1e308, 1e-300), (1.7e308, 1e308, 1.7e308), (1e308, 1e305, 1.0)])
def test_the_largest_numbers_neither_overflow_nor_lose_draws(best, penalty, temperature):
    scores, passes = np.linspace(-1, 1, 100) * best, list[int]()

    def batches():
        passes.append(1)
        yield scores, words(100)

    found = first_arrivals(rule_of(900, penalty, temperature), batches, 100)
    counts = times_drawn(rule_of(900, penalty, temperature), found.best, found.last, scores, words(100)).astype(int)
    assert (counts.sum(), (counts > 0).sum()) == (found.samples, found.rows)
    assert found.samples == 900
    assert len(passes) <= 8
    if temperature < best:
        assert (np.diff(counts) >= 0).all(), "a better row is drawn as often or more"


def _sequence(scores, count, penalty, temperature, batch, rng):
    """The paper's algorithm: batches drawn without replacement by softmax, scores reduced after each."""
    counts, done = np.zeros(len(scores), int), 0
    while done < count:
        size = min(batch, count - done)
        chance = np.exp((scores - penalty * counts) / temperature)
        counts[rng.choice(len(scores), size, replace=False, p=chance / chance.sum())] += 1
        done += size
    return counts


@pytest.mark.parametrize(("count", "penalty", "temperature"), [(60, 0.5, 1.0), (60, 0.0, 1.0), (25, 0.1, 0.2)])
def test_rows_are_drawn_as_in_a_sequence_of_draws(count, penalty, temperature):
    """Mean and spread of each row's count, and how many rows are drawn, beside 4,000 sequences drawn one after the other."""
    scores, uids = np.linspace(-2, 2, 20), words(20)
    rng, theirs = np.random.default_rng(7), np.zeros((4_000, 20))
    for _ in range(count):  # the highest of logits + Gumbel noise is a draw by softmax
        drawn = np.argmax((scores - penalty * theirs) / temperature + rng.gumbel(size=theirs.shape), axis=1)
        theirs[np.arange(4_000), drawn] += 1
    ours = np.array([draw(rule_of(count, penalty, temperature, seed), scores, uids) for seed in range(200)]).astype(float)
    for one, other in ((ours, theirs), ((ours > 0).sum(axis=1, keepdims=True), (theirs > 0).sum(axis=1, keepdims=True))):
        noise = other.std(axis=0) * np.sqrt(1 / 200 + 1 / 4_000)
        assert (abs(one.mean(axis=0) - other.mean(axis=0)) < 4 * noise + 0.01).all()
    often = theirs.mean(axis=0) > 0.5
    assert often.sum() > 5
    assert (abs(ours.std(axis=0)[often] / theirs.std(axis=0)[often] - 1) < 0.25).all()


def test_small_batches_without_replacement_draw_nearly_the_same():
    """The paper's batches are 1/1280 of its draws; at 1/60 as many rows are drawn as here, at 1/3 none is drawn more than 3 times."""
    scores, uids, rng = np.random.default_rng(1).normal(0, 1, 120), words(120), np.random.default_rng(2)
    ours = np.array([draw(rule_of(120, 0.15, seed=seed), scores, uids) for seed in range(60)])
    near = np.array([_sequence(scores, 120, 0.15, 1.0, 2, rng) for _ in range(60)])
    drawn = [(each > 0).sum(axis=1) for each in (ours, near)]
    assert abs(drawn[0].mean() - drawn[1].mean()) < 4 * np.sqrt((drawn[0].var() + drawn[1].var()) / 60)
    assert _sequence(scores, 120, 0.15, 1.0, 40, rng).max() <= 3 < ours.max()


@pytest.mark.parametrize(("penalty", "temperature", "wanted"), [(0.0, 0.02, 80), (900.0, 1.0, 400)])
def test_few_passes_suffice_where_a_row_cannot_be_drawn_more_often(penalty, temperature, wanted, monkeypatch):
    monkeypatch.setattr(arrivals, "MOST_COPIES", 50)
    rng, passes = np.random.default_rng(0), list[int]()
    scores, uids = np.append(rng.normal(size=200), 6.0), rng.integers(0, 2**63, (201, 2), dtype=np.uint64)

    def batches():
        passes.append(1)
        yield scores, uids

    rule = SoftCap("s.x", penalty, temperature, None, wanted, 0)
    found = first_arrivals(rule, batches, len(scores))
    counts = times_drawn(rule, found.best, found.last, scores, uids)
    assert (counts.sum(), (counts > 0).sum()) == (found.samples, found.rows)
    assert found.samples == wanted
    assert counts[200] == (50 if penalty == 0 else 2)
    assert len(passes) <= 6
