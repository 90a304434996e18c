"""Which personal data a text holds."""

import polars as pl

from curate.signal import signal

_COLUMNS = ("emails", "public_ips", "private_ips", "phones", "cards", "ibans")


@signal(version=1, reads=["text"], writes=dict.fromkeys(_COLUMNS, pl.UInt32), uses=["numba"])
def pii(batch: pl.DataFrame) -> pl.DataFrame:
    """How many of each stand in the text; null text has none. `curate export --redact pii` replaces the same, but private addresses.

    - `emails`: up to 64 ASCII characters of RFC 5322's atoms and dots, the first a letter or digit, and a domain of two labels or more, the
      last of two characters or more and with a letter. Not those at RFC 2606's example domains.
    - `public_ips`: IPv4 of four decimal numbers without leading zeros, and IPv6 written out or with one `::`, beginning with four hex
      digits and ending in one. Public, as in FineWeb: what IANA's special-purpose registry (RFC 6890) leaves. `private_ips`: what it
      lists, but for the addresses of examples (RFC 5737, RFC 3849), which do not count. A section 1.2.3.4 looks like an address.
    - `phones`: + and 8 to 15 digits in groups (ITU-T E.164); and 1-NXX-NXX-XXXX, NXX.NXX.XXXX, (NXX) NXX-XXXX of North America.
    - `cards`: 13 to 19 digits, in one run or grouped as on cards, whose beginning and length an issuer uses and whose Luhn sum (ISO/IEC
      7812-1) is right, which one in ten numbers of that shape is by chance.
    - `ibans`: bank accounts of ISO 13616, with their country's length and a checksum of 1 modulo 97.

    What touches a letter, digit or underscore, or one of these across a dot or hyphen, is part of something else (a version, a name, a key)
    and does not count. Neither do local numbers, names and postal addresses. FineWeb (arXiv 2406.17557, section 3.7) masks e-mail and
    public IP addresses.
    """
    from filters._pii import counts  # loads a compiler, which no plan needs

    return counts(batch["text"]).select(_COLUMNS)
