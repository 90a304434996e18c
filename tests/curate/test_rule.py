"""Rules as recipes write them, the rows they keep by number, and what is no rule."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.amounts import share
from curate.errors import RecipeError
from curate.mix import Mix
from curate.rule import Expr, OnePer, Random, Top, parse_rule, rule_schema
from curate.yaml_source import read


def rule_of(text):
    source = read(text, where="r.yaml")
    return parse_rule(source.value, where=source.at(()), at=source.at)


def test_fractions_are_exact_as_written():
    rule = rule_of("{top: s.a, fraction: 0.29}")
    assert rule.fraction == Fraction(29, 100)
    assert rule.quota(100) == 29
    assert int(0.29 * 100) == 28
    assert rule_of("{top: s.a, fraction: 1/3}").quota(10) == 3


@given(digits=st.integers(0, 10_000), rows=st.integers(0, 10**12))
def test_quota_is_the_exact_share_rounded_down(digits, rows):
    text = f"{digits // 10_000}.{digits % 10_000:04d}"
    kept = rule_of(f"{{top: s.a, fraction: {text}}}").quota(rows)
    assert kept * 10_000 <= digits * rows < (kept + 1) * 10_000
    assert rule_of(f"{{random: {text}, seed: 1}}").quota(rows) == kept


def test_counts_never_exceed_the_rows_that_enter():
    assert [rule_of("{top: s.a, count: 10}").quota(rows) for rows in (0, 3, 10, 99)] == [0, 3, 10, 10]
    assert [rule_of("{random: 10, seed: 0}").quota(rows) for rows in (0, 3, 10, 99)] == [0, 3, 10, 10]
    assert rule_of("{top: s.a, fraction: 0}").quota(10) == 0
    assert rule_of("{top: s.a, fraction: 1}").quota(10) == 10


def test_random_tells_a_count_from_a_share_by_how_it_is_written():
    assert (rule_of("{random: 1, seed: 0}").count, rule_of("{random: 1.0, seed: 0}").fraction) == (1, Fraction(1))


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("{top: match.score, fraction: 0.45}", Top("match.score", False, Fraction(9, 20), None, False), "top 0.45 by match.score desc"),
        ("{top: s.a asc, count: 5, ties: keep}", Top("s.a", True, None, 5, True), "top 5 rows by s.a asc, ties kept"),
        ("{top: s.a, fraction: 1/3}", Top("s.a", False, Fraction(1, 3), None, False), "top 1/3 by s.a desc"),
        (
            "{one_per: twins, prefer: [license.class asc, match.score desc]}",
            OnePer("twins", (("license.class", True), ("match.score", False)), "direct"),
            "one per twins, preferring license.class asc, match.score desc",
        ),
        ("{one_per: twins, keeper: components}", OnePer("twins", (), "components"), "one per twins, preferring uid, whole components"),
        ("{random: 0.5, seed: 7}", Random(Fraction(1, 2), None, 7), "random 0.5, seed 7"),
    ],
)
def test_rule_reads_and_says_what_it_is(text, rule, line):
    assert rule_of(text) == rule
    assert rule_of(text).text == line


def test_expression_keeps_its_clauses_in_order():
    rule = rule_of("a.b > 1 and c.d == 'x' and a.b < 9")
    assert isinstance(rule, Expr)
    assert [clause.text for clause in rule.clauses] == ["a.b > 1", "c.d == 'x'", "a.b < 9"]
    assert rule.columns == ("a.b", "c.d")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a.b > 1 and c.d < 2", " a.b>1.0  and (c.d) < 2e0", True),
        ("a.b > 1 and c.d < 2", "c.d < 2 and a.b > 1", False),
        ("a.b in ['x']", "a.b in ['x', 'y']", False),
        ("{top: s.a, fraction: 0.5}", "{top: s.a desc, ties: uid, fraction: 1/2}", True),
        ("{top: s.a, fraction: 0.5}", "{top: s.a asc, fraction: 0.5}", False),
        ("{top: s.a, fraction: 1.0}", "{top: s.a, count: 1}", False),
        ("{random: 5, seed: 1}", "{random: 5, seed: 2}", False),
        ("{one_per: g}", "{one_per: g, prefer: [], keeper: direct}", True),
    ],
)
def test_canonical_form_is_equal_exactly_for_equal_rules(one, other, same):
    assert (rule_of(one).canonical() == rule_of(other).canonical()) is same


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("{fraction: 0.5, top: s.a}", "r.yaml:1:2: unknown rule fraction", "the first key names the rule: write top first"),
        ("{topp: s.a, fraction: 0.5}", "r.yaml:1:2: unknown rule topp", "did you mean top?"),
        ("{top: s.a, fractoin: 0.5}", "r.yaml:1:12: unknown key fractoin", "did you mean fraction?"),
        ("{top: s.a}", "top needs one of fraction, count and tokens", ""),
        ("{top: s.a, fraction: 0.5, count: 3}", "top needs one of fraction, count and tokens", ""),
        ("{top: s.a, tokens: 1000}", "tokens and of go together", ""),
        ("{top: s.a sideways, count: 3}", "r.yaml:1:11: a direction is asc or desc, not sideways", ""),
        ("{top: score, count: 3}", "r.yaml:1:7: evidence is named signal.column; found score", ""),
        ("{top: s.a, fraction: 1.01}", "r.yaml:1:22: fraction: a share lies between 0 and 1, not 1.01", ""),
        ("{top: s.a, fraction: -0.1}", "r.yaml:1:22: fraction: a share is written 0.3 or 1/3", ""),
        ("{top: s.a, fraction: 1/0}", "r.yaml:1:22: fraction: a share is written 0.3 or 1/3", ""),
        ("{top: s.a, fraction: half}", "r.yaml:1:22: fraction: a share is written 0.3 or 1/3", ""),
        ("{top: s.a, fraction: true}", "r.yaml:1:22: fraction: a share is written 0.3 or 1/3", ""),
        ("{top: s.a, count: -1}", "r.yaml:1:19: count: should be greater than or equal to 0", ""),
        ("{top: s.a, count: 1.5}", "r.yaml:1:19: count: should be a valid integer", ""),
        ("{random: 0.5}", "this needs the key seed", ""),
        ("{random: -5, seed: 0}", "r.yaml:1:10: random: a count of rows is not negative: -5", ""),
        ("{one_per: twins, prefer: license.class}", "r.yaml:1:26: prefer: should be a valid list", ""),
        ("{one_per: twins, prefer: [s.a up]}", "r.yaml:1:31: a direction is asc or desc", ""),
        ("{one_per: no name, prefer: []}", "r.yaml:1:11: one_per: String should match pattern", ""),
        ("7", "r.yaml:1:1: no rule: 7", "write an expression, or a mapping whose first key is one of: top, one_per, random"),
        ("[]", "r.yaml:1:1: no rule: []", ""),
        ("'s.a > 1 and'", "r.yaml:1:13: expected a value, found the end", ""),
    ],
)
def test_what_is_no_rule_is_refused_at_its_place(text, message, fix):
    with pytest.raises(RecipeError, match=re.escape(message)) as raised:
        rule_of(text)
    assert fix in raised.value.fix


def test_share_of_a_python_float_is_its_shortest_text():
    assert share(0.29) == Fraction(29, 100)
    assert share(1e-05) == Fraction(1, 100_000)


def test_schema_lists_every_rule():
    titles = [each.get("title") for each in rule_schema()["anyOf"]]
    assert titles == [None, "top", "one_per", "random", "mix", "balance", "repeat", "soft_cap"]


def keyed(**keys):
    return parse_rule(keys, where="here")


def test_a_mix_has_shares_of_sources_that_make_one():
    rule = keyed(mix={"web": 0.7, "books": Fraction(3, 10)}, by="pool.source", count=100, seed=3)
    assert rule == Mix("pool.source", (("books", Fraction(3, 10)), ("web", Fraction(7, 10))), 100, None, 3)
    assert rule.text == "mix books 0.3, web 0.7 by pool.source, at most 100 rows, seed 3"
    assert rule.columns == ("pool.source",)
    assert rule.canonical() == {"mix": {"books": "3/10", "web": "7/10"}, "by": "pool.source", "limit": 100, "of": None, "seed": 3}
    assert keyed(mix={"web": 1}, by="a.b", of="token_count.tokens", seed=0).columns == ("a.b", "token_count.tokens")


@pytest.mark.parametrize(
    ("there", "limit", "quotas"),
    [
        ({"a": 30, "b": 70}, None, {"a": 30, "b": 70}),
        ({"a": 30, "b": 700}, None, {"a": 30, "b": 70}),
        ({"a": 300, "b": 700}, 10, {"a": 3, "b": 7}),
        ({"a": 300, "b": 700}, 9, {"a": 2, "b": 6}),
        ({"a": 0, "b": 700}, 9, {"a": 0, "b": 0}),
        ({"b": 700}, 9, {"a": 0, "b": 0}),
    ],
)
def test_a_mix_is_as_large_as_its_limit_and_its_scarcest_source_allow(there, limit, quotas):
    assert Mix("s.s", (("a", Fraction(3, 10)), ("b", Fraction(7, 10))), limit, None, 0).quotas(there) == quotas


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"mix": {"a": 0.5}, "by": "a.b", "seed": 0}, r"make 1 together, not 0\.5"),
        ({"mix": {"a": 1, "b": 0}, "by": "a.b", "seed": 0}, "above 0"),
        ({"mix": {"a": 1}, "by": "a.b", "seed": 0, "tokens": 5}, "tokens needs the column that counts them"),
        ({"mix": {"a": 1}, "by": "a.b", "seed": 0, "count": 5, "of": "c.d"}, "count is of rows"),
        ({"mix": {}, "by": "a.b", "seed": 0}, "at least 1 item"),
        ({"top": "a.b", "tokens": 5}, "tokens and of go together"),
        ({"top": "a.b", "count": 5, "of": "a.c"}, "tokens and of go together"),
        ({"top": "a.b", "tokens": 5, "count": 5, "of": "a.c"}, "one of fraction, count and tokens"),
        ({"top": "a.b", "tokens": 5, "of": "a.c", "ties": "keep"}, "ties: keep goes with fraction or count"),
    ],
)
def test_mixes_and_token_budgets_that_say_too_little_or_too_much(keys, said):
    with pytest.raises(RecipeError, match=said):
        keyed(**keys)


def test_a_token_budget_names_the_column_that_counts():
    rule = keyed(top="quality.score", tokens=1000, of="token_count.tokens")
    assert rule.text == "top 1,000 tokens of token_count.tokens by quality.score desc"
    assert rule.columns == ("quality.score", "token_count.tokens")
    assert rule.canonical() == {"top": ["quality.score", "desc"], "tokens": 1000, "of": "token_count.tokens"}
