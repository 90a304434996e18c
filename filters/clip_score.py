"""How well a text describes its image, by an image-text model."""

import polars as pl

from curate.signal import ModelRef, signal
from filters._encode import encoded
from filters._torch import device_kind


@signal(
    version=2,  # batches of 16, texts in batches of their length: other last bits than version 1
    reads=["image", "text"],
    writes={"score": pl.Float32},
    uses=["torch", "open_clip_torch", "pillow"],
    device=device_kind,
    tolerance=1e-5,
)
def clip_score(batch: pl.DataFrame, *, model: ModelRef, device: str = "auto") -> pl.DataFrame:
    """Cosine, in [-1, 1], of the model's image and text features (CLIPScore without its rescaling; Hessel et al., arXiv 2104.08718).

    A score depends on its own row, the model and the kind of device: float32 on a processor, where it is open_clip's own within 1e-5,
    bfloat16 autocast on a GPU. `device`: auto, cpu, cuda, or the workers' kind, as cuda-9.0. A row without image or text has no score.
    Errors, for the image: not_an_image, too_large, truncated_image, broken_image.
    """
    texts = batch["text"].to_list()
    made = encoded(model, batch["image"].to_list(), texts, device, "clip_score")
    cosines = (made.image * made.text).sum(axis=1).clip(-1.0, 1.0).tolist()
    there = [seen and text is not None for seen, text in zip(made.seen, texts, strict=True)]
    return pl.DataFrame(
        {"score": [score if known else None for score, known in zip(cosines, there, strict=True)], "error": made.error},
        schema={"score": pl.Float32, "error": pl.String},
    )
