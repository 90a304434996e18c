"""The judges: small models of our own that speak open_clip's interface (encode_image, encode_text, logit_scale)."""

from typing import TYPE_CHECKING

from curate.errors import CeterisError
from eval_fixed_model.scale import ImageTextScale

if TYPE_CHECKING:
    from eval_fixed_model.models.tiny_conv_bag import TinyConvBag


def build(scale: ImageTextScale, seed: int) -> "TinyConvBag":
    """The scale's model with the initial weights of this seed; the caller's random state is left as it was."""
    import torch

    from eval_fixed_model.models.tiny_conv_bag import TinyConvBag

    if scale.model.name != "tiny_conv_bag":
        raise CeterisError(f"scale {scale.name}: no model is called {scale.model.name}", fix="name a scale whose model is built here")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TinyConvBag(scale.model, scale.image, scale.tokens)
