import json

import pytest

from curate.errors import StoreError
from curate.seal import is_sealed, sealed, unsealed

VALUE = {"b": [1, None, "ü\u2028"], "a": {10: 1.5, 9: "x"}, "c": True}


def test_a_record_comes_back_without_its_seal():
    data = sealed(VALUE)
    assert is_sealed(data)
    assert unsealed(data, where="x") == json.loads(json.dumps(VALUE))
    assert sealed(unsealed(data, where="x")) == data


def test_every_flipped_bit_is_seen():
    data = sealed(VALUE)
    for place in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            try:
                value = unsealed(bytes(flipped), where="x")
            except StoreError:
                continue
            assert not is_sealed(bytes(flipped)), (place, bit)  # the name of the seal was hit: `verify` misses the seal
            assert value != VALUE


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, sealed(VALUE)[:-1], sealed(VALUE) + b" "])
def test_what_is_no_record_is_refused(data):
    with pytest.raises(StoreError, match="a stored record is damaged"):
        unsealed(data, where="x")


def test_lists_and_records_of_before_have_no_seal():
    assert sealed([1, 2]) == b"[1,2]"
    assert unsealed(b'{"a":1}', where="x") == {"a": 1}
    assert not is_sealed(b'{"a":1}')
