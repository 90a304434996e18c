"""Where the demo's rows say they come from, and what licences people write there."""

import random
from typing import NamedTuple

LICENCES: dict[str, tuple[str, ...]] = {
    "public-domain": (
        "CC0", "CC0 1.0", "CC0-1.0", "Public Domain", "https://creativecommons.org/publicdomain/zero/1.0/",
        "https://creativecommons.org/publicdomain/mark/1.0/",
    ),
    "permissive": (
        "CC BY 4.0", "CC-BY-4.0", "cc-by", "https://creativecommons.org/licenses/by/4.0/",
        "http://creativecommons.org/licenses/by/2.0", "MIT License", "MIT",
    ),
    "share-alike": (
        "CC BY-SA 4.0", "cc-by-sa-3.0", "https://creativecommons.org/licenses/by-sa/4.0/",
        "https://creativecommons.org/licenses/by-sa/2.0/de/deed.en",
    ),
    "copyleft": ("GPL-3.0-or-later", "GNU GPL v2"),
    "no-derivatives": ("CC BY-ND 4.0", "https://creativecommons.org/licenses/by-nd/2.0/"),
    "non-commercial": (
        "CC BY-NC 4.0", "CC BY-NC-SA 3.0", "https://creativecommons.org/licenses/by-nc/2.0/",
        "https://creativecommons.org/licenses/by-nc-nd/4.0/",
    ),
    "proprietary": ("All rights reserved", "© 2019 Example Pictures. All Rights Reserved.", "http://rightsstatements.org/vocab/InC/1.0/"),
    "unknown": ("", "", "see website", "http://rightsstatements.org/vocab/UND/1.0/", "free"),
}  # fmt: skip
"""What the demo means by what it writes; classes as `license.class` names them."""

_SITES = {
    "openpictures.example": (40, 30, 20, 0, 2, 4, 0, 4),
    "sketchbook.example": (5, 25, 25, 3, 4, 20, 8, 10),
    "photoshare.example": (4, 14, 12, 0, 10, 30, 20, 10),
    "clipmart.example": (0, 2, 0, 0, 0, 3, 75, 20),
    "codeicons.example": (5, 45, 5, 30, 0, 0, 5, 10),
    "oldforum.example": (1, 4, 3, 0, 0, 4, 18, 70),
}
_SITE_WEIGHTS = (22, 18, 25, 12, 8, 15)


class Origin(NamedTuple):
    """A row's site, address, licence as written (None: no licence field filled) and the class the demo means by it."""

    source: str
    url: str
    license: str | None
    license_class: str


def sample(path: str, rng: random.Random) -> Origin:
    """Where a picture called `path` is said to come from."""
    site = rng.choices(list(_SITES), _SITE_WEIGHTS)[0]
    meant = rng.choices(list(LICENCES), _SITES[site])[0]
    written = rng.choice(LICENCES[meant])
    return Origin(site, f"https://{site}/{rng.randrange(2015, 2026)}/{path}", written or None, meant)
