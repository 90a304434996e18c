"""What stays of rows that were taken down: keyed hashes, and the hosts and domains that requests name."""

import stat

import polars as pl
import pytest

from curate.digest import hex_of, words_of_hex
from curate.pool import Pool
from curate.record import Run
from curate.store import Store
from curate.takedown.revoked import revoked
from curate.takedown.tombstones import hosts, key_of, keyed_uids, parents, plain_host, read_tombstones
from tests.curate.takedown.small_store import GONE, uids_of


def test_tombstones_are_keyed_hashes_under_a_key_that_only_its_owner_reads(after: Store, rows: pl.DataFrame) -> None:
    assert stat.S_IMODE(after.path("revocations/key").stat().st_mode) == 0o600
    facts = after.json("revocations/000001/tombstone.json")
    assert (facts["who"], facts["reason"], facts["rows"], facts["asked"]["url"]) == ("somebody", "asked", len(GONE), len(GONE))
    stones = read_tombstones(after)
    assert stones.of_uids(words_of_hex(uids_of(rows))).tolist() == [1] * len(GONE)
    assert not stones.of_uids(words_of_hex(rows["uid"][1:9].to_list())).any()
    other = keyed_uids(b"x" * 32, words_of_hex(uids_of(rows)))
    assert not stones.known("uid", other).any()  # under another key they say nothing
    pool = Pool.open(Run.latest(after).pool.root)
    stored = Run.latest(after).uids()[revoked(after).of_pool(pool)]
    assert sorted(hex_of(stored)) == sorted(hex_of(keyed_uids(key_of(after), words_of_hex(uids_of(rows)))))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.ORG/a", "example.org"),
        ("http://user:pass@example.org:8080/a?b=//other.org", "example.org"),
        ("//example.org/a", "example.org"),
        ("example.org/a", "example.org"),
        ("https://example.org.", "example.org"),
        ("https://example.org?x=1", "example.org"),
        (r"https://example.org\@other.org", "example.org"),
        ("example.org:8080/a", "example.org"),
        ("http://a@b@example.org/", "example.org"),
        ("http://[2001:db8::1]:80/a", "[2001:db8::1]"),
        (" https:/example.org/a@b", "example.org"),
        ("https://evil-example.org/example.org", "evil-example.org"),
        ("http://%65xample%2Eorg/a", "example.org"),
        ("http://B\u00dcCHER.example/a", "xn--bcher-kva.example"),
        ("http://b%C3%BCcher.example/a", "xn--bcher-kva.example"),
        ("http://exam\tple.o\r\nrg/a", "example.org"),
    ],
)
def test_hosts(url: str, host: str) -> None:
    assert hosts(pl.Series([url, None])).to_list() == [host, None]


def test_a_host_belongs_to_its_domains() -> None:
    assert parents(plain_host("a.b.Example.org")) == ["a.b.example.org", "b.example.org", "example.org", "org"]
    assert parents(plain_host("bücher.example")) == ["xn--bcher-kva.example", "example"]
    assert plain_host("BÜCHER.example") == plain_host("bu\u0308cher\u3002example") == "xn--bcher-kva.example"
    assert plain_host("straße.example") == "xn--strae-oqa.example"  # another owner's than strasse.example
    (twice,) = hosts(pl.Series(["http://example%252Eorg/"]))
    assert "example.org" not in parents(twice)  # a percent sign stands for a letter once
