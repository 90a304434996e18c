import polars as pl

from filters.exact_duplicate import exact_duplicate

SCHEMA = {"image": pl.Binary, "text": pl.String}


def _keys(*rows: tuple[bytes | None, str | None]) -> list[bytes | None]:
    return exact_duplicate.sketch(pl.DataFrame(rows, schema=SCHEMA, orient="row"))["key"].to_list()


def test_the_image_alone_decides_where_there_is_one() -> None:
    one, same_image, same_text = _keys((b"picture", "a"), (b"picture", "b"), (b"other", "a"))
    assert one == same_image != same_text


def test_without_images_the_text_decides_to_the_byte() -> None:
    one, same, other_case, composed = _keys((None, "é"), (None, "é"), (None, "É"), (None, "e\u0301"))
    assert one == same
    assert len({one, other_case, composed}) == 3


def test_a_text_never_equals_an_image_of_the_same_bytes() -> None:
    image, text = _keys((b"same", None), (None, "same"))
    assert image != text


def test_nothing_has_no_key_but_empty_content_has() -> None:
    nothing, empty_text, empty_image = _keys((None, None), (None, ""), (b"", None))
    assert nothing is None
    assert empty_text is not None
    assert empty_image not in (None, empty_text)


def test_ten_megabytes_and_nul_bytes_count_to_the_last() -> None:
    long = b"\0" * 10_000_000
    one, same, shorter = _keys((long, None), (long + b"", None), (long[:-1], None))
    assert one == same != shorter


def test_there_are_no_links_only_equal_keys() -> None:
    assert exact_duplicate.links is None
    assert exact_duplicate.threshold == 1.0
