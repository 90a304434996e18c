"""How many tokens a text has."""

from collections.abc import Callable
from typing import Literal

import polars as pl

from curate.model import loaded
from curate.signal import ModelRef, signal
from filters._characters import UNSPACED
from filters._lines import WORD

_WORDS = rf"[{UNSPACED}&&\w]|[\w--[{UNSPACED}]]+"


@signal(version=1, reads=["text"], writes={"tokens": pl.UInt32}, uses=["open_clip_torch", "ftfy", "regex", "numba"])
def token_count(batch: pl.DataFrame, *, tokenizer: Literal["words", "whitespace", "bytes", "clip"] | ModelRef = "words") -> pl.DataFrame:
    r"""`tokens`: how many a tokenizer makes of the text, without start, end or padding. Null text has none.

    - `words`: runs of Unicode word characters (`\w`, UTS #18 annex C); of scripts written without spaces, every character.
    - `whitespace`: words of `str.split`. `bytes`: bytes of UTF-8, as models without a vocabulary read them.
    - `clip`: the byte-pair encoding of CLIP (Radford et al., arXiv 2103.00020), 49,408 tokens, lower case, as open_clip has it.
    - a model `tokenizer` of the recipe: any other, from its own tokenizer.json.
    """
    counts = {"words": _words, "whitespace": _whitespace, "bytes": _bytes, "clip": _clip}
    count: Callable[[pl.Series], pl.Series] = counts.get(tokenizer) or loaded(tokenizer)
    return pl.DataFrame({"tokens": count(batch["text"]).cast(pl.UInt32)})


def _words(text: pl.Series) -> pl.Series:
    return text.str.count_matches(_WORDS)


def _whitespace(text: pl.Series) -> pl.Series:
    return text.str.count_matches(WORD)


def _bytes(text: pl.Series) -> pl.Series:
    return text.str.len_bytes()


def _clip(text: pl.Series) -> pl.Series:
    from filters._clip_bpe import clip_tokens  # loads a compiler, which no plan needs

    return clip_tokens(text)
