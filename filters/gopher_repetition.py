"""How much of a text is said more than once: lines, paragraphs, runs of words."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from curate.signal import signal

if TYPE_CHECKING:
    from filters._texts import Counts, Texts

_PIECES = ("duplicate_lines", "duplicate_line_chars", "duplicate_paragraphs", "duplicate_paragraph_chars")
_GRAMS = (*(f"top_{n}_gram" for n in (2, 3, 4)), *(f"duplicate_{n}_grams" for n in (5, 6, 7, 8, 9, 10)))


@signal(version=1, reads=["text"], writes=dict.fromkeys((*_PIECES, *_GRAMS), pl.Float64), uses=["numba", "polars"])
def gopher_repetition(batch: pl.DataFrame) -> pl.DataFrame:
    r"""Shares of repeated text (Rae et al., "Scaling Language Models", arXiv 2112.11446, appendix A.1.1, Repetition Removal, Table A1).

    - `duplicate_lines`, `duplicate_paragraphs`: share of the lines (parted by `\n+`) and paragraphs (`\n\n+`) that stood before in the
      text; `duplicate_line_chars`, `duplicate_paragraph_chars`: their code points over the text's.
    - `top_N_gram`, N 2 to 4: occurrences of the commonest run of N words times its length, over the text's code points. Of equally common
      ones the first counts, also if it occurs once; occurrences may overlap, so it can exceed 1.
    - `duplicate_N_grams`, N 5 to 10: code points of the words of runs that stood before, over the text's. Read from left to right, a run
      of N words that was met is counted and stepped over, so that no word counts twice; one that was not is remembered, and reading goes
      on one word later.

    Words are those of `str.split`; 0 if there are fewer than N; an empty text has no shares. The definitions are datatrove's, which splits
    punctuation from words. The paper names neither a tokenizer nor whether the first occurrence counts: DCLM counts it too, and divides by
    the characters of words and lines alone, so the same thresholds are stricter there.
    """
    from filters._texts import measured, share  # numba takes its time to import, and planning needs none of it

    counts = measured(batch["text"], [], _counted, ("lines", "paragraphs", *_PIECES, "size", *_GRAMS))
    some = pl.when(pl.col("size") > 0)
    return counts.select(
        duplicate_lines=some.then(share("duplicate_lines", "lines")),
        duplicate_line_chars=share("duplicate_line_chars", "size"),
        duplicate_paragraphs=some.then(share("duplicate_paragraphs", "paragraphs")),
        duplicate_paragraph_chars=share("duplicate_paragraph_chars", "size"),
        **{name: share(name, "size") for name in _GRAMS},
    )


def _counted(texts: "Texts") -> "Counts":
    r"""Lines are parted by `\n+`: those of no character count where a text begins or ends with a newline alone."""
    from filters._texts import NEWLINE, chosen, lines, paragraphs
    from filters._words import grams, repeated

    found = lines(texts, NEWLINE, strip=False)
    full, parts = chosen(found, found.stops > found.starts), paragraphs(texts, found)
    before, after = (texts.kinds[places] & NEWLINE > 0 for places in (texts.offsets[:-1], texts.offsets[1:] - 1))
    later_lines = repeated(texts, full)
    later_lines[:, 0] += before & after
    columns = [np.diff(full.firsts) + before + after, np.diff(parts.firsts), later_lines, repeated(texts, parts), grams(texts)]
    return np.column_stack(columns)
