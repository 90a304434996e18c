import random

import polars as pl
import pytest

from filters.compression import compression


def _of(text: str | None, **parameters: object) -> tuple[object, ...]:
    return compression(pl.DataFrame({"text": pl.Series([text], dtype=pl.String)}), **parameters).row(0)


@pytest.mark.parametrize("text", [None, ""])
def test_nothing_has_no_ratio(text: str | None) -> None:
    assert _of(text) == (None if text is None else 0, None, None)


@pytest.mark.parametrize("text", ["one", "\0", "日本"])
def test_a_few_bytes_stay_as_they_are_in_a_frame_of_eight(text: str) -> None:
    # RFC 1950: 2 bytes of header, 4 of checksum; one block of fixed codes takes 3 bits, and 7 to end; a byte up to 143 takes 8, others 9.
    size = len(text.encode())
    bits = 3 + sum(8 if byte <= 143 else 9 for byte in text.encode()) + 7
    assert _of(text) == (size, size / (6 + -(-bits // 8)), None)


def test_repetition_compresses_and_noise_does_not() -> None:
    draw = random.Random(0)
    letters = "".join(draw.choices("abcdefghijklmnop", k=4_000))  # 4 bits of 8
    words = " ".join(draw.choices(["time", "and", "again", "the", "same", "words"], k=800))
    lines = "the same line\n" * 300
    ratios = [_of(text)[1] for text in (letters, words, lines)]
    assert ratios == sorted(ratios)
    assert 1.7 < ratios[0] <= 2.0
    assert ratios[2] > 50


def test_another_level_compresses_otherwise() -> None:
    text = " ".join(random.Random(1).choices(["time", "and", "again", "the", "same", "words", "over"], k=2_000))
    assert _of(text, level=9)[1] > _of(text, level=1)[1]
    assert _of(text, level=0)[1] < 1


def test_ten_megabytes_are_compressed() -> None:
    size, ratio, _ = _of("x" * 10_000_000)
    assert size == 10_000_000
    assert 900 < ratio < 1_033  # DEFLATE cannot do better than 1 to 1,032
