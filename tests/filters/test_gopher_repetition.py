import re
from collections import Counter
from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.gopher_repetition import gopher_repetition

_LINES = ("duplicate_lines", "duplicate_line_chars", "duplicate_paragraphs", "duplicate_paragraph_chars")


def _of(text: str | None) -> dict[str, float | None]:
    return gopher_repetition(pl.DataFrame({"text": pl.Series([text], dtype=pl.String)})).drop("error").row(0, named=True)


def test_lines_and_paragraphs_by_hand() -> None:
    # 21 characters; lines one, two, one, one, tree: two stood before; paragraphs "one\ntwo", "one", "one\ntree": none.
    text = "one\ntwo\n\none\n\none\ntree"
    found = _of(text)
    assert [found[name] for name in _LINES] == [2 / 5, 6 / len(text), 0.0, 0.0]
    # Paragraphs ab, cd, ab, whatever the number of newlines between; newlines at the ends part lines, not paragraphs.
    text = "\nab\n\n\ncd\n\nab\n\n"
    found = _of(text)
    assert [found[name] for name in _LINES] == [2 / 5, 2 / len(text), 1 / 3, 2 / len(text)]


def test_the_commonest_runs_by_hand() -> None:
    text = "a bc a bc de a bc"  # "a bc" three times; "a bc a", the first run of three, once like all others; no run of four twice
    found = _of(text)
    assert [found[f"top_{n}_gram"] for n in (2, 3, 4)] == [3 * 4 / 17, 6 / 17, 9 / 17]
    assert _of("x x x x")["top_2_gram"] == 3 * 3 / 7  # occurrences overlap
    assert _of("aa b c aa b d e c d e c")["top_3_gram"] == 2 * 5 / 23  # "d e c" twice, nothing else of three words


def test_equally_common_runs_the_first_counts() -> None:
    assert _of("b c x aaa bbb y b c z aaa bbb")["top_2_gram"] == 2 * 3 / 29
    assert _of("aaa bbb y b c x aaa bbb z b c")["top_2_gram"] == 2 * 7 / 29


def test_runs_met_again_are_stepped_over_and_counted_once() -> None:
    text = "a b c d e f a b c d e f"  # at the second a the run of five is met; f alone is too short to be another
    found = _of(text)
    assert [found[f"duplicate_{n}_grams"] for n in range(5, 11)] == [5 / 23, 6 / 23, 0.0, 0.0, 0.0, 0.0]
    assert _of("x " * 20)["duplicate_5_grams"] == 15 / 40  # met first at the second word, then after each five: three times


@pytest.mark.parametrize("text", ["one", "two words", "日本語のテキストです。", "a\0b", "\0", " ", "\n\n"])
def test_too_few_words_for_a_run_repeat_nothing(text: str) -> None:
    found = _of(text)
    assert [found[f"duplicate_{n}_grams"] for n in range(5, 11)] == [0.0] * 6
    assert found["top_4_gram"] == 0.0
    assert found["duplicate_paragraphs"] == 0.0


@pytest.mark.parametrize("separator", [" ", "\n", "\n\n"])
def test_what_differs_is_never_taken_for_the_same(separator: str) -> None:
    """One character apart, in every place, and of every length: no hash may leave out a byte or confuse one with a length."""
    words = {chr(97 + size % 8) * size for size in range(1, 40)} | {"b\0", "c\0\0", "\0", "\0\0", "\1", "字", "孖", "🙂", "🙃"}
    words |= {"x" * place + "y" + "x" * (25 - place) for place in range(26)}
    found = _of(separator.join(sorted(words)))
    assert [found[name] for name in _LINES] == [0.0] * 4
    assert [found[f"duplicate_{n}_grams"] for n in range(5, 11)] == [0.0] * 6
    ordered = sorted(words)
    met = ordered[: len(ordered) // 10 * 10]  # of the second time, ten by ten
    twice = separator.join(ordered * 2)
    assert _of(twice)["duplicate_10_grams"] == sum(map(len, met)) / len(twice)


def test_only_newlines_part_lines_and_paragraphs() -> None:
    found = _of("ab\r\nab\u2028ab\nab")  # lines "ab\r", "ab\u2028ab", "ab"
    assert found["duplicate_lines"] == 0.0
    assert _of("\n\n\n")["duplicate_lines"] == 1 / 2  # nothing, twice
    assert _of("\u3000\n\n \n\na")["duplicate_paragraphs"] == 0.0
    assert _of("🙂\n \n🙂\n\n🙂\n\n \n🙂\n\n🙂")["duplicate_paragraph_chars"] == 1 / 16


@pytest.mark.parametrize("text", ["", None])
def test_an_empty_text_has_no_shares(text: str | None) -> None:
    assert set(_of(text).values()) == {None}
    assert gopher_repetition(pl.DataFrame({"text": pl.Series([text], dtype=pl.String)}))["error"].to_list() == [None]


def _duplicates(items: Sequence[str], size: int) -> tuple[float, float]:
    seen: set[str] = set()
    later = []
    for item in items:
        later += [item] if item in seen else []
        seen.add(item)
    return len(later) / len(items), sum(map(len, later)) / size


def _plainly(text: str) -> tuple[float, ...]:
    words, found = text.split(), []
    found += _duplicates(re.split(r"\n+", text), len(text))
    found += _duplicates(re.split(r"\n\n+", text.strip()), len(text))
    for n in (2, 3, 4):
        runs = Counter(" ".join(words[i : i + n]) for i in range(len(words) - n + 1))
        found.append(_top(runs) / len(text))
    for n in range(5, 11):
        met, place, chars = set(), 0, 0
        while place + n <= len(words):
            run = tuple(words[place : place + n])
            chars += sum(map(len, run)) if run in met else 0
            place += n if run in met else 1
            met.add(run)
        found.append(chars / len(text))
    return tuple(found)


def _top(runs: Counter[str]) -> int:
    run, count = next(((run, count) for run, count in runs.items() if count == max(runs.values())), ("", 0))
    return len(run) * count


@given(st.lists(st.lists(st.sampled_from(["a", "b", "cc", " ", " ", "\n", "\n\n", "a b cc a b ", "字 ", "\x1c"]), max_size=60), max_size=4))
def test_every_text_as_a_plain_reading_has_it(texts: list[list[str]]) -> None:
    joined = ["".join(parts) for parts in texts]
    rows = gopher_repetition(pl.DataFrame({"text": pl.Series(joined, dtype=pl.String)})).drop("error").rows()
    assert rows == [_plainly(text) if text else (None,) * 13 for text in joined]


def test_ten_megabytes_are_measured() -> None:
    found = gopher_repetition(pl.DataFrame({"text": ["word " * 2_000_000, "x" * 10_000_000]}))
    met = (2_000_000 - 1) // 10  # from the second word on, ten words at a time
    assert found["duplicate_10_grams"].to_list() == [met * 40 / 10_000_000, 0.0]
    assert found["top_2_gram"].to_list() == [9 * 1_999_999 / 10_000_000, 0.0]
