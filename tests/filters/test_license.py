import polars as pl
import pytest

from filters._licenses import CLASSES
from filters.license import license as declared
from pipelines.demo.sources import LICENCES


def _row(**roles: str | None) -> dict[str, object]:
    given = {role: pl.Series([roles.pop(role, None)], dtype=pl.String) for role in declared.roles}
    assert not roles
    return declared(pl.DataFrame(given)).row(0, named=True)


def _of(text: str | None) -> tuple[object, ...]:
    row = _row(license=text)
    return tuple(row[column] for column in ("expression", "class", "evidence", "scope", "error"))


@pytest.mark.parametrize(
    ("text", "expression", "kind"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0", "permissive"),
        ("http://www.creativecommons.org/licenses/by/2.0", "CC-BY-2.0", "permissive"),
        ("//creativecommons.org/licenses/by-sa/3.0/", "CC-BY-SA-3.0", "share-alike"),
        ("https://creativecommons.org/licenses/by/3.0/de/deed.en", "CC-BY-3.0-DE", "permissive"),
        ("https://creativecommons.org/licenses/by/3.0/pl/", "LicenseRef-CC-BY-3.0-PL", "permissive"),
        ("https://creativecommons.org/licenses/by-nc-sa/2.5/au/legalcode", "LicenseRef-CC-BY-NC-SA-2.5-AU", "non-commercial"),
        ("https://creativecommons.org/licenses/by-sa/3.0/igo/", "CC-BY-SA-3.0-IGO", "share-alike"),
        ("https://creativecommons.org/licenses/by-nd-nc/1.0/", "CC-BY-NC-ND-1.0", "non-commercial"),
        ("https://creativecommons.org/licenses/by-nd/4.0/deed.pt-br?ref=chooser-v1", "CC-BY-ND-4.0", "no-derivatives"),
        ("http://creativecommons.org/licenses/ by/3.0", "CC-BY-3.0", "permissive"),
        ("https://creativecommons.org/licenses/by-sa/", "LicenseRef-CC-BY-SA", "share-alike"),
        ("HTTPS://CREATIVECOMMONS.ORG/LICENSES/BY/4.0/", "CC-BY-4.0", "permissive"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0", "public-domain"),
        ("https://creativecommons.org/publicdomain/mark/1.0/deed.de", "CC-PDM-1.0", "public-domain"),
        ("cc-by-nc-4.0", "CC-BY-NC-4.0", "non-commercial"),
        ("CC BY-SA", "LicenseRef-CC-BY-SA", "share-alike"),
        ("CC BY 4", "CC-BY-4.0", "permissive"),
        ("cc_by_nc_nd_4.0", "CC-BY-NC-ND-4.0", "non-commercial"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 3.0 Unported License", "CC-BY-NC-SA-3.0", "non-commercial"),
        ("Attribution-NoDerivs License", "LicenseRef-CC-BY-ND", "no-derivatives"),
        ("CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "CC0-1.0", "public-domain"),
        ("Licensed under the MIT License", "MIT", "permissive"),
        ("Apache License, Version 2.0", "Apache-2.0", "permissive"),
        ("https://www.apache.org/licenses/LICENSE-2.0", "Apache-2.0", "permissive"),
        ("https://opensource.org/licenses/MIT", "MIT", "permissive"),
        ("https://www.gnu.org/licenses/gpl-3.0.html", "GPL-3.0-only", "copyleft"),
        ("GNU General Public License v2.0 or later", "GPL-2.0-or-later", "copyleft"),
        ("GPLv3", "GPL-3.0-only", "copyleft"),
        ("ODbL-1.0", "ODbL-1.0", "share-alike"),
        ("all rights reserved", "LicenseRef-All-Rights-Reserved", "proprietary"),
        ("© 2019 Somebody. All Rights Reserved.", "LicenseRef-All-Rights-Reserved", "proprietary"),
        ("http://rightsstatements.org/vocab/InC/1.0/", "LicenseRef-RS-InC-1.0", "proprietary"),
        ("http://rightsstatements.org/page/NoC-US/1.0/?language=en", "LicenseRef-RS-NoC-US-1.0", "unknown"),
        ("public domain", "LicenseRef-Public-Domain", "public-domain"),
        ("(C) 2020 Somebody, CC BY 4.0", "CC-BY-4.0", "permissive"),
        ("\0MIT\0", "MIT", "permissive"),
    ],
)
def test_what_people_write(text: str, expression: str, kind: str) -> None:
    found, classed, evidence, scope = _of(text)[:4]
    assert (found, classed, scope) == (expression, kind, "item")
    assert str(evidence).endswith(f": {expression}")
    assert _of(text)[4] is None


@pytest.mark.parametrize(
    ("text", "expression", "kind"),
    [
        ("mit or apache-2.0", "MIT OR Apache-2.0", "permissive"),
        ("GPL-3.0-only OR CC-BY-4.0", "GPL-3.0-only OR CC-BY-4.0", "permissive"),
        ("MIT AND GPL-2.0+", "MIT AND GPL-2.0-or-later", "copyleft"),
        ("MIT AND (Apache-2.0 OR MIT)", "MIT AND (Apache-2.0 OR MIT)", "permissive"),
        ("CC-BY-4.0 AND CC-BY-NC-4.0", "CC-BY-4.0 AND CC-BY-NC-4.0", "non-commercial"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only WITH Classpath-exception-2.0", "copyleft"),
        ("(GPL-2.0-only WITH Classpath-exception-2.0) OR MIT", "GPL-2.0-only WITH Classpath-exception-2.0 OR MIT", "permissive"),
        ("LicenseRef-ours OR MIT", "LicenseRef-ours OR MIT", "permissive"),
        ("LicenseRef-ours AND MIT", "LicenseRef-ours AND MIT", "unknown"),
    ],
)
def test_spdx_expressions_are_kept_whole_and_classed_by_their_operators(text: str, expression: str, kind: str) -> None:
    assert _of(text)[:3] == (expression, kind, f"expression: {expression}")


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("GPL-2+", "GPL-2.0-or-later"), ("GPL-2", "GPL-2.0-only"), ("GPLv2+", "GPL-2.0-or-later"), ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("AGPL-3", "AGPL-3.0-only"), ("GPL", "GPL-1.0-or-later"), ("LGPL", "LGPL-2.0-or-later"), ("GPL; GPL-2+", "GPL-2.0-or-later"),
        ("GPL v3 or any later version", "GPL-3.0-or-later"),
        ("Expat", "MIT"), ("BSD-3-clause", "BSD-3-Clause"), ("BSD", "LicenseRef-BSD"), ("3-Clause BSD License", "BSD-3-Clause"),
        ("New BSD License", "BSD-3-Clause"), ("three-clause BSD", "BSD-3-Clause"), ("Apache 2", "Apache-2.0"),
        ("Apache Software License 2.0", "Apache-2.0"), ("ASL",
        "LicenseRef-Apache"),
        ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"), ("MIT/X11", "MIT"), ("PSF", "LicenseRef-PSF"), ("CC0", "CC0-1.0"),
        ("GPL-2+ or Artistic", "GPL-2.0-or-later OR LicenseRef-Artistic"), ("Expat and GPL-2", "MIT AND GPL-2.0-only"),
        ("GPL-1+ or Artistic, and Expat", "(GPL-1.0-or-later OR LicenseRef-Artistic) AND MIT"),
        ("GPL-3+ with Bison exception", "GPL-3.0-or-later WITH Bison-exception-2.2"), ("GPL-2 with unheard-of exception", "GPL-2.0-only"),
        ("License :: OSI Approved :: MIT License", "MIT"), ("License :: OSI Approved :: BSD License", "LicenseRef-BSD"),
        ("License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)", "GPL-3.0-or-later"),
        ("License :: OSI Approved :: GNU Lesser General Public License v2 (LGPLv2)", "LGPL-2.0-only"),
        ("License :: OSI Approved :: GNU Library or Lesser General Public License (LGPL)", "LGPL-2.0-or-later"),
        ("License :: OSI Approved :: GNU Affero General Public License v3", "AGPL-3.0-only"),
        ("License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"), ("License :: Public Domain",
        "LicenseRef-Public-Domain"),
        ("License :: CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", "CC0-1.0"), ("License :: Other/Proprietary License",
        "LicenseRef-Proprietary"),
        ("License :: OSI Approved :: Python Software Foundation License", "LicenseRef-PSF"), ("SPDX-License-Identifier: ISC", "ISC"),
    ],
)  # fmt: skip
def test_short_names_of_debian_and_classifiers_of_python(text: str, expression: str) -> None:
    assert _of(text)[0] == expression
    assert _row(license=text)["conflict"] is None


NOT_UNDERSTOOD = [
    None, "", "   ", "free", "see website", "unknown", "NONE", "NOASSERTION", "other", "cc", "royalty-free", "no rights reserved",
    "OR", "AND MIT", "((((", "CC BY-ND-SA", "CC BY 5.7", "© MIT", "Copyright MIT", "License :: OSI Approved", "mit?", "fair", "Intel",
    "MIT-style", "like MIT", "MIT or similar",
    "https://creativecommons.org.evil.example/licenses/by/4.0/", "https://notcreativecommons.org/licenses/by/4.0/",
    "https://creativecommons.org/licenses/sampling+/1.0/", "http://rightsstatements.org/vocab/NONSENSE/1.0/",
    "public domain in some countries",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_UNDERSTOOD)
def test_what_is_absent_or_not_understood_is_unknown(text: str | None) -> None:
    assert _of(text) == (None, "unknown", None, None, None)


@pytest.mark.parametrize(
    "text",
    [
        "this is not https://creativecommons.org/licenses/by/4.0/",
        "MIT; except the logo",
        "https://creativecommons.org/licenses/by/4.05/",
        "not licensed under CC BY 4.0",
        "This file is not licensed under the MIT license.",
        "cc-by-4.0 or",
        "CC BY 4.0 DE",
        "It was released under the MIT license, but no longer is.",
        "Ask before you use it as if licensed under the Apache License 2.0.",
        "this is not in the public domain",
        "openrail",
        "MIT license, but you must not use it for weapons",
        "Licensed under the MIT License, except for the assets",
        "Dedicated to the public domain except in Germany",
    ],
)
def test_an_open_licence_among_words_not_understood_is_not_believed(text: str) -> None:
    _, kind, evidence, _, _ = _of(text)
    assert kind == "unknown"
    assert str(evidence).startswith("other words: ")


def test_a_closed_one_is_believed_from_a_mention() -> None:
    assert _of("Stock photo by Somebody. All rights reserved.")[1] == "proprietary"
    assert _of("ask first; https://creativecommons.org/licenses/by-nc/4.0/")[1] == "non-commercial"
    assert _of("MIT WITH GPL-2.0")[1] == "copyleft"
    assert _of("free for non-commercial use only")[:2] == ("LicenseRef-Non-Commercial", "non-commercial")
    assert _of("MIT License. For academic use only.")[1] == "non-commercial"
    assert _of("Apache-2.0 WITH LicenseRef-scancode-commons-clause")[1] == "proprietary"


@pytest.mark.parametrize(
    ("text", "kind", "both"),
    [
        ("CC BY 4.0, all rights reserved", "proprietary", {"CC-BY-4.0", "LicenseRef-All-Rights-Reserved"}),
        ("CC BY 2.0; CC BY-NC 2.0", "non-commercial", {"CC-BY-2.0", "CC-BY-NC-2.0"}),
        ("cc-by-sa-4.0, gfdl", "copyleft", {"CC-BY-SA-4.0", "LicenseRef-GFDL"}),
        ("MIT | proprietary", "proprietary", {"MIT", "LicenseRef-Proprietary"}),
        ("MIT; Apache-2.0", "permissive", {"MIT", "Apache-2.0"}),
        ("MPL-1.1/GPL-2.0+/LGPL-2.1+", "copyleft", {"MPL-1.1", "GPL-2.0-or-later", "LGPL-2.1-or-later"}),
    ],
)
def test_of_contradictions_the_less_open_decides_and_none_is_lost(text: str, kind: str, both: set[str]) -> None:
    row = _row(license=text)
    assert (row["class"], row["scope"]) == (kind, "item")
    assert set(str(row["expression"]).split(" AND ")) == set(str(row["conflict"]).split(", ")) == both
    assert float(str(row["confidence"])) < 0.5


@pytest.mark.parametrize(
    "text", ["CC BY (https://creativecommons.org/licenses/by/4.0/)", "CC BY 4.0 / https://creativecommons.org/licenses/by/4.0/"]
)
def test_a_name_and_its_address_are_one_licence(text: str) -> None:
    assert _of(text)[:2] == ("CC-BY-4.0", "permissive")


def test_a_link_in_a_page_speaks_of_the_page() -> None:
    link = '<a rel="license" href="http://creativecommons.org/licenses/by-sa/3.0/">Creative Commons License</a>'
    assert _of(link)[:4] == ("CC-BY-SA-3.0", "share-alike", "creative commons address: CC-BY-SA-3.0", "page")


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in LICENCES.items() for text in texts])
def test_what_the_demo_writes_is_read_as_it_means_it(kind: str, text: str) -> None:
    assert _of(text)[1] == kind


def test_classes_are_ordered_from_open_to_unknown() -> None:
    texts = ["free", "MIT", "CC0", "GPL-3.0", "CC BY-SA", "all rights reserved", "CC BY-NC", "CC BY-ND"]
    absent = {role: pl.Series([None] * len(texts), dtype=pl.String) for role in declared.roles}
    assert declared(pl.DataFrame(absent | {"license": texts}))["class"].sort().to_list() == list(CLASSES)


@pytest.mark.parametrize(
    "text", ["(" * 4000, "MIT OR " * 500, "creativecommons.org/licenses/" * 130, "cc by " * 600, "x" * 10_000_000, "\0" * 10_000_000]
)
def test_hostile_fields_are_unknown_not_errors(text: str) -> None:
    assert _of(text)[1] == "unknown"
    assert _of(text)[4] is None


def test_the_address_of_a_licence_may_stand_in_its_own_field() -> None:
    assert _row(license="CC BY", license_url="https://creativecommons.org/licenses/by/2.0/")["expression"] == "CC-BY-2.0"
    torn = _row(license="CC BY 2.0", license_url="https://creativecommons.org/licenses/by-nc/2.0/")
    assert (torn["class"], torn["conflict"]) == ("non-commercial", "CC-BY-2.0, CC-BY-NC-2.0")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("A walk. This article is licensed under a Creative Commons Attribution-ShareAlike 4.0 International License.", "share-alike"),
        ("All content is available under https://creativecommons.org/licenses/by-nc/4.0/ unless noted.", "non-commercial"),
        ("# SPDX-License-Identifier: Apache-2.0\nimport os\n", "permissive"),
        ("Linux is licensed under the GNU General Public License version 2, React is licensed under the MIT License.", "unknown"),
        ("Is this work not licensed under the MIT License?", "unknown"),
        ("Public domain day is in January.", "unknown"),
    ],
)
def test_a_document_is_believed_of_itself_only(text: str, kind: str) -> None:
    assert _row(text=text)["class"] == kind


def test_what_a_document_says_of_itself_comes_last_and_is_looked_for_at_its_ends() -> None:
    says, filler = "This text is released under CC BY-SA 4.0.", "word " * 3000
    assert _row(text=filler + says)["expression"] == "CC-BY-SA-4.0"
    assert _row(text=filler + says + filler)["expression"] is None
    both = _row(license="CC BY-SA 4.0", text=filler + says)
    assert (both["evidence"], both["conflict"]) == ("name: CC-BY-SA-4.0", None)
    torn = _row(license="CC BY 4.0", text=filler + says)
    assert (torn["class"], torn["conflict"]) == ("share-alike", "CC-BY-4.0, CC-BY-SA-4.0")


@pytest.mark.parametrize(
    ("said", "observed"),
    [
        ("2013-05-18T05:34:12Z", "2013-05-18T05:34:12Z"), ("2024-01-02 03:04:05.678+02:00", "2024-01-02T01:04:05Z"),
        ("2024-01-02", "2024-01-02T00:00:00Z"), ("yesterday", None), ("", None), (None, None), ("0001-01-01T00:00:00+14:00", None),
    ],
)  # fmt: skip
def test_the_time_it_was_observed_is_in_utc(said: str | None, observed: str | None) -> None:
    assert _row(license="MIT", observed=said)["observed"] == observed


HOSTILE = [
    "licensed under the midnight license " * 5000, "redistribution and use in source and binary forms " * 5000,
    "gnu general public license version 2 june 1991 " * 3000, "this work is licensed under " * 3000, "in no event shall " * 8000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_take_no_time_and_are_not_open(text: str) -> None:
    assert _row(license=text, text=text)["class"] in ("unknown", "copyleft")


GPL, MIT, CLOSED = (
    f"License :: {name}"
    for name in ("OSI Approved :: GNU General Public License v3 (GPLv3)", "OSI Approved :: MIT License", "Other/Proprietary License")
)


@pytest.mark.parametrize("between", ["; ", ", ", " | ", "\n", "\n; "])
@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [(GPL, MIT, "copyleft"), (MIT, GPL, "copyleft"), (CLOSED, MIT, "proprietary"), (MIT, CLOSED, "proprietary")],
)
def test_of_several_classifiers_none_is_lost(between: str, first: str, second: str, kind: str) -> None:
    (row,) = declared(
        pl.DataFrame({"license": [f"{first}{between}{second}"], **{role: [None] for role in declared.optional[1:]}})
    ).to_dicts()
    assert row["class"] == kind
    assert row["conflict"] is not None


@pytest.mark.parametrize("field", [f"MIT; {MIT}", f"{MIT}; {MIT}", f"License :: OSI Approved; {MIT}"])
def test_classifiers_that_repeat_the_field_are_no_conflict(field: str) -> None:
    (row,) = declared(pl.DataFrame({"license": [field], **{role: [None] for role in declared.optional[1:]}})).to_dicts()
    assert (row["expression"], row["class"], row["conflict"]) == ("MIT", "permissive", None)
