"""What stands in a caption's place: phrases of pages and shops, names of files, bare dates and prices. Rust's regular expressions."""

_EDGE = r"(?:^|[^0-9A-Za-z])"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
_MONEY = r"(?:[$€£¥₹]\s?\d[\d.,]*|\d[\d.,]*\s?(?:[$€£¥₹]|(?:usd|eur|gbp|dollars?|euros?)\b))"
_PICTURE = r"(?:image|photo|picture|thumbnail|graphic)s?"

BOILERPLATE = {
    "may contain": rf"\b{_PICTURE} may contain\b|\bmay be an? (?:\w+ )?(?:of\b|{_PICTURE}\b)|\bno photo description\b",
    "enlarge": r"\b(?:click|tap|press|hover|roll ?over)\b.{0,30}\b(?:enlarge|zoom|view|expand|bigger|larger|full|open|see)\b"
    rf"|\b(?:view|see|open) (?:the )?(?:larger|full|bigger)\b|\benlarge (?:this |the )?{_PICTURE}",
    "placeholder": rf"\b{_PICTURE} (?:is )?(?:not|un)(?: ?yet)? ?available\b|\b{_PICTURE} (?:coming soon|not found|placeholder)\b"
    rf"|\bno {_PICTURE}(?: available)?\s*$|\blorem ipsum\b"
    rf"|^\W*(?:untitled|default|placeholder|icon|banner|avatar|{_PICTURE}|img|pic)\W*$",
    "stock": r"\b(?:royalty[ -]free|stock (?:photo|image|vector|illustration|footage|picture)s?|stock photography|vector illustration"
    r"|shutterstock|istock(?:photo)?|getty images|alamy|dreamstime|depositphotos|123rf|adobe stock|clip ?art)\b",
    "rights": rf"©|\bcopyright\b|\ball rights reserved\b|\b{_PICTURE} (?:by|credits?|courtesy|source)\b|\bcourtesy of\b",
    "shop": r"\badd to (?:cart|basket|bag|wish ?list)\b|\bbuy (?:now|online|it)\b|\bfree (?:shipping|delivery)\b|\b(?:in|out of) stock\b"
    r"|\b(?:shop|order) (?:now|online)\b|\bfor sale\b|\b\d+ ?% off\b",
    "share": r"\b(?:share|pin|save|tweet|follow|like) (?:\w+ )?(?:on|to|us|this|it|via)\b"
    r"|\b(?:facebook|twitter|pinterest|instagram|whatsapp)\b",
    "page": r"\b(?:read|learn|show) more\b|\bcontinue reading\b|\b(?:go to|next|previous) (?:slide|page|image)\b"
    r"|\bhome ?page\b|\bslide ?show\b|\bprivacy policy\b|\bcookies?\b.{0,20}\b(?:policy|settings|accept)\b"
    r"|\bdownload (?:this|the|free|now)\b|\badvertisement\b|\bwallpapers?\b",
}
"""Kinds of phrases that speak of a page or a shop; of several the first is a caption's."""

FILES = {
    "url": r"(?:https?://|www\.)\S+",
    "camera": rf"{_EDGE}(?:_?(?:img|dsc|dsc[fn]|imgp?|cimg|hpim|pict|pxl|mvi|gopr|dji|sam|wp|vid)[_ -]?\d{{3,}}|p\d{{7}}"
    r"|(?:image|photo|picture|pic)[_-]?\d{3,})[\w.()-]*",
    "screenshot": r"screen[ _-]?shot[ _-]*(?:\d|at ).*",
    "hash": rf"{_EDGE}(?:[0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}|[0-9a-f]{{16,}})(?:\.\w{{3,4}})?\b",
    "file": r"\S+\.(?:jpe?g|png|gif|webp|bmp|tiff?|heic|svg|avif|psd|mp4|mov|pdf)\b",
}
"""Kinds of names of files, and addresses; of several the first is a caption's. A long number is a hash too."""

FORMS = {
    "date": r"^\W*(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\W+)?"
    r"(?:\d{4}[-/. ]\d{1,2}[-/. ]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2,4}"
    rf"|{_MONTH}\s{_DAY},?\s\d{{4}}|{_DAY}\s{_MONTH},?\s\d{{4}}|{_MONTH}\s\d{{4}})"
    r"(?:[ t,]+\d{1,2}:\d{2}(?::\d{2})?(?:\s?[ap]m)?)?\W*$",
    "price": rf"^(?:from|now|only|sale|price|was|:|\s)*{_MONEY}(?:\s*[-–/]\s*{_MONEY})?\W*$",
    "size": r"^\W*\d+(?:[.,]\d+)?\s?(?:px|cm|mm|in|\W)?\s?[x×]\s?\d+(?:[.,]\d+)?\s?(?:px|cm|mm|in|inch(?:es)?)?\W*$",
    "number": r"^[\W_]*\d[\d\W_]*$",
    "symbols": r"^[\W_]+$",
}
"""What a whole caption may be instead of words; of several the first. Names of files with nothing beside them come before these."""
