"""What parts words and lines, as Python's `str` methods have it."""

SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
"""Every character for which `str.isspace` holds: those that `str.split` and `str.strip` take away."""

BREAKS = "\n\x0b\x0c\r\x1c\x1d\x1e\x85\u2028\u2029"
r"""Every character at which `str.splitlines` parts lines; it takes `\r\n` for one."""

WORD = r"[^\s\x1c-\x1f]+"
r"""A word of `str.split`, as a regular expression: their `\s` lacks the separators U+001C to U+001F."""
