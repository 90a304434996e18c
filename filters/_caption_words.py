"""Words that say how things look, how many they are and where they are; English, in lower case."""

COLOURS = (
    *("black", "white", "red", "green", "yellow", "blue", "brown", "purple", "pink", "orange", "grey", "gray"),
    *("beige", "turquoise", "teal", "maroon", "magenta", "cyan", "violet", "crimson", "scarlet", "navy", "golden", "silver", "ivory"),
    *("khaki", "lavender", "burgundy", "olive green", "multicolored", "multicoloured", "colorful", "colourful"),
)
"""The basic colour terms (Berlin and Kay, 1969), and others that are mostly said of colours. A fruit called orange counts."""

COUNTS = (
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fifteen", "twenty", "dozen", "dozens", "hundred", "hundreds", "single", "pair", "pairs", "couple", "trio", "both"),
    *("several", "many", "few", "multiple", "numerous"),
)
"""Numbers in words, and words for how many. Digits are years, models and prices more often than counts: they do not count."""

SPATIAL = (
    *("above", "below", "under", "underneath", "beneath", "behind", "beside", "besides", "between", "among", "amid", "around", "inside"),
    *("outside", "near", "nearby", "next to", "close to", "across", "across from", "against", "along", "alongside", "opposite", "facing"),
    *("surrounded by", "in front of", "on top of", "on the top", "at the top", "at the bottom", "on the bottom", "in the middle"),
    *("in the center", "in the centre", "in the corner", "in the background", "in the foreground", "in the distance", "at the edge"),
    *("on the left", "on the right", "to the left", "to the right", "left of", "right of", "on the side", "on either side", "far from"),
    *(
        "on both sides",
        "leaning on",
        "hanging from",
        "lying on",
        "sitting on",
        "standing on",
        "over",
        "through",
        "onto",
        "towards",
        "toward",
    ),
)
"""Relations of one thing to another, or to the frame, as in Visual Spatial Reasoning (Liu et al., arXiv 2205.00363); bare `in`, `on` and
`at` are not among them, since they say as often when or why."""

WORDS = (*COLOURS, *COUNTS, *SPATIAL)
"""All, as `caption.said` numbers them."""

KINDS = {
    "colour": (0, len(COLOURS)),
    "count": (len(COLOURS), len(COLOURS) + len(COUNTS)),
    "spatial": (len(COLOURS) + len(COUNTS), len(WORDS)),
}
"""Which numbers are of which kind: from, and up to."""
