import pytest
from license_expression import get_spdx_licensing

from filters._licenses import NAMES
from pipelines.provenance.terms import address, asks, holds, reachable, spoken, table, understood


def obligations(licence):
    return {one.obligation for one in asks(licence)}


def test_creative_commons_elements_bring_what_their_texts_ask():
    assert obligations("CC-BY-4.0") == {"notice", "attribution", "changes", "no-endorsement", "no-added-terms"}
    assert obligations("CC-BY-NC-SA-3.0") >= {"attribution", "share-alike", "no-commercial"}
    assert obligations("CC-BY-ND-2.0") >= {"attribution", "no-derivatives"}
    assert not obligations("CC0-1.0")
    assert asks("LicenseRef-CC-BY-2.0-PL")[0].source == "https://creativecommons.org/licenses/by/2.0/pl/legalcode"


def test_places_in_creative_commons_texts_are_those_of_the_version():
    where = {one.obligation: one for one in asks("CC-BY-NC-ND-1.0")}
    assert where["no-derivatives"].source == "https://creativecommons.org/licenses/by-nd-nc/1.0/legalcode"
    assert obligations("CC-SA-1.0") == {"notice", "no-added-terms", "share-alike"}  # nobody is credited
    assert "no version" in asks("CC-BY")[0].where
    assert "4.0" not in asks("CC-BY")[0].source


@pytest.mark.parametrize("licence", ["X11", "HPND", "MIT-CMU", "NTP", "ICU", "Unicode-3.0"])
def test_relatives_of_mit_that_name_their_authors_forbid_to_advertise_with_them(licence):
    assert obligations(licence) == {"notice", "no-endorsement"}


def test_every_share_alike_of_a_whole_work_says_where_it_leads():
    alike = {
        name
        for name in {*get_spdx_licensing().known_symbols, *(one for entry in table().licences for one in entry.ids if "*" not in one)}
        if any(one.obligation == "share-alike" and ", of " not in one.where for one in asks(name)) and "-exception" not in name
    }
    assert {name for name in alike if reachable(name) is None} == set()
    assert reachable("GFDL-1.3-no-invariants-or-later") & reachable("GFDL-1.3-only")
    assert not reachable("EUPL-1.0") & reachable("CC-BY-SA-4.0")


@pytest.mark.parametrize(
    ("licence", "obligation", "where"),
    [
        ("EUPL-1.0", "network-source", None),  # only from 1.1 on is giving access a distribution
        ("EUPL-1.2", "network-source", "1, what distribution is"),
        ("LAL-1.2", "changes", None),  # 1.3 brought it
        ("LAL-1.3", "share-alike", "2.3 and 4"),
        ("BSD-1-Clause", "notice", "condition 1, of source"),
        ("CDLA-Sharing-1.0", "notice", "3.3"),
        ("CDLA-Permissive-2.0", "notice", "2.1, the agreement's text with data that are shared"),
        ("CC-BY-4.0", "notice", "3(a)(1)(A) and (C)"),
        ("OGL-UK-3.0", "notice", "a link to the licence, where possible"),
        ("etalab-2.0", "notice", None),
        ("CDDL-1.0", "no-added-terms", "3.4"),
        ("Artistic-2.0", "source", "5 and 6, of compiled forms"),
    ],
)
def test_places_are_those_of_each_version(licence, obligation, where):
    assert {one.obligation: one.where for one in asks(licence)}.get(obligation) == where


def test_every_obligation_has_words_and_every_entry_a_source():
    known = set(table().obligations)
    for entry in table().licences:
        assert set(entry.asks) <= known
        assert entry.source.startswith("https://")
    for element in table().creative_commons.values():
        assert {*element.now, *element.before} <= known
    assert all(one.source.startswith("https://") for one in [*table().into.values(), *table().pairs])


def test_a_licence_that_nobody_has_read_asks_to_be_read_and_is_never_free():
    assert obligations("LicenseRef-Something") == {"unread"}
    assert obligations("NOSL") == {"unread"}


def test_most_names_that_the_filter_knows_have_been_read():
    unread = {name for name in NAMES if "unread" in obligations(name)}
    assert unread <= {"Artistic-1.0", "LicenseRef-Artistic", "FTL", "OLDAP-2.8", "Beerware"}


def test_of_or_the_lightest_alternative_binds_and_of_and_all():
    assert understood("GPL-3.0-only OR MIT").licences == ("MIT",)
    assert understood("CC-BY-NC-4.0 OR CC-BY-SA-4.0").licences == ("CC-BY-SA-4.0",)
    assert understood("MIT AND (Apache-2.0 OR GPL-2.0-only)").licences == ("MIT", "Apache-2.0")
    assert understood("GPL-3.0-or-later WITH GCC-exception-3.1").licences == ("GPL-3.0-or-later",)


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("CC-BY-SA-2.0", "CC-BY-SA-4.0", True),
        ("CC-BY-SA-1.0", "CC-BY-SA-4.0", False),
        ("CC-BY-SA-4.0", "GPL-3.0-only", True),
        ("CC-BY-SA-4.0", "GPL-2.0-only", False),
        ("CC-BY-SA-3.0", "CC-BY-NC-SA-3.0", False),
        ("GPL-2.0-or-later", "GPL-3.0-only", True),
        ("GPL-2.0-only", "GPL-3.0-only", False),
        ("GFDL-1.3-only", "CC-BY-SA-4.0", False),
        ("CC-BY-SA-3.0-DE", "CC-BY-SA-2.0", True),
    ],
)
def test_share_alike_licences_meet_where_their_texts_let_them(one, other, meet):
    assert bool(reachable(one) & reachable(other)) == meet


def test_what_is_not_share_alike_of_a_whole_work_is_reachable_from_nowhere():
    assert reachable("MIT") is None
    assert reachable("MPL-2.0") is None


def test_what_holds_of_licences_holds_of_expressions():
    def gnu(licence):
        return licence.startswith("GPL")

    assert holds("MIT AND GPL-2.0-only", gnu, of_and=any)
    assert not holds("MIT OR GPL-2.0-only", gnu, of_and=any)
    assert holds("MIT OR GPL-2.0-only", gnu, of_and=all)
    assert not holds("MIT AND GPL-2.0-only", gnu, of_and=all)


def test_addresses_and_names_are_those_that_people_follow():
    assert address("CC-BY-SA-3.0-DE") == "https://creativecommons.org/licenses/by-sa/3.0/de/"
    assert address("MIT") == "https://spdx.org/licenses/MIT.html"
    assert address("LicenseRef-BSD") is None
    assert spoken("CC-BY-SA-4.0") == "CC BY-SA 4.0"
