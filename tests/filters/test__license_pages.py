import polars as pl
import pytest

from filters.license import license as declared


def _row(**roles: str | None) -> dict[str, object]:
    given = {role: pl.Series([roles.pop(role, None)], dtype=pl.String) for role in declared.roles}
    assert not roles
    return declared(pl.DataFrame(given)).row(0, named=True)


@pytest.mark.parametrize(
    ("html", "expression", "how"),
    [
        ('<a rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/">', "CC-BY-SA-4.0", "rel=license"),
        ("<LINK REL='license nofollow' HREF=//creativecommons.org/licenses/by-nc/3.0/us/>", "LicenseRef-CC-BY-NC-3.0-US", "rel=license"),
        ('<meta name="DC.rights" content="CC BY-ND 4.0">', "CC-BY-ND-4.0", "meta"),
        ('<meta content="https://creativecommons.org/licenses/by/4.0/" property="dcterms.license"/>', "CC-BY-4.0", "meta"),
        ('<script type="application/ld+json">{"license": "https:\\/\\/creativecommons.org\\/licenses\\/by-nc-nd\\/4.0\\/"}</script>',
         "CC-BY-NC-ND-4.0", "json-ld"),
        ('<a href="http://creativecommons.org/licenses/by/3.0/?a=1&amp;b=2"><img></a>', "CC-BY-3.0", "link"),
        ('<span itemprop="license" resource="https://rightsstatements.org/page/InC-NC/1.0/">', "LicenseRef-RS-InC-NC-1.0", "rel=license"),
    ],
)  # fmt: skip
def test_what_a_page_declares(html: str, expression: str, how: str) -> None:
    row = _row(html=f"<html><body>{html} text</body></html>")
    assert (row["expression"], row["scope"], row["conflict"]) == (expression, "page", None)
    assert str(row["evidence"]).startswith(f"{how}, ")


@pytest.mark.parametrize(
    ("html", "kind"),
    [
        ('<!-- <a rel="license" href="https://creativecommons.org/licenses/by/4.0/"> -->', "unknown"),
        ('<a rel="license" href="/terms.html">', "unknown"),
        ('<a rel="license" href="/terms.html"><a href="https://creativecommons.org/licenses/by/4.0/">', "unknown"),
        ('<meta name="copyright" content="© 2020 Somebody"><a rel=license href=https://creativecommons.org/licenses/by/4.0/>',
        "permissive"),
        ('<meta name="copyright" content="All rights reserved"><a rel=license href=https://creativecommons.org/licenses/by/4.0/>',
        "proprietary"),
        ('<a rel=license href=https://creativecommons.org/licenses/by/4.0/><a href=https://creativecommons.org/licenses/by-nc/4.0/>',
        "non-commercial"),
        ("<a href=https://example.org/licenses/by/4.0/>", "unknown"),
        ("<a rel=license", "unknown"),
    ],
)  # fmt: skip
def test_a_page_is_open_only_if_nothing_on_it_says_otherwise(html: str, kind: str) -> None:
    assert _row(html=html)["class"] == kind


def test_headers_are_read_as_lines_or_json() -> None:
    line = '<https://creativecommons.org/licenses/by-sa/4.0/>; rel="license"'
    for headers in (
        f"Content-Type: text/html\r\nLink: {line}\r\n",
        f'{{"link": [{line!r}]}}'.replace("'", '"').replace('rel="license"', "rel=license"),
    ):
        row = _row(headers=headers)
        assert (row["expression"], row["scope"]) == ("CC-BY-SA-4.0", "page")


def test_the_field_and_its_page_are_held_against_each_other() -> None:
    page = '<a rel="license" href="https://creativecommons.org/licenses/by-nc-sa/4.0/">'
    row = _row(license="CC BY 4.0", html=page)
    assert (row["class"], row["scope"], row["conflict"]) == ("non-commercial", "page", "CC-BY-4.0, CC-BY-NC-SA-4.0")


@pytest.mark.parametrize(
    ("roles", "opted"),
    [
        ({}, (None, None, None, None)),
        ({"html": "<p>"}, (None, None, False, False)),
        ({"html": '<meta name="tdm-reservation" content="1"><meta name="tdm-policy" content="https://e.org/p.json">'}, (True,
        "https://e.org/p.json", False, False)),
        ({"html": '<meta name="tdm-reservation" content="0">'}, (False, None, False, False)),
        ({"html": '<meta name="robots" content="noindex, noai, noimageai">'}, (None, None, True, True)),
        ({"headers": "TDM-Reservation: 1\nX-Robots-Tag: otherbot: noimageai"}, (True, None, False, True)),
        ({"headers": "tdm-reservation: 0", "html": '<meta name="tdm-reservation" content="1">'}, (True, None, False, False)),
        ({"headers": '{"x-robots-tag": ["noai", "nofollow"]}'}, (None, None, True, False)),
        ({"headers": "{not json", "html": '<meta name="description" content="noai">'}, (None, None, False, False)),
    ],
)  # fmt: skip
def test_reservations(roles: dict[str, str], opted: tuple[object, ...]) -> None:
    row = _row(**roles)
    assert tuple(row[column] for column in ("tdm_reserved", "tdm_policy", "noai", "noimageai")) == opted
    assert row["class"] == "unknown"


@pytest.mark.parametrize(
    "html", ["<" * 100_000, "<a " * 50_000, "<!--" * 50_000, '<a href="' * 50_000, "<meta name=robots content=" + "noai" * 50_000]
)
def test_hostile_pages_are_read_without_error(html: str) -> None:
    assert _row(html=html)["error"] is None
