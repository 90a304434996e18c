"""The judges of images and texts, which speak open_clip's interface (encode_image, encode_text, logit_scale): our own small one, or its."""

from typing import TYPE_CHECKING

from eval_fixed_model.scale import ImageTextScale

if TYPE_CHECKING:
    from eval_fixed_model.models.open_clip import OpenClipJudge
    from eval_fixed_model.models.tiny_conv_bag import TinyConvBag


def build(scale: ImageTextScale, seed: int) -> "TinyConvBag | OpenClipJudge":
    """The scale's model with the initial weights of this seed; the caller's random state is left as it was."""
    import torch

    from eval_fixed_model.models.open_clip import OpenClipJudge
    from eval_fixed_model.models.tiny_conv_bag import TinyConvBag

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if scale.model.name == "open_clip":
            return OpenClipJudge(scale.model, scale.image, scale.tokens)
        return TinyConvBag(scale.model, scale.image, scale.tokens)
