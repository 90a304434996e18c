from dataclasses import replace
from fractions import Fraction

import numpy as np
import polars as pl
import pytest

from curate.decisions import WORD, Decided, conserve, folder, funnel, limit_errors, load, publish, rows_in
from curate.errors import CeterisError, ConservationError
from curate.plan import IN, POOL, Node, Reason
from curate.reduce import Cut
from curate.rule import Top
from curate.store import Store

BASIC = (IN, Reason("dropped", "basic", "x > 1"), Reason("no evidence", "basic", "x > 1"), Reason("quarantined", "basic", "x > 1"))
TOP = Top("a.score", False, Fraction(1, 2), None, False)
BEST = (*BASIC, *(Reason(kind, "best", TOP.text) for kind in ("dropped", "no evidence", "quarantined")))
NODES = {
    POOL: Node(POOL, "p" * 64, "pool", (), None, (IN,), ()),
    "basic": Node("basic", "b" * 64, "after", (POOL,), None, BASIC, ((0,),)),
    "best": Node("best", "c" * 64, "after", ("basic",), TOP, BEST, ((0, 1, 2, 3),)),
    "both": Node("both", "d" * 64, "all_of", ("basic", "best"), None, BEST, ((0, 1, 2, 3), tuple(range(7)))),
}
UIDS = np.array([[WORD - 1 - n, n * n] for n in range(10)], np.uint64)
CODES = {POOL: [0] * 10, "basic": [0, 0, 0, 0, 1, 1, 1, 2, 3, 0], "best": [0, 4, 0, 5, 1, 1, 1, 2, 3, 6]}
TOTAL = (10, int(UIDS[:, 0].sum()), int(UIDS[:, 1].sum()))


def decided(name, codes=None, cut=None):
    """What a node decided on ten rows."""
    given, node = np.array(codes or CODES[name]), NODES[name]
    sums = tuple(tuple(int(UIDS[given == code, word].sum(dtype=np.uint64)) for word in (0, 1)) for code in range(len(node.reasons)))
    return Decided(name, node.id, node.reasons, tuple(np.bincount(given, minlength=len(node.reasons)).tolist()), sums, (), cut)


def test_conserved_rows_pass():
    parents = {name: decided(name) for name in (POOL, "basic")}
    conserve(NODES["basic"], decided("basic"), TOTAL, parents)
    conserve(NODES["best"], decided("best"), TOTAL, parents)
    conserve(NODES["both"], decided("both", CODES["best"]), TOTAL, parents)


@pytest.mark.parametrize(
    ("name", "codes", "what"),
    [
        ("basic", CODES["basic"][:9], "stage basic: 9 rows came out of 10"),
        ("best", [0, 4, 0, 5, 0, 1, 1, 2, 3, 6], "kept . dropped . quarantined is not what basic let in"),
        ("best", [1, 4, 0, 5, 0, 1, 1, 2, 3, 6], "kept . dropped . quarantined is not what basic let in"),
    ],
    ids=["a row is lost", "a dropped row comes back", "two rows change places"],
)
def test_rows_that_are_lost_or_swapped_stop_the_run(name, codes, what):
    short = np.array(codes)
    node, uids = NODES[name], UIDS[: len(codes)]
    sums = tuple(tuple(int(uids[short == code, word].sum(dtype=np.uint64)) for word in (0, 1)) for code in range(len(node.reasons)))
    found = Decided(name, node.id, node.reasons, tuple(np.bincount(short, minlength=len(node.reasons)).tolist()), sums, (), None)
    with pytest.raises(ConservationError, match=what) as raised:
        conserve(node, found, TOTAL, {one: decided(one) for one in (POOL, "basic")})
    assert raised.value.where == name


def test_equal_counts_of_other_rows_stop_the_run():
    good = decided("basic")
    (high, low), *rest = good.sums
    with pytest.raises(ConservationError, match="or they are other rows"):
        conserve(NODES["basic"], replace(good, sums=(((high + 1) % WORD, low), *rest)), TOTAL, {POOL: decided(POOL)})


def test_only_what_a_stage_itself_could_not_measure_counts_against_it():
    best = decided("best")
    limit_errors(NODES["best"], best, 0.2)
    with pytest.raises(CeterisError, match=r"stage best: 1 of 5 rows \(20.0%\) cannot be measured; at most 19.0% may") as raised:
        limit_errors(NODES["best"], best, 0.19)
    assert "errors_at_most" in raised.value.fix
    limit_errors(NODES["both"], decided("both", CODES["best"]), 0.0)
    limit_errors(NODES["basic"], decided("basic", [1] * 10), 0.0)


def test_decisions_come_back_as_they_were_published(tmp_path):
    store = Store.open(tmp_path)
    assert load(store, NODES["best"].id) is None
    part = store.put_frame(folder(NODES["best"].id), "0", pl.DataFrame({"code": CODES["best"]}, schema={"code": pl.UInt16}))
    for name, cut in (("best", Cut(5, 2, (1, 2, WORD - 1), 0.25)), ("both", Cut(4, 3, survivors=part))):
        made = replace(decided(name, CODES["best"], cut), parts=(part,))
        publish(store, made)
        assert load(store, NODES[name].id) == made
    assert made.codes(store, 0).tolist() == CODES["best"]
    assert made.kept == 2
    ((piece, mask),) = rows_in(store, made, [0])
    assert (piece, np.flatnonzero(mask).tolist()) == (0, [0, 2])
    assert list(rows_in(store, decided(POOL), [0, 1])) == [(0, None), (1, None)]


def test_a_funnel_counts_what_each_stage_did_itself():
    every = {
        POOL: decided(POOL),
        "basic": decided("basic"),
        "best": decided("best", cut=Cut(4, 2, (0, 0, 0), 0.5)),
        "both": decided("both", CODES["best"]),
    }
    lines = funnel(NODES, every)
    assert [(line["stage"], line["in"], line["kept"], line["cut"]) for line in lines] == [
        (POOL, 10, 10, None),
        ("basic", 10, 5, None),
        ("best", 5, 2, 0.5),
        ("both", None, 2, None),
    ]
    assert [[(reason["kind"], reason["rows"]) for reason in line["reasons"]] for line in lines] == [
        [],
        [("dropped", 3), ("no evidence", 1), ("quarantined", 1)],
        [("dropped", 1), ("no evidence", 1), ("quarantined", 1)],
        [],
    ]
