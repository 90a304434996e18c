"""What people see of rows that are used more than once, and of entries that draw."""

from typing import Any

import pytest

from pipelines import show


def test_a_funnel_tells_samples_where_they_differ_from_rows(capsys: pytest.CaptureFixture[str]) -> None:
    line: dict[str, Any] = {"in": 3_000, "kept": 1_200, "reasons": [], "cut": None, "note": None}
    show.funnel([{**line, "stage": "drawn", "samples": 5_000}, {**line, "stage": "once", "samples": 1_200}, {**line, "stage": "plain"}])
    drawn, once, plain = capsys.readouterr().out.splitlines()[-3:]
    assert drawn.split(maxsplit=2)[2] == "1,200 (5,000 samples)"
    assert once.split()[1:] == plain.split()[1:] == ["3,000", "1,200"]


def test_a_verdict_tells_copies_and_the_draw_of_every_entry() -> None:
    rule = "balance concepts.entries, at most 20, seed 0"
    entries = [{"entry": "dog", "count": 100, "p": 0.2, "drew": False}, {"entry": "agate", "count": 3, "p": 1.0, "drew": True}]
    verdict = {"kind": "in", "stage": "even", "rule": rule, "copies": 4, "entries": entries}
    assert show.told("even", verdict, {"concepts.entries": "00ff"}) == (
        f"kept: {rule} (used 4 times); dog did not: p 0.2 of 100 rows; agate drew it: p 1 of 3 rows"
    )
    many = show.told("even", {**verdict, "entries": entries * 10}, {})
    assert many.count("dog did not") == show.LISTED // 2
    assert many.endswith("; ...")
    assert "used" not in show.told("even", {**verdict, "copies": 1}, {})


def test_no_text_of_a_row_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a\x1b[31mred\x1b]0;title\x07 \u202etxet\u2066 \x9b2J"
    show.line(f"{text}\n\tand more [brackets]")
    show.note(text)
    show.table(text, [text], [[text]])
    said = capsys.readouterr()
    assert not set("\x1b\x07\u202e\u2066\x9b") & set(said.out + said.err)
    assert said.out.startswith(r"a\x1b[31mred\x1b]0;title\x07 \u202etxet\u2066 \x9b2J" + "\n")
    assert "and more [brackets]" in said.out


def test_a_survivor_is_told_with_those_it_stands_for() -> None:
    first = [{"uid": "a" * 32, "original": "doc-1"}, {"uid": "b" * 32}]
    verdict = {"kind": "in", "stage": "one", "rule": "one per twins", "stands_for": {"rows": 3, "first": first}}
    assert show.told("one", verdict, {}) == f"kept: one per twins (stands for 3 others: doc-1, {'b' * 32}, ...)"
    alone = {"kind": "in", "stage": "one", "rule": "one per twins", "alone": "it has no key"}
    assert show.told("one", alone, {}) == "kept: one per twins (alone: it has no key)"


def test_a_rate_is_told_only_of_work_that_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(show.time, "monotonic", lambda: now[0])
    said: list[str] = []
    monkeypatch.setattr(show.err, "print", said.append)
    with show.progress() as watch:
        now[0] += 20
        watch("uids", 2_000, 12_000)  # what was done before cannot be timed
        now[0] += 20
        watch("uids", 2_000, 12_000)
        now[0] += 20
        watch("uids", 4_000, 12_000)
    assert said == ["uids: 2,000 of 12,000", "uids: 2,000 of 12,000", "uids: 4,000 of 12,000, 50/s, 160 s left"]
