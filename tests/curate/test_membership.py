import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.membership import combined_copies, inherited
from curate.plan import IN, Node, Reason

# Of each parent: in, dropped, no evidence, quarantined, and dropped further up by a stage that parents share.
SHARED = Reason("dropped", "first", "x > 1")


def reasons_of(parent):
    return (IN, SHARED, *(Reason(kind, parent, "y") for kind in ("dropped", "no evidence", "quarantined")))


def made(combinator, count):
    """A node over parents p0, p1, ..., with its table of reasons and what each parent's codes become."""
    parents = tuple(f"p{n}" for n in range(count))
    reasons, inherits = [IN], []
    for parent in parents:
        reasons += [reason for reason in reasons_of(parent) if reason not in reasons]
        inherits.append(tuple(reasons.index(reason) for reason in reasons_of(parent)))
    if combinator == "minus":
        for parent in parents[1:]:
            reasons += [Reason("dropped", "node", f"in {parent}"), Reason("no evidence", "node", f"not known whether in {parent}")]
    return Node("node", "id", combinator, parents, None, tuple(reasons), tuple(inherits))


def truth(reason):
    return {"in": True, "dropped": False}.get(reason.kind)


def first(reasons, wanted):
    return next(reason for reason in reasons if truth(reason) is wanted)


def conjunction(reasons):
    truths = [truth(reason) for reason in reasons]
    return first(reasons, False) if False in truths else first(reasons, None) if None in truths else IN


def expected(combinator, operands):
    """Kleene logic on reasons: of `all_of` and `minus` the first operand that decides, of `any_of` the last."""
    if combinator == "all_of":
        return conjunction(operands)
    if combinator == "any_of":
        truths = [truth(reason) for reason in operands]
        return IN if True in truths else first(operands[::-1], None) if None in truths else operands[-1]
    outside = {True: ("dropped", "in p{}"), None: ("no evidence", "not known whether in p{}")}
    negated = [
        IN if truth(reason) is False else Reason(outside[truth(reason)][0], "node", outside[truth(reason)][1].format(n))
        for n, reason in enumerate(operands[1:], 1)
    ]
    return conjunction([operands[0], *negated])


@pytest.mark.parametrize("combinator", ["all_of", "any_of", "minus"])
@given(
    rows=st.integers(1, 4).flatmap(
        lambda count: st.lists(st.lists(st.integers(0, 4), min_size=count, max_size=count), min_size=1, max_size=9)
    )
)
def test_combinations_are_kleene_and_name_the_operand_that_decides(combinator, rows):
    count = len(rows[0])
    node = made(combinator, count)
    before = [np.array([row[n] for row in rows], np.uint16) for n in range(count)]
    codes = inherited(node, [codes.copy() for codes in before], len(rows))
    found = [node.reasons[code] for code in codes]
    assert found == [expected(combinator, [reasons_of(f"p{n}")[code] for n, code in enumerate(row)]) for row in rows]
    assert codes.dtype == np.uint16


def test_a_stage_after_another_takes_its_codes_over_as_its_own():
    node = made("after", 1)
    parent = np.array([0, 1, 2, 3, 4], np.uint16)
    codes = inherited(node, [parent], 5)
    assert [node.reasons[code] for code in codes] == list(reasons_of("p0"))
    codes[:] = 9
    assert parent.tolist() == [0, 1, 2, 3, 4]


def test_the_pool_holds_every_row():
    assert inherited(Node("pool", "id", "pool", (), None, (IN,), ()), [], 3).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("combinator", "expected"),
    [("after", [3, 0, 1, 65_535]), ("all_of", [2, 0, 0, 1]), ("any_of", [3, 5, 1, 65_535]), ("minus", [3, 0, 1, 65_535])],
)
def test_copies_combine_as_multisets_do(combinator, expected):
    parents = [np.array([3, 0, 1, 65_535], np.uint16), np.array([2, 5, 0, 1], np.uint16)]
    found = combined_copies(combinator, parents)
    assert (found.tolist(), found.dtype) == (expected, np.uint16)
    found[:] = 9
    assert parents[0].tolist() == [3, 0, 1, 65_535], "a parent's copies stay its own"
