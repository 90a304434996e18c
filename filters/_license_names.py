"""What people call licences, in the words that `_licenses` leaves of a name, and the classes of those that SPDX does not list."""

ALL_RIGHTS_RESERVED, PUBLIC_DOMAIN, PROPRIETARY = "LicenseRef-All-Rights-Reserved", "LicenseRef-Public-Domain", "LicenseRef-Proprietary"

NAMES: dict[str, tuple[str, ...]] = {
    # A family named without its version is a LicenseRef: which version is not for us to choose.
    "MIT": ("mit", "expat", "mit x11", "mit x", "x11 mit", "expat mit", "mit expat", "x mit"),
    "MIT-0": ("mit no attribution", "mit 0", "mit no attribution mit 0"),
    "X11": ("x11", "mit x consortium"),
    "ISC": ("isc", "isc iscl"),
    "0BSD": ("0bsd", "bsd 0 clause", "bsd zero clause", "zero clause bsd", "zero clause bsd 0bsd"),
    "BSD-1-Clause": ("bsd 1 clause", "1 clause bsd"),
    "BSD-2-Clause": (
        "bsd 2", "bsd2", "bsd 2 clause", "2 clause bsd", "simplified bsd", "bsd simplified", "freebsd",
        "bsd 2 clause simplified",
    ),
    "BSD-3-Clause": (
        "bsd 3", "bsd3", "bsd 3 clause", "3 clause bsd", "new bsd", "bsd new", "modified bsd", "revised bsd",
        "bsd 3 clause new",
        "bsd 3 clause new or revised", "new bsd 3 clause", "new or modified bsd", "bsd new or revised",
    ),
    "BSD-4-Clause": ("bsd 4", "bsd 4 clause", "4 clause bsd", "original bsd", "bsd original", "old bsd"),
    "BSD-4-Clause-UC": ("bsd 4 clause uc",),
    "LicenseRef-BSD": ("bsd",),
    "Apache-2.0": ("apache 2", "apache 2.0", "asl 2", "asl 2.0", "apache software 2.0", "apache software 2", "apache2", "apache2.0",
    "al 2.0", "apache 2.0 asl 2.0"),
    "Apache-1.1": ("apache 1.1", "asl 1.1", "apache software 1.1"),
    "LicenseRef-Apache": ("apache", "apache software", "asl"),
    "Zlib": ("zlib", "zlib libpng", "libpng zlib"),
    "BSL-1.0": ("boost", "boost software", "boost 1.0", "boost software 1.0", "boost software 1.0 bsl 1.0"),
    "PSF-2.0": ("psf 2", "psf 2.0", "psfl 2.0"),
    "LicenseRef-PSF": ("psf", "psfl", "python", "python software foundation", "python software foundation psf"),
    "Unlicense": ("unlicense", "unlicense unlicense"),
    "WTFPL": ("wtfpl", "wtfpl 2", "wtfpl 2.0", "do what the fuck you want to", "do what fuck you want to",
    "do what fuck you want to wtfpl"),
    "HPND": ("hpnd", "historical permission notice and disclaimer", "historical permission notice and disclaimer hpnd"),
    "MPL-2.0": ("mpl 2", "mpl 2.0", "mozilla 2.0", "mozilla 2", "mozilla 2.0 mpl 2.0", "mpl2"),
    "MPL-1.1": ("mpl 1.1", "mozilla 1.1", "mozilla 1.1 mpl 1.1"),
    "MPL-1.0": ("mpl 1.0", "mozilla 1.0", "mozilla 1.0 mpl"),
    "LicenseRef-MPL": ("mpl", "mozilla"),
    "EPL-1.0": ("epl 1.0", "eclipse 1.0", "eclipse 1.0 epl 1.0"),
    "EPL-2.0": ("epl 2.0", "eclipse 2.0", "eclipse 2.0 epl 2.0"),
    "LicenseRef-EPL": ("epl", "eclipse"),
    "EUPL-1.1": ("eupl 1.1", "european union 1.1", "european union licence 1.1 eupl 1.1", "european union 1.1 eupl 1.1"),
    "EUPL-1.2": ("eupl 1.2", "european union 1.2", "european union 1.2 eupl 1.2"),
    "CDDL-1.0": ("cddl 1.0", "common development and distribution 1.0", "common development and distribution 1.0 cddl 1.0"),
    "Artistic-1.0": ("artistic 1", "artistic 1.0"),
    "Artistic-2.0": ("artistic 2", "artistic 2.0"),
    "LicenseRef-Artistic": ("artistic",),
    "ZPL-2.1": ("zpl 2.1", "zope 2.1"),
    "LicenseRef-ZPL": ("zpl", "zope"),
    "OFL-1.1": ("ofl", "ofl 1.1", "sil ofl", "sil ofl 1.1", "sil open font", "sil open font 1.1", "open font", "sil open font 1.1 ofl 1.1"),
    "OpenSSL": ("openssl",),
    "PostgreSQL": ("postgresql",),
    "NCSA": ("ncsa", "university illinois ncsa open source"),
    "FTL": ("freetype", "ftl"),
    "OLDAP-2.8": ("openldap 2.8", "openldap 2.8 openldap"),
    "Beerware": ("beerware", "beer ware"),
    "ODC-By-1.0": ("odc by", "odc by 1.0", "open data commons by", "open data commons by 1.0"),
    "ODbL-1.0": ("odbl", "odc odbl", "odbl 1.0", "open database", "open data commons open database", "odc odbl 1.0"),
    "PDDL-1.0": ("pddl", "odc pddl", "pddl 1.0"),
    "OGL-UK-3.0": ("open government 3.0", "ogl 3.0", "ogl uk 3.0"),
    "LicenseRef-GFDL": ("gfdl", "gnu free documentation", "fdl", "gnu fdl", "gnu free documentation fdl"),
    "GFDL-1.2-only": ("gfdl 1.2", "gnu free documentation 1.2"),
    "GFDL-1.2-or-later": ("gfdl 1.2+", "gnu free documentation 1.2 or later"),
    "GFDL-1.3-only": ("gfdl 1.3", "gnu free documentation 1.3"),
    "GFDL-1.3-or-later": ("gfdl 1.3+", "gnu free documentation 1.3 or later"),
    "GFDL-1.3-no-invariants-only": ("gfdl niv 1.3",),
    "GFDL-1.3-no-invariants-or-later": ("gfdl niv 1.3+",),
    "CC-PDM-1.0": ("public domain mark", "public domain mark 1.0", "cc pdm 1.0", "cc public domain mark 1.0", "pdm"),
    PUBLIC_DOMAIN: ("public domain", "pd", "released into public domain", "in public domain"),
    PROPRIETARY: ("proprietary", "commercial", "other proprietary", "closed source", "confidential", "nvidia proprietary software"),
    ALL_RIGHTS_RESERVED: ("copyrighted",),
}  # fmt: skip
"""SPDX identifier or LicenseRef -> names that mean it."""

FAMILIES = {
    "LicenseRef-Apache": "permissive", "LicenseRef-BSD": "permissive", "LicenseRef-PSF": "permissive", "LicenseRef-MPL": "copyleft",
    "LicenseRef-EPL": "copyleft", "LicenseRef-GFDL": "copyleft", "LicenseRef-Artistic": "copyleft", "LicenseRef-ZPL": "permissive",
    "LicenseRef-GPL": "copyleft", "LicenseRef-LGPL": "copyleft", "LicenseRef-AGPL": "copyleft",
    "LicenseRef-Copyleft": "copyleft", "LicenseRef-Non-Commercial": "non-commercial", "LicenseRef-No-Derivatives": "no-derivatives",
    "LicenseRef-Commons-Clause": "proprietary",
    PROPRIETARY: "proprietary", ALL_RIGHTS_RESERVED: "proprietary", PUBLIC_DOMAIN: "public-domain",
}  # fmt: skip
"""LicenseRef -> class. BUSL, SSPL and their like are `proprietary`: their source is there to read, not to use freely."""

ABSENT = frozenset(
    {
        "",
        "cc",
        "unknown",
        "none",
        "null",
        "nan",
        "na",
        "n a",
        "noassertion",
        "other",
        "osi approved",
        "unspecified",
        "not specified",
        "tbd",
        "see",
    }
)
"""Plain words that fill a field and declare nothing."""

EXCEPTIONS = {
    "autoconf": "Autoconf-exception-2.0", "bison": "Bison-exception-2.2", "bison 2.2": "Bison-exception-2.2",
    "classpath": "Classpath-exception-2.0",
    "gcc runtime 3.1": "GCC-exception-3.1", "gcc runtime library": "GCC-exception-3.1", "libtool": "Libtool-exception",
    "llvm": "LLVM-exception",
    "linux syscall note": "Linux-syscall-note", "font": "Font-exception-2.0", "openssl": "LicenseRef-OpenSSL-exception",
}  # fmt: skip
"""Exceptions as Debian names them -> SPDX. Of one that is not here the licence itself is the cautious reading: exceptions only permit."""
