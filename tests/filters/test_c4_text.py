import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters._c4_lines import CLASSES, c4_cleaned
from filters._texts import read
from filters.c4_text import c4_text

REMOVED = ("long_word", "unpunctuated", "short", "javascript", "policy")

PAGE = """Home | About | Contact
  A first sentence stands here. A second (e.g. this one) does too!
This line ends in dots...
Too short.
Please enable JavaScript in { your browser.
We use cookies on this page.
The mark [12] is taken out of[citation needed] this line[edit].

He said "it is over."
"""


def _of(text: str | None, **parameters: object) -> dict[str, object]:
    return c4_text(pl.DataFrame({"text": pl.Series([text], dtype=pl.String)}), **parameters).row(0, named=True)


def _cleaned(texts: list[str | None], fewest_words: int, punctuation: bool) -> list[str]:
    left = c4_cleaned(read(pl.Series(texts, dtype=pl.String), CLASSES), fewest_words, punctuation)
    found = [bytes(left.data[a:b]).decode() for a, b in zip(left.offsets[:-1], left.offsets[1:], strict=True)]
    assert left.kinds.tolist() == read(pl.Series(found, dtype=pl.String), CLASSES).kinds.tolist()
    return found


def test_a_page_line_by_line() -> None:
    found = _of(PAGE)
    # Kept: the first sentence's line, the line with marks, the quotation. "e.g. this" counts as an end, which Punkt would not.
    kept = [
        "A first sentence stands here. A second (e.g. this one) does too!",
        "The mark  is taken out of this line.",
        'He said "it is over."',
    ]
    assert found == {
        "lines": 9,
        "kept_lines": 3,
        "kept_words": 12 + 8 + 5,
        "kept_chars": len("\n".join(kept)),
        "sentences": 3 + 1 + 1,
        "long_word_lines": 0,
        "unpunctuated_lines": 3,
        "short_lines": 1,
        "javascript_lines": 1,
        "policy_lines": 1,
        "lorem_ipsum": False,
        "curly_bracket": False,
        "error": None,
    }
    assert _cleaned([PAGE, None, ""], 3, punctuation=True) == ["\n".join(kept), "", ""]


def test_without_the_rule_on_punctuation_and_with_other_words() -> None:
    found = _of(PAGE, punctuation=False)
    assert (found["kept_lines"], found["unpunctuated_lines"], found["short_lines"]) == (5, 0, 2)
    found = _of(PAGE, words=5)
    assert (found["kept_lines"], found["short_lines"]) == (3, 1)
    assert _of(PAGE, words=6)["kept_lines"] == 2


@pytest.mark.parametrize(
    ("text", "lorem_ipsum", "curly_bracket"),
    [
        ("Here stands Lorem Ipsum dolor.", True, False),
        ("if (x) { y(); } is code.", False, True),
        ("Lorem ipsum", False, False),  # went before the question, as in the published code
        ("{\nThis line is prose.", False, False),
        ("JavaScript has { and } everywhere.", False, False),
        ("JavaScript says lorem ipsum everywhere.", True, False),
        ("We use cookies { everywhere we can.", False, True),
    ],
)
def test_pages_that_would_be_discarded(text: str, lorem_ipsum: bool, curly_bracket: bool) -> None:
    found = _of(text)
    assert (found["lorem_ipsum"], found["curly_bracket"]) == (lorem_ipsum, curly_bracket)


def test_a_word_is_long_from_1001_code_points_on() -> None:
    assert _of(f"This is {'ß' * 1000}.")["long_word_lines"] == 1  # with its full stop 1,001
    assert _of(f"This is {'ß' * 999}.")["long_word_lines"] == 0
    assert _of(f"A line of {'many words ' * 200}.\nThis is {'x' * 1001}.\nThis too is kept.")["long_word_lines"] == 1


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (None, (None, None, None, None, None)),
        ("", (0, 0, 0, 0, 0)),
        (" ", (1, 0, 0, 0, 1)),
        ("one", (1, 0, 0, 0, 1)),
        ("\0 \0 \0.", (1, 1, 3, 1, 0)),
        ("日本語のテキストです。", (1, 0, 0, 0, 1)),
        ("One two three.\x1cFour five six!", (2, 2, 6, 2, 0)),
    ],
)
def test_the_edges(text: str | None, counts: tuple[object, ...]) -> None:
    found = _of(text)
    assert tuple(found[name] for name in ("lines", "kept_lines", "kept_words", "sentences", "unpunctuated_lines")) == counts
    assert found["error"] is None


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        ("One. Two! Three? Four… Five", 4),
        ("He left.” She (too.) stayed.) Well", 3),
        ("Wait... what?! No.).a b.", 2),
        ("An e.g. or 3.14 is\u3000one.\u3000Two.\x1fThree", 3),
        ("A [note.] [1] and one. [2]", 2),
    ],
)
def test_ends_of_sentences(line: str, ends: int) -> None:
    assert _of(line, punctuation=False)["sentences"] == ends + 1


@pytest.mark.parametrize(
    "line",
    [
        "See our Terms Of Use today", "a privacy policy is here", "The COOKIE POLICY of us", "It uses cookies a lot",
        "the use of cookies here", "They use cookies, yes", "They use coo\u212aies too", "xterms of usex one two",
    ],
)  # fmt: skip
def test_phrases_on_policies(line: str) -> None:
    assert _of(line, punctuation=False)["policy_lines"] == 1


@pytest.mark.parametrize("line", ["terms  of use is", "They eat cookies too", "uses of cookies here", "cookie\npolicy", "ter ms of use"])
def test_what_is_no_phrase_on_policies(line: str) -> None:
    assert _of(line, punctuation=False)["policy_lines"] == 0


_PARTS = [
    "Aa b. ", "c ", "lorem ipsum ", "Lorem", "{", "JavaScript ", "javascripT", "Privacy policy", "use coo\u212aies", "cookies ", "use ",
    "uses ", ".", "...", "\n", "\r\n", "\r", "\x85", "\u2028", "\x1c", "\x1f", '"', "’", "…", "[1]", "[٣]", "[", "[edit]", "[Edit]",
    "[citation needed]", "x" * 1001, "ß" * 1000, " ", "\u3000", "?", "🙂", "字",
]  # fmt: skip
_PHRASES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


def _plainly(text: str, punctuation: bool) -> tuple[tuple[object, ...], str]:
    kept, removed, lorem_ipsum, curly_bracket = [], dict.fromkeys(REMOVED, 0), False, False
    for given_line in text.splitlines():
        words = given_line.split()
        line = re.sub(r"\[\d*\]|\[edit\]|\[citation needed\]", "", given_line.strip())
        asked = [
            any(len(word) > 1000 for word in words),
            punctuation and (not line.endswith((".", "?", "!", '"')) or line.endswith("...")),
            len(words) < 3,
            "javascript" in line.lower(),
            any(phrase in line.lower() for phrase in _PHRASES),
        ]
        lorem_ipsum |= not any(asked[:3]) and "lorem ipsum" in line.lower()
        curly_bracket |= not any(asked[:4]) and "{" in line
        if any(asked):
            removed[REMOVED[asked.index(True)]] += 1
        else:
            kept.append(line)
    ends = sum(len(re.findall(r"[.!?…]+[\"'”’)\]]*\s", line)) + 1 for line in kept)
    counts = (len(text.splitlines()), len(kept), sum(len(line.split()) for line in kept), len("\n".join(kept)), ends)
    return (*counts, *removed.values(), lorem_ipsum, curly_bracket, None), "\n".join(kept).strip()


@given(st.lists(st.lists(st.sampled_from(_PARTS), max_size=25), max_size=4), st.booleans())
def test_every_line_as_a_plain_reading_has_it(texts: list[list[str]], punctuation: bool) -> None:
    joined = ["".join(parts) for parts in texts]
    expected = [_plainly(text, punctuation) for text in joined]
    rows = c4_text(pl.DataFrame({"text": pl.Series(joined, dtype=pl.String)}), punctuation=punctuation).rows()
    assert rows == [counts for counts, _ in expected]
    assert _cleaned(list(joined), 3, punctuation) == [left for _, left in expected]


def test_ten_megabytes_are_read() -> None:
    texts = ["One two three.\n" * 700_000, "x" * 10_000_000]
    assert c4_text(pl.DataFrame({"text": texts})).select("kept_lines", "sentences", "long_word_lines").rows() == [
        (700_000, 700_000, 0),
        (0, 0, 1),
    ]
