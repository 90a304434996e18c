"""What a caption says and what it is instead of one: colours, counts, places, stock phrases, names of files, who wrote it."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from curate.signal import signal
from filters._buffers import binary
from filters._caption_patterns import BOILERPLATE, FILES, FORMS
from filters._caption_words import KINDS, WORDS

if TYPE_CHECKING:
    from filters._phrases import Phrases

WRITERS = pl.Enum(["human", "alt-text", "synthetic", "unknown"])
_WRITTEN = {
    "synthetic": r"synth|generat|model|machine|recaption|captioner|(?:^|[^a-z])(?:ai|llms?|vlms?|blip|coca|git|ofa|llava|gpt|gemini|claude"
    r"|qwen|cogvlm|internvl|florence|kosmos|sharegpt|pali|paligemma|molmo|phi)(?:$|[^a-z])",
    "human": r"human|annotat|crowd|manual|turk|worker|expert|spoken|speech|transcri|author|editor|hand",
    "alt-text": r"\balt|alttext|\b(?:web|html|title|crawl|page)",
}
_ALONE = {kind: rf"^[\W_]*(?:{pattern})[\W_]*$" for kind, pattern in FILES.items()}
_WRITES: dict[str, type[pl.DataType] | pl.DataType] = {
    "words": pl.UInt32,
    "colours": pl.UInt32,
    "counts": pl.UInt32,
    "spatial": pl.UInt32,
    "said": pl.Binary,
    "boilerplate": pl.String,
    "file": pl.String,
    "form": pl.String,
    "upper": pl.Float32,
    "digits": pl.Float32,
    "writer": WRITERS,
    "written_by": pl.String,
}


@signal(version=2, reads=["text"], optional=["caption_source"], writes=_WRITES, uses=["numba"])
def caption(batch: pl.DataFrame) -> pl.DataFrame:
    r"""What makes captions worth having and what makes them none, in the spirit of PixMo (Deitke et al., arXiv 2409.17146): English lists.

    `words`, as `text_length`. `colours`, `counts`, `spatial`: places where a word or phrase of `_caption_words.py` stands; `said`: which
    of these, numbers in its `WORDS`, ascending, each once, little-endian uint32. `boilerplate`: the first kind of stock phrase ("may
    contain", "enlarge", "placeholder", "stock", "rights", "shop", "share", "page"); `file`: the first kind of name of a file ("url",
    "camera", "screenshot", "hash", "file"); `form`: what it is as a whole instead of words, one of those kinds of file, or "date", "price",
    "size", "number", "symbols"; all null where there is none (`_caption_patterns.py`). `upper`: share of capitals among its letters that
    have case; `digits`: share of digits among its characters that are no space; 0 where there are none of these.
    `writer`: human, alt-text, synthetic or unknown, read from words in the role `caption_source`, whose text `written_by` repeats. Null
    where there is no text, but for these two.
    """
    from filters._phrases import found, places, spaced, table

    text, lower = pl.col("text"), pl.col("folded")
    there = batch["text"].is_not_null()
    folded = batch.with_columns(folded=text.str.to_lowercase())
    apart = spaced(folded.select(lower.str.replace_all(r"[^\p{L}\p{M}\p{Nd}]+", " ")).to_series(), table())
    firsts, numbers = places(*apart, _vocabulary())
    row = np.repeat(np.arange(batch.height), np.diff(firsts))
    counts = {
        column: np.bincount(row[(numbers >= first) & (numbers < last)], minlength=batch.height)
        for column, (first, last) in zip(("colours", "counts", "spatial"), KINDS.values(), strict=True)
    }
    cased = text.str.count_matches(r"[\p{Lu}\p{Ll}]")
    solid = text.str.len_chars() - text.str.count_matches(r"\s")
    frame = folded.with_columns(**{name: pl.Series(values) for name, values in counts.items()})
    columns = {
        "words": text.str.count_matches(r"[^\s\x1c-\x1f]+"),
        "boilerplate": _first(BOILERPLATE, lower),
        "file": _first(FILES, lower),
        "form": pl.coalesce(_first(_ALONE, lower), _first(FORMS, lower)),
        "upper": pl.when(cased > 0).then(text.str.count_matches(r"\p{Lu}") / cased).otherwise(0.0),
        "digits": pl.when(solid > 0).then(text.str.count_matches(r"\p{Nd}") / solid).otherwise(0.0),
        "writer": pl.coalesce(_first(_WRITTEN, pl.col("caption_source").str.to_lowercase()), pl.lit("unknown")),
        "written_by": pl.col("caption_source"),
    }
    starts, listed = found(*apart, _vocabulary())
    measured = frame.with_columns(**columns, said=binary(listed, starts, there.to_numpy()))
    always = ("writer", "written_by")
    values = [pl.col(name).cast(dtype) for name, dtype in _WRITES.items()]
    return measured.select(
        value if name in always else pl.when(there).then(value).alias(name) for name, value in zip(_WRITES, values, strict=True)
    )


def _first(patterns: dict[str, str], text: pl.Expr) -> pl.Expr:
    """The first of the kinds whose pattern is in a (lower-case) text."""
    return pl.coalesce(pl.when(text.str.contains(pattern)).then(pl.lit(kind)) for kind, pattern in patterns.items())


@cache
def _vocabulary() -> "Phrases":
    from filters._phrases import phrases  # loads a compiler, which no plan needs

    return phrases(" " + pl.Series(WORDS) + " ")
