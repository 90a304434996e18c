"""A causal text tower reads a text only as far as its end: numbers behind it change nothing, and need not be computed."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from filters._matcher import whole

if TYPE_CHECKING:
    from torch import Tensor

LENGTHS = (16, 32)
"""Texts of up to so many numbers are encoded at this length, others at the whole context: few lengths, so that batches fill."""


def texts_of(model: Any) -> "tuple[Callable[[Tensor], npt.NDArray[np.int64]], Callable[[Tensor], Tensor]]":
    """`Matcher.lengths` and `Matcher.encode_text` of an open_clip model; the whole context where its tower is of another kind.

    Every position attends only to those before it, and the features are those at the end of the text (Radford et al., arXiv 2103.00020).
    """
    import open_clip as library
    import torch

    tower, prefix = (model.text, "text.") if hasattr(model, "text") else (model, "")
    pool = getattr(tower, "pool_type", getattr(tower, "text_pool_type", None))
    mask = getattr(tower, "attn_mask", None)
    bare = not getattr(tower, "use_pad_mask", False) and getattr(tower, "cls_emb", None) is None
    if not isinstance(model, library.CLIP | library.CustomTextCLIP) or pool not in ("argmax", "eos") or not bare or not _causal(mask):
        return whole, model.encode_text
    end: int = getattr(tower, "eos_id", getattr(tower, "text_eos_id", 0))

    def lengths(tokens: "Tensor") -> npt.NDArray[np.int64]:
        ends = (tokens.eq(end).int() if pool == "eos" else tokens).argmax(dim=-1)
        context = tokens.shape[1]
        few = np.array([*[length for length in LENGTHS if length < context], context], np.int64)
        return few[np.searchsorted(few, ends.numpy() + 1)]

    def encode(tokens: "Tensor") -> "Tensor":
        length = tokens.shape[1]
        cut = {
            f"{prefix}positional_embedding": tower.positional_embedding[:length],
            f"{prefix}attn_mask": tower.attn_mask[:length, :length],
        }
        features: Tensor = torch.func.functional_call(model, cut, kwargs={"text": tokens})[1]
        return features

    return lengths, encode


def _causal(mask: Any) -> bool:
    import torch

    return torch.is_tensor(mask) and mask.ndim == 2 and bool((torch.isneginf(mask) == torch.ones_like(mask).triu(1).bool()).all())
