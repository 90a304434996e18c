import ipaddress
import re

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from filters._pii import PLACEHOLDERS, redacted
from filters.pii import pii

COLUMNS = ("emails", "public_ips", "private_ips", "phones", "cards", "ibans")


def _of(text: str | None) -> dict[str, int | None]:
    """The columns that are not 0."""
    row = pii(pl.DataFrame({"text": pl.Series([text], dtype=pl.String)})).row(0, named=True)
    assert row.pop("error") is None
    return {name: count for name, count in row.items() if count != 0}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Write to john.o'hara+tag@mail.corp-x.co.uk, please.", {"emails": 1}),
        ("a@b.co;c_d@e.org <x@y.museum>", {"emails": 3}),
        ("mailto:someone@web.de?subject=x", {"emails": 1}),
        ("@handle, user@host, a@b.5, a@@b.com, x@.com, .@b.com", {}),
        (f"{'l' * 65}@mail.com {'l' * 64}@mail.com", {"emails": 1}),
        ("me@example.com you@sub.EXAMPLE.org a@site.test b@localhost c@x.invalid", {}),
        ("me@myexample.com", {"emails": 1}),
        ("8.8.8.8 and 1.1.1.1:53, http://9.9.9.9/", {"public_ips": 3}),
        ("10.0.0.1 172.31.9.9 192.168.1.255 127.0.0.1 169.254.1.1 100.64.0.1 0.0.0.0 255.255.255.255", {"private_ips": 8}),
        ("192.0.2.7 198.51.100.1 203.0.113.9 2001:db8::5 2001:0DB8:1::1", {}),
        ("v1.2.3.4 1.2.3.4.5 256.1.1.1 01.2.3.4 1.2.3 1.2.3.4-rc1 1.2.3.4b 12.1.2.3.4", {}),
        ("It was 8.8.8.8. Then", {"public_ips": 1}),
        ("2001:4860:4860::8888, [2a00:1450:4001:830:0:0:0:200e]", {"public_ips": 2}),
        ("fe80::1%eth0 fd12:3456:789a:1::1", {"private_ips": 2}),
        ("12:30:45 00:1a:2b:3c:4d:5e std::vector a::b ::1 2001:1:2 1:2:3:4:5:6:7:8 2001::1::2 face::cafe", {}),
        ("+49 30 1234567 or +1 (212) 555-0199, +442079460958", {"phones": 3}),
        ("212-555-0199 (212) 555-0199 (212)555-0199 1-800-555-0199 212.555.0199 212 555-0199", {"phones": 6}),
        ("+0123456789, +1234567, 1+12345678, 212-155-0199, 112-555-0199, 212-555-01991, 212.555-0199, 300 200 4000, 2125550199", {}),
        ("4111 1111 1111 1111, 5500-0000-0000-0004, 378282246310005, 3782 822463 10005, 6011111111111117", {"cards": 5}),
        ("30569309025904, 3056 930902 5904, 3530111333300000, 4222222222222", {"cards": 4}),
        ("4111 1111 1111 1112, 4111-1111 1111-1111, 41111111111111111, 1234567812345670, 0000000000000000, 4111111111111111x", {}),
        ("4111 1111 1111 1111 1234 5678", {}),
        ("4111 1111 1111 1111 212-555-0199", {"cards": 1, "phones": 1}),
        ("+49 8.8.8.8", {"public_ips": 1}),
        ("a@b.com.-4111111111111111", {"emails": 1, "cards": 1}),
        ("DE89 3704 0044 0532 0130 00, GB82WEST12345698765432 and FR1420041010050500013M02606.", {"ibans": 3}),
        ("DE89 3704 0044 0532 0130 01 GB82WEST1234569876543 XX82WEST12345698765432 xDE89370400440532013000", {}),
        ("<PHONE> <CARD> <IBAN> email@example.com 192.0.2.1 2001:db8::1", {}),
        ("", {}),
        ("é@ж.com", {}),
        ("电话：212-555-0199。邮箱a@b.cn是“8.8.8.8”", {"phones": 1, "emails": 1, "public_ips": 1}),
        ("a@b.com.5 a@b.com@c.org", {"emails": 1}),
        (None, dict.fromkeys(COLUMNS)),
    ],
)
def test_texts_counted_by_hand(text: str | None, found: dict[str, int | None]) -> None:
    assert _of(text) == found


@given(st.ip_addresses(v=4) | st.ip_addresses(v=4, network="192.0.0.0/8") | st.ip_addresses(v=4, network="100.0.0.0/8"))
def test_public_and_private_v4_are_those_of_the_standard_library(address: ipaddress.IPv4Address) -> None:
    assume(address not in ipaddress.ip_network("192.0.0.0/24"))  # of which releases of Python think differently
    example = any(address in ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))
    column = "public_ips" if address.is_global or address.is_multicast else "private_ips"
    assert _of(f"at {address}, ") == ({} if example else {column: 1})


@given(st.ip_addresses(v=6, network="2000::/3") | st.ip_addresses(v=6, network="fc00::/7") | st.ip_addresses(v=6, network="2001::/20"))
def test_v6_is_found_written_out_and_short(address: ipaddress.IPv6Address) -> None:
    column = "private_ips" if address in ipaddress.ip_network("fc00::/7") else None
    column = column or ("private_ips" if address in ipaddress.ip_network("2001::/23") else None)
    column = column or ("private_ips" if address in ipaddress.ip_network("2002::/16") else "public_ips")
    expected = {} if address in ipaddress.ip_network("2001:db8::/32") else {column: 1}
    assert _of(f"({address.exploded})") == expected
    if not str(address).endswith(":") and re.match("[0-9a-f]{4}:", str(address)):
        assert _of(f"{address} ") == expected


@given(st.text("0123456789", min_size=15, max_size=15))
def test_a_card_has_one_right_last_digit(body: str) -> None:
    right = [digit for digit in "0123456789" if _of(f"4{body[1:]}{digit}") == {"cards": 1}]
    doubled = [int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(f"4{body[1:]}")]
    assert right == [str(-sum(number - 9 * (number > 9) for number in doubled) % 10)]


PARTS = st.sampled_from(
    [
        *(
            "john.doe@mail.com",
            "a@b.co",
            "8.8.8.8",
            "10.0.0.1",
            "2001:4860::8888",
            "fe80::1",
            "+49 30 1234567",
            "+12345678",
            "212-555-0199",
        ),
        *("(212) 555-0199", "4111 1111 1111 1111", "4111111111111111", "DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"),
        *("1234", "22", "2001:", "::", "x", "é", "日", "@", "@x.com", "<", ">", "+", "(", "l" * 60, *PLACEHOLDERS.values()),
    ]
)
TEXTS = st.lists(PARTS | st.text(" .-:@+/()_\n1a", max_size=2), max_size=9).map("".join)


@settings(max_examples=500)
@given(TEXTS | st.text("0123456789 .-:@+()abF", max_size=60) | st.text())
def test_what_is_counted_is_what_is_taken_out_and_nothing_is_left(text: str) -> None:
    before = pii(pl.DataFrame({"text": [text]}))
    (after,), taken = redacted(pl.Series([text]))
    assert taken == {name: before[name][0] for name in COLUMNS if name != "private_ips"}
    left = _of(after)
    assert left == ({"private_ips": before["private_ips"][0]} if before["private_ips"][0] else {})
    assert redacted(pl.Series([after]))[0].to_list() == [after]


def test_redaction_leaves_all_else_as_it_was() -> None:
    texts = [
        "Mail john@corp.com\nor +49 30 1234567!",
        None,
        "nothing",
        "",
        "é8.8.8.8/24, 10.0.0.1, 2a00:1450::1é. 4111 1111 1111 1111\r\n",
        "DE89370400440532013000",
    ]
    given = pl.Series(texts)
    changed, taken = redacted(given)
    assert given.to_list() == texts
    assert changed.to_list() == [
        "Mail email@example.com\nor <PHONE>!",
        None,
        "nothing",
        "",
        "é192.0.2.1/24, 10.0.0.1, 2001:db8::1é. <CARD>\r\n",
        "<IBAN>",
    ]
    assert taken == {"emails": 1, "public_ips": 2, "phones": 1, "cards": 1, "ibans": 1}
    assert redacted(pl.Series([], dtype=pl.String))[0].to_list() == []


def test_megabytes_of_the_same_are_scanned() -> None:
    for character in ("@", "1", "1.", "a.", "+1 ", "2001:", "4111 ", "<", "DE89 "):
        text = character * (2_000_000 // len(character))
        assert set(_of(text)) <= {"phones", "public_ips", "cards"}
