import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.gopher_quality import gopher_quality

_STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}


def _of(text: str | None, **parameters: object) -> dict[str, object]:
    return gopher_quality(pl.DataFrame({"text": pl.Series([text], dtype=pl.String)}), **parameters).row(0, named=True)


def test_a_text_counted_by_hand() -> None:
    # Words: The cat. # of THE ... - a • b …: 11; with a letter or digit: The cat. of THE a b, of 3 + 4 + 2 + 3 + 1 + 1 characters.
    found = _of("The cat. # of THE ...\n\n - a\n• b … \n")
    assert found == {
        "words": 6,
        "mean_length": 14 / 6,
        "hashes": 1 / 11,
        "ellipses": 2 / 11,
        "alphabetic": 6 / 11,
        "bullet_lines": 2 / 4,
        "ellipsis_lines": 2 / 4,
        "stop_words": 2,
        "stop_word_uses": 3,
        "error": None,
    }


def test_what_is_a_bullet_a_line_and_an_ellipsis_can_be_said() -> None:
    text = "● one\n\n* two . . .\n- three\nfour"
    assert (_of(text)["bullet_lines"], _of(text)["ellipsis_lines"], _of(text)["ellipses"]) == (1 / 5, 0.0, 0.0)
    dclm = _of(text, bullets="●•*-", blank_lines=False, spaced_ellipsis=True)
    assert (dclm["bullet_lines"], dclm["ellipsis_lines"], dclm["ellipses"]) == (3 / 4, 1 / 4, 1 / 10)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (None, None, None, None, None)),
        ("", (0, None, None, None, 0)),
        (" ", (0, None, None, 0.0, 0)),
        ("one", (1, 3.0, 1.0, 0.0, 0)),
        ("that", (1, 4.0, 1.0, 0.0, 1)),
        ("42", (1, 2.0, 0.0, 0.0, 0)),
        ("-- ||", (0, None, 0.0, 1.0, 0)),
        ("a\0b \0", (1, 3.0, 0.5, 0.0, 0)),
        ("\0", (0, None, 0.0, 0.0, 0)),
        ("日本語のテキストです。", (1, 11.0, 1.0, 0.0, 0)),
        ("the\x1cof", (2, 2.5, 1.0, 0.0, 2)),
    ],
)
def test_the_edges(text: str | None, expected: tuple[object, ...]) -> None:
    found = _of(text)
    assert tuple(found[name] for name in ("words", "mean_length", "alphabetic", "bullet_lines", "stop_words")) == expected
    assert found["error"] is None


@given(st.lists(st.none() | st.text("theofTHEand#.… -•\n1字", max_size=40), max_size=5))
def test_every_text_as_a_plain_reading_has_it(texts: list[str | None]) -> None:
    rows = gopher_quality(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})).rows()
    for text, row in zip(texts, rows, strict=True):
        if text is None:
            assert set(row) == {None}
            continue
        every, lines = text.split(), [line.strip() for line in text.splitlines()]
        solid = [word for word in every if any(char.isalpha() or char.isdigit() for char in word)]
        stop = [word.lower() for word in every if word.lower() in _STOP_WORDS]
        assert row == (
            len(solid),
            sum(map(len, solid)) / len(solid) if solid else None,
            *[count / len(every) if every else None for count in (text.count("#"), text.count("...") + text.count("…"))],
            sum(any(char.isalpha() for char in word) for word in every) / len(every) if every else None,
            sum(line.startswith(("•", "-")) for line in lines) / len(lines) if lines else None,
            sum(line.endswith(("...", "…")) for line in lines) / len(lines) if lines else None,
            len(set(stop)),
            len(stop),
            None,
        )


def test_lines_end_where_those_of_python_do() -> None:
    parts = ["- a", "…", "…\u3000", " 🙂...", "\u2003- b", "", "c"]
    ends = ["\r\n", "\u2028", "\x85", "\r", "\x1c", "\n\r"]
    found = _of("".join(part + end for part, end in zip(parts, [*ends, ""], strict=True)))
    assert (found["bullet_lines"], found["ellipsis_lines"]) == (2 / 8, 3 / 8)
    assert _of("a\x1f- b\u3000...\x0b")["ellipsis_lines"] == 1.0


def test_dots_in_a_row_are_ellipses_by_threes() -> None:
    assert [_of(text)["ellipses"] for text in ("..", "...", ".....", "......", "a…b…...", ".. .", "\ufe0f\u2025")] == [0, 1, 1, 2, 3, 0, 0]
    assert [_of(text, spaced_ellipsis=True)["ellipses"] for text in (". . .", ". . . . .", ". . . . . .", ".\u3000. .")] == [
        1 / 3,
        1 / 5,
        2 / 6,
        0,
    ]
    assert _of("end . . .\n. . .", spaced_ellipsis=True)["ellipsis_lines"] == 1.0
    assert _of("end .\n. .", spaced_ellipsis=True)["ellipsis_lines"] == 0.0


def test_bullets_are_characters_of_any_length() -> None:
    text = "🙂 a\n字 b\n\u0301c\n- d"
    assert [_of(text, bullets=bullets)["bullet_lines"] for bullets in ("🙂", "字🙂", "]^-\\", "\u0301", "", " ")] == [
        1 / 4,
        2 / 4,
        1 / 4,
        1 / 4,
        0.0,
        0.0,
    ]


def test_stop_words_are_whole_and_in_any_case() -> None:
    assert _of("THE tHat W\u0130TH \u212be thé thee (the) Have\u2009WITH")["stop_word_uses"] == 4
    assert _of("the be to of and that have with")["stop_words"] == 8


def test_ten_megabytes_are_counted() -> None:
    texts = ["the cat\n" * 1_250_000, "x" * 10_000_000]
    words = gopher_quality(pl.DataFrame({"text": texts})).select("words", "mean_length", "stop_word_uses").rows()
    assert words == [(2_500_000, 3.0, 1_250_000), (1, 10_000_000.0, 0)]
