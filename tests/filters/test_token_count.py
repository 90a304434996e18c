import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer

from filters.token_count import token_count

REFERENCE = SimpleTokenizer()
TEXTS = [
    "",
    " ",
    "a",
    "a photo of a cat",
    "It's John's; they'll've gone, I'M sure!'S",
    "don''t '' 'tis 'quoted'",
    "HELLO\r\n\tWorld  again",
    "&amp;lt;b&amp;gt; caf\u00e9 &eacute;&#233; &",
    "na\u00efve R\u00c9SUM\u00c9 \u0130stanbul",
    "schÃ¶n",
    "\ufb01ne \uff21\uff22 “curly” ‘q’ 1\u00bd",
    "日本語のテキストです。一二三",
    "Привет, мир",
    "العربية ١٢٣",
    "🙂👩\u200d🚀!!",
    "\0a\x07b\x1bc\x7f",
    "a_b __init__",
    "3.14159e10",
    "<b>x</b>",
    "<start_of_text>a<END_OF_TEXT> !<start_of_text>",
    "it'\u017f '\u017fo <\u017ftart_of_text>",
    "e\u0301 \u212aelvin",
    "x" * 3000,
    "ab" * 500 + "c",
    "acgtgactgatcgat" * 40,
    "\u2028\x85\xa0.",
    "word " * 50,
    "''''s'll'",
    "!!!'s",
    "\ufffd\ufeff",
    "é" * 90,
]


def _tokens(texts: list[str | None], **parameters: str) -> list[int | None]:
    return token_count(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}), **parameters)["tokens"].to_list()


@pytest.mark.parametrize("text", TEXTS)
def test_clips_tokens_are_open_clips(text: str) -> None:
    assert _tokens([text], tokenizer="clip") == [len(REFERENCE.encode(text))]


@settings(max_examples=200)
@given(st.lists(st.text() | st.text("the'sltvr <>&;.1é字\n", max_size=60), max_size=8))
def test_clips_tokens_of_any_text_are_open_clips(texts: list[str]) -> None:
    assert _tokens(texts, tokenizer="clip") == [len(REFERENCE.encode(text)) for text in texts]


@pytest.mark.parametrize(
    ("text", "words", "whitespace", "size"),
    [
        ("", 0, 0, 0),
        ("  two\nwords ", 2, 2, 12),
        ("it's e-mail, v2.0!", 6, 3, 18),
        ("naïve e\u0301t", 2, 2, 11),
        ("日本語 text ひら", 6, 3, 21),
        ("ภาษา", 4, 1, 12),
        ("🙂 --", 0, 2, 7),
        ("a\x1cb", 2, 2, 3),
        ("_x1_", 1, 1, 4),
    ],
)
def test_texts_counted_by_hand(text: str, words: int, whitespace: int, size: int) -> None:
    assert _tokens([text]) == _tokens([text], tokenizer="words") == [words]
    assert _tokens([text], tokenizer="whitespace") == [whitespace] == [len(text.split())]
    assert _tokens([text], tokenizer="bytes") == [size] == [len(text.encode())]


@pytest.mark.parametrize("tokenizer", ["words", "whitespace", "bytes", "clip"])
def test_null_has_no_tokens_and_company_does_not_matter(tokenizer: str) -> None:
    every = [None, *TEXTS, None]
    together = _tokens(every, tokenizer=tokenizer)
    assert together == [_tokens([text], tokenizer=tokenizer)[0] for text in every]
    assert together[0] is together[-1] is None
    assert all(count is not None for count in together[1:-1])
    assert _tokens([], tokenizer=tokenizer) == []


def test_a_megabyte_without_a_space_is_counted() -> None:
    assert _tokens(["x" * 1_048_576], tokenizer="clip") == [len(REFERENCE.encode("x" * 4096)) * 256]
