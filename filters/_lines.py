"""Words and lines of many texts as frames of their own, one row each, and what was counted in them brought back to one row a text."""

import polars as pl

SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""Every character for which Python's `str.isspace` holds: those that `str.split` and `str.strip` take away."""

WORD = r"[^\s\x1c-\x1f]+"
r"""A word of `str.split`: `\s` of the regular expressions lacks the separators U+001C to U+001F."""

_BREAKS = r"\r\n|[\x0b\x0c\r\x1c-\x1e\x{85}\x{2028}\x{2029}]"  # besides \n: all that `str.splitlines` knows


def words(texts: pl.Series) -> pl.DataFrame:
    """{row: UInt32, word: String}: every word of every text, in order, as `str.split` finds them."""
    return _exploded(texts.str.extract_all(WORD), "word")


def pieces(texts: pl.Series, separator: str, name: str) -> pl.DataFrame:
    """{row: UInt32, `name`: String}: every text split at `separator`, as `str.split(separator)` does."""
    return _exploded(texts.str.split(separator), name)


def lines(texts: pl.Series) -> pl.DataFrame:
    r"""{row: UInt32, line: String}: every line of every text, as `str.splitlines` finds them."""
    unified = texts.str.replace_all(_BREAKS, "\n")
    ended = pl.select(pl.when(unified != "").then(unified.str.strip_suffix("\n"))).to_series()  # an empty text has no line
    return pieces(ended, "\n", "line")


def repeated(item: str) -> pl.Expr:
    """Whether the same text (column `item`) stood earlier in the same row."""
    return ~pl.struct("row", item).is_first_distinct()


def counted(texts: pl.Series, found: pl.DataFrame) -> pl.DataFrame:
    """`found` (row, and counts or truths of the rows that have any) as one row a text: 0 or false where there is none, null if null."""
    whole = pl.DataFrame({"row": pl.int_range(len(texts), dtype=pl.UInt32, eager=True), "there": texts.is_not_null()})
    values = [pl.col(name) for name in found.columns if name != "row"]
    joined = whole.join(found, on="row", how="left", maintain_order="left")
    zeros = [value.fill_null(pl.lit(0).cast(found.schema[value.meta.output_name()])) for value in values]
    return joined.select(pl.when("there").then(zero) for zero in zeros)


def share(part: str | pl.Expr, whole: str | pl.Expr) -> pl.Expr:
    """Part of whole as Float64; null where the whole is 0."""
    part, whole = (pl.col(one) if isinstance(one, str) else one for one in (part, whole))
    return pl.when(whole > 0).then(part / whole)


def _exploded(lists: pl.Series, name: str) -> pl.DataFrame:
    frame = pl.DataFrame({name: lists}).with_row_index("row")
    return frame.filter(pl.col(name).list.len() > 0).explode(name)
