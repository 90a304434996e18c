import pytest

from curate.nodes import node_of
from curate.plan import IN, POOL, Reason
from curate.rule import parse_rule


@pytest.fixture
def nodes():
    """A pool and two stages of it."""
    made = {POOL: node_of("id", POOL, "pool", (), None, {})}
    for name, text in (("a", "x.y > 1 and x.z > 2"), ("b", "x.y > 3")):
        made[name] = node_of(None, name, "after", (POOL,), parse_rule(text, where="here"), made)
    return made


def said(reasons):
    return [(reason.kind, reason.stage, reason.text) for reason in reasons]


KINDS = ("dropped", "no evidence", "quarantined")


def test_a_rule_gives_a_reason_of_each_kind_for_each_clause(nodes):
    assert said(nodes["a"].reasons) == [("in", "", ""), *((kind, "a", text) for text in ("x.y > 1", "x.z > 2") for kind in KINDS)]
    assert nodes[POOL].reasons == (IN,)


def test_parents_reasons_come_first_and_those_that_two_share_come_once(nodes):
    nodes["c"] = node_of(None, "c", "after", ("a",), parse_rule("x.y > 1", where="here"), nodes)
    both = node_of(None, "both", "all_of", ("c", "a", "b"), None, nodes)
    assert list(both.reasons) == [*nodes["c"].reasons, *nodes["b"].reasons[1:]]
    for parent, codes in zip(both.parents, both.inherits, strict=True):
        assert [both.reasons[code] for code in codes] == list(nodes[parent].reasons)


def test_minus_has_two_reasons_for_each_stage_taken_away(nodes):
    rest = node_of(None, "rest", "minus", (POOL, "a", "b"), None, nodes)
    assert rest.reasons[-4:] == tuple(
        Reason(kind, "rest", text)
        for stage in ("a", "b")
        for kind, text in (("dropped", f"in {stage}"), ("no evidence", f"not known whether in {stage}"))
    )


def test_the_id_moves_with_all_that_decides_and_with_nothing_else(nodes):
    rule = parse_rule("x.y > 1", where="here")
    given = (None, "n", "after", ("a",), rule)
    same = node_of(*given[:4], parse_rule("x.y  >  1", where="elsewhere"), nodes)
    others = [
        ("salt", *given[1:]),
        (None, "m", *given[2:]),
        (*given[:3], ("b",), rule),
        (*given[:4], parse_rule("x.y > 2", where="")),
        (*given[:4], None),
    ]
    ids = {node_of(*one, nodes).id for one in (given, *others)}
    assert same.id in ids
    assert len(ids) == 1 + len(others)
