"""How well a text describes its image, by an image-text model."""

from typing import TYPE_CHECKING, Any

import polars as pl

from curate.model import loaded
from curate.signal import ModelRef, signal
from filters._image import ImageError
from filters._torch import steady

if TYPE_CHECKING:
    from torch import Tensor


@signal(version=1, reads=["image", "text"], writes={"score": pl.Float32}, uses=["torch", "open_clip_torch", "pillow"], batch=64)
def clip_score(batch: pl.DataFrame, *, model: ModelRef) -> pl.DataFrame:
    """Cosine, in [-1, 1], of the model's image and text features (CLIPScore without its rescaling; Hessel et al., arXiv 2104.08718).

    Rows are encoded at the fixed shape of the batch, on one thread: a score depends on its own row, the model and the device kind.
    A row without image or text has no score. Errors, for the image: not_an_image, too_large, truncated_image, broken_image.
    """
    matcher = loaded(model)
    images, errors = _preprocessed(batch["image"], matcher.preprocess)
    measured = [image is not None and text is not None for image, text in zip(images, batch["text"], strict=True)]
    scores = _cosines(matcher, images, batch["text"].fill_null("").to_list()) if any(measured) else [0.0] * batch.height
    return pl.DataFrame(
        {"score": [score if there else None for score, there in zip(scores, measured, strict=True)], "error": errors},
        schema={"score": pl.Float32, "error": pl.String},
    )


def _preprocessed(column: pl.Series, preprocess: Any) -> "tuple[list[Tensor | None], list[str | None]]":
    """Each row's image as the model wants it and its error code; equal bytes are decoded once."""
    made: dict[bytes | None, tuple[Tensor | None, str | None]] = {None: (None, None)}
    data = column.to_list()
    for image in data:
        if image not in made:
            try:
                made[image] = (preprocess(image), None)
            except ImageError as error:
                made[image] = (None, error.code)
    return [made[image][0] for image in data], [made[image][1] for image in data]


def _cosines(matcher: Any, images: "list[Tensor | None]", texts: list[str]) -> list[float]:
    import torch

    blank = torch.zeros_like(next(image for image in images if image is not None))
    with steady(), torch.inference_mode():
        stacked = torch.stack([blank if image is None else image for image in images])
        image = torch.nn.functional.normalize(matcher.model.encode_image(stacked).to(torch.float32), dim=-1)
        text = torch.nn.functional.normalize(matcher.model.encode_text(matcher.tokenize(texts)).to(torch.float32), dim=-1)
        cosine: list[float] = (image * text).sum(-1).clamp(-1.0, 1.0).tolist()
        return cosine
