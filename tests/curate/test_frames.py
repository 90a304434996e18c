import polars as pl
import pytest
from polars.testing import assert_frame_equal

from curate import frames
from curate.errors import StoreError

FRAME = pl.DataFrame(
    {
        "row": [0, 1, 2],
        "score": [0.5, None, -1.0],
        "key": [b"\x00", None, b"\xff" * 20],
        "code": ["en", None, "ü"],
        "flag": [True, None, False],
    },
    schema={"row": pl.UInt64, "score": pl.Float32, "key": pl.Binary, "code": pl.String, "flag": pl.Boolean},
)


@pytest.mark.parametrize("frame", [FRAME, FRAME.clear(), FRAME.select("row")])
def test_frames_come_back_as_they_were(frame):
    assert_frame_equal(frames.from_bytes(frames.to_bytes(frame), where="x"), frame)


def test_classes_are_stored_as_their_text():
    frame = pl.DataFrame({"class": pl.Series(["b", None, "a"], dtype=pl.Enum(["b", "a"]))})
    back = frames.from_bytes(frames.to_bytes(frame), where="x")
    assert_frame_equal(back, frame.cast(pl.String))
    assert_frame_equal(back.cast(frame.schema), frame)


def test_only_the_columns_asked_for():
    assert frames.from_bytes(frames.to_bytes(FRAME), where="x", columns=["score"]).columns == ["score"]


def test_damage_is_found_in_every_page():
    data = bytes(frames.to_bytes(FRAME))
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for place in range(4, footer):
        harmed = data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
        found = read_or_error(harmed)
        assert isinstance(found, StoreError) or found.equals(FRAME)
        assert isinstance(found, pl.DataFrame) or (found.where == "STORE/part" and "delete" in found.fix)
    with pytest.raises(StoreError, match="a stored file is damaged"):
        frames.from_bytes(data[: len(data) // 2], where="STORE/part")


def read_or_error(data):
    try:
        return frames.from_bytes(data, where="STORE/part")
    except StoreError as error:
        return error
