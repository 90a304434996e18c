import polars as pl

from curate.content import content

ROWS = {"image": [b"x", b"x", None, None, None, b""], "text": ["a", "b", "a", "b", None, None]}


def test_the_image_decides_else_the_text():
    keys = content(pl.DataFrame(ROWS, schema={"image": pl.Binary, "text": pl.String}))["key"].to_list()
    assert keys[0] == keys[1]
    assert keys[4] is None
    assert len(set(keys)) == 5
    assert all(len(key) == 16 for key in keys if key is not None)


def test_an_image_is_never_the_same_as_a_text_of_the_same_bytes():
    rows = pl.DataFrame({"image": [b"a", None], "text": [None, "a"]}, schema={"image": pl.Binary, "text": pl.String})
    assert content(rows)["key"].n_unique() == 2
