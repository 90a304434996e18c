import polars as pl
import pytest

from filters._licenses import CLASSES
from filters.license import license as declared
from pipelines.demo.sources import LICENCES


def _of(text: str | None) -> tuple[object, ...]:
    return declared(pl.DataFrame({"license": pl.Series([text], dtype=pl.String)})).row(0)


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


NOT_UNDERSTOOD = [
    None, "", "   ", "free", "see website", "unknown", "NONE", "NOASSERTION", "other", "cc", "openrail", "royalty-free",
    "no rights reserved",
    "cc-by-4.0 or", "OR", "AND MIT", "((((", "MIT WITH GPL-2.0", "CC BY-ND-SA", "CC BY 5.7", "CC BY 4.0 DE", "© MIT", "Copyright MIT",
    "https://creativecommons.org.evil.example/licenses/by/4.0/", "https://notcreativecommons.org/licenses/by/4.0/",
    "https://creativecommons.org/licenses/sampling+/1.0/", "http://rightsstatements.org/vocab/NONSENSE/1.0/",
    "public domain in some countries",
    "not licensed under CC BY 4.0",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_UNDERSTOOD)
def test_what_is_absent_or_not_understood_is_unknown(text: str | None) -> None:
    assert _of(text) == (None, "unknown", None, None, None)


@pytest.mark.parametrize(
    "text",
    ["this is not https://creativecommons.org/licenses/by/4.0/", "MIT; except the logo", "https://creativecommons.org/licenses/by/4.05/"],
)
def test_an_open_licence_among_words_not_understood_is_not_believed(text: str) -> None:
    _, kind, evidence, _, _ = _of(text)
    assert kind == "unknown"
    assert str(evidence).startswith("other words: ")


def test_a_closed_one_is_believed_from_a_mention() -> None:
    assert _of("Stock photo by Somebody. All rights reserved.")[1] == "proprietary"
    assert _of("ask first; https://creativecommons.org/licenses/by-nc/4.0/")[1] == "non-commercial"


@pytest.mark.parametrize("text", ["CC BY 4.0, all rights reserved", "CC BY 2.0; CC BY-NC 2.0", "cc-by-sa-4.0, gfdl", "MIT | proprietary"])
def test_contradictions_have_no_expression_and_are_unknown(text: str) -> None:
    expression, kind, evidence, scope, _ = _of(text)
    assert (expression, kind, scope) == (None, "unknown", "item")
    assert str(evidence).startswith("conflict: ")
    assert str(evidence).count(": ") == 3


def test_different_licences_of_one_class_keep_that_class() -> None:
    assert _of("MIT; Apache-2.0")[:2] == (None, "permissive")


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
    kinds = declared(
        pl.DataFrame({"license": ["free", "MIT", "CC0", "GPL-3.0", "CC BY-SA", "all rights reserved", "CC BY-NC", "CC BY-ND"]})
    )
    assert kinds["class"].sort().to_list() == list(CLASSES)


@pytest.mark.parametrize(
    "text", ["(" * 4000, "MIT OR " * 500, "creativecommons.org/licenses/" * 130, "cc by " * 600, "x" * 10_000_000, "\0" * 10_000_000]
)
def test_hostile_fields_are_unknown_not_errors(text: str) -> None:
    assert _of(text)[1] == "unknown"
    assert _of(text)[4] is None
