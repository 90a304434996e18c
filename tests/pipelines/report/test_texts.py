"""Texts of rows as text, numbers with their digits in columns."""

from dataclasses import replace

import pytest
from markupsafe import Markup

from pipelines.report.rows import Card
from pipelines.report.texts import cell, deciding, num, share, shown, ticks


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<b>&\"'", "&lt;b&gt;&amp;&#34;&#39;"),
        ("a\x00b", 'a<span class="ctl">NUL</span>b'),
        ("\u202eevil\u202c", '<span class="ctl">RLO</span>evil<span class="ctl">PDF</span>'),
        ("\u2066\u200f\ufeff", '<span class="ctl">LRI</span><span class="ctl">RLM</span><span class="ctl">BOM</span>'),
        ("\U000e0041", '<span class="ctl">U+E0041</span>'),
        ("line\nline\ttab", "line\nline\ttab"),
        ("می\u200cخواهم 👩\u200d🚀", "می\u200cخواهم 👩\u200d🚀"),
    ],
)
def test_nothing_hides_in_a_text(text: str, wanted: str) -> None:
    assert shown(text) == wanted


def test_minus_signs_are_those_of_numbers() -> None:
    assert num("-3.0 to +3.5, a-1, 1e-5, 2019-04") == "\u22123.0 to +3.5, a-1, 1e-5, 2019-04"
    assert num(Markup("<b>-1</b>")) == Markup("<b>\u22121</b>")


def test_code_in_sentences() -> None:
    assert ticks("run `curate <x>` for -1 & more") == "run <code>curate &lt;x&gt;</code> for \u22121 &amp; more"


@pytest.mark.parametrize(
    ("part", "whole", "wanted"),
    [(0, 7, "0.0%"), (1, 12_000, "<0.1%"), (11_999, 12_000, ">99.9%"), (7, 7, "100.0%"), (1, 3, "33.3%"), (1, 0, ""), (1, None, "")],
)
def test_few_rows_are_not_none_and_nearly_all_are_not_all(part: int, whole: int | None, wanted: str) -> None:
    assert share(part, whole) == wanted


def test_values() -> None:
    assert [cell(value) for value in (True, 12345, -0.25, "x")] == ["yes", "12,345", "\u22120.25", "x"]


def test_one_line_says_where_a_row_is_and_where_it_left() -> None:
    fate = (("basic", "in", "kept"), ("unique", "dropped", "dropped: one per x"), ("best", "dropped", "dropped by unique"))
    card = Card("u", "", "a.parquet", 0, {}, fate, (), ("pool", "basic"))
    assert deciding(card) == "in basic; dropped at unique"
    assert deciding(replace(card, fate=(("best", "quarantined", "quarantined: y"),), subsets=("pool",))) == "quarantined at best"
