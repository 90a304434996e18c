"""What an image-text model is to a signal."""

from typing import Any, NamedTuple


class Matcher(NamedTuple):
    """What `clip_score` uses: `model` with encode_image, encode_text and logit_scale; `preprocess`, image bytes to a (3, h, w) float
    tensor (raises ImageError); `tokenize`, n texts to an (n, context) tensor of numbers."""

    model: Any
    preprocess: Any
    tokenize: Any
