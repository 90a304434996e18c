"""Addresses of rows: the host that a url names."""

import polars as pl

_HOST = r"^(?:[A-Za-z][A-Za-z0-9+.\-]*:)?//(?:[^/?#@]*@)?(\[[^\]/?#]*\]|[^/?#:\\]*)"


def hosts_of(urls: pl.Series) -> pl.Series:
    """The host of each url (RFC 3986: after `//` and what stands before an @, up to a port or path), in small letters and without a
    closing dot; null where there is none. Names in other scripts stay as they are written."""
    host = pl.col("url").cast(pl.String).str.strip_chars().str.extract(_HOST).str.to_lowercase().str.strip_chars_end(".")
    return pl.DataFrame({"url": urls}).select(pl.when(host != "").then(host).alias("host")).to_series()
