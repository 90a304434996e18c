"""How large an image is, from its header alone."""

import polars as pl

from curate.signal import signal
from filters._image import ImageError, shape


@signal(version=1, reads=["image"], writes={"width": pl.UInt32, "height": pl.UInt32, "aspect": pl.Float32}, uses=["pillow"])
def image_shape(batch: pl.DataFrame) -> pl.DataFrame:
    """Width and height in pixels, as shown (EXIF orientation applied), and aspect = longer / shorter side, at least 1.

    Nothing is decoded: a file cut off after its header still has a shape. A null image has none. Errors: not_an_image, broken_image,
    too_large (more than 178,956,970 pixels).
    """
    rows = [_measured(data) for data in batch["image"]]
    sizes = pl.DataFrame(rows, schema={"width": pl.UInt32, "height": pl.UInt32, "error": pl.String}, orient="row")
    longer, shorter = pl.max_horizontal("width", "height"), pl.min_horizontal("width", "height")
    return sizes.with_columns(aspect=(longer / shorter).cast(pl.Float32)).select("width", "height", "aspect", "error")


def _measured(data: bytes | None) -> tuple[int | None, int | None, str | None]:
    if data is None:
        return None, None, None
    try:
        return *shape(data), None
    except ImageError as error:
        return None, None, error.code
