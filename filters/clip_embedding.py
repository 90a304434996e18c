"""What an image-text model makes of each image and each text: from these follow scores, clusters and semantic duplicates."""

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.signal import ModelRef, signal
from filters._encode import encoded
from filters._torch import device_kind


@signal(
    version=1,
    reads=["image"],
    optional=["text"],
    writes={"image": pl.Binary, "text": pl.Binary},
    uses=["torch", "open_clip_torch", "pillow"],
    vectors=["image", "text"],
    device=device_kind,
)
def clip_embedding(batch: pl.DataFrame, *, model: ModelRef, device: str = "auto") -> pl.DataFrame:
    """The model's features of unit length, each as the bytes of a little-endian float16 vector; null where there is no image or no text.

    `np.frombuffer(value, "<f2")` reads one; the product of a row's two, summed, is its `clip_score` within .001. `device` and errors are
    as for `clip_score`.
    """
    texts = batch["text"].to_list()
    made = encoded(model, batch["image"].to_list(), texts, device, "clip_embedding")
    columns = {"image": _stored(made.image, made.seen.tolist()), "text": _stored(made.text, [text is not None for text in texts])}
    return pl.DataFrame({**columns, "error": pl.Series(made.error, dtype=pl.String)})


def _stored(features: npt.NDArray[np.float32], there: list[bool]) -> pl.Series:
    halves = features.astype("<f2")
    return pl.Series([half.tobytes() if known else None for half, known in zip(halves, there, strict=True)], dtype=pl.Binary)
