"""A classifier of texts, trained on trusted ones against others, to score the rest (Li et al., "DataComp-LM", arXiv 2406.11794, 4.4)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.digest import row_hash
from curate.errors import PoolError, RecipeError
from curate.model import Made, Weights, model

TEXTS_AT_LEAST = 64
_HELD_OUT_OF_TEN = 1
_BITS_AT_MOST = 26
_Z95 = 1.959964


@model(version=1, reads=["text"], rows=["trusted", "others"])
def quality_classifier(
    trusted: pl.DataFrame, others: pl.DataFrame, *, seed: int = 0, bits: int = 20, epochs: int = 5, rate: float = 0.5
) -> Made:
    """Logistic regression on the mean of hashed words and pairs of words: fastText's bag (Joulin et al., arXiv 1607.01759) without a layer
    between.

    `trusted`: texts one wants more of; `others`: a sample of those to choose from, such as one shard of the pool, or all of it. The trusted
    leave the pool; the others stay, scored a little low for having been learned. Case and punctuation do not count, characters of scripts
    without spaces stand alone; words and pairs share 2^`bits` places. Nine tenths of the texts are learned `epochs` times in a seeded order
    by AdaGrad (Duchi et al., JMLR 12, 2011) at `rate`, the smaller side as often as the larger; a text of both sides is trusted, and
    repeated ones count once. The card holds, for the tenth kept aside by hash of its text: the AUC, its standard error (DeLong et al.,
    Biometrics 44, 1988) and 95% interval. Raises PoolError if fewer than 64 texts of
    either side are left to learn from.
    """
    from filters import _ngrams  # loads a compiler, which no plan needs
    from filters._buffers import flat
    from filters._characters import tables

    if not 1 <= bits <= _BITS_AT_MOST or epochs < 1:
        raise RecipeError(
            f"quality_classifier cannot have bits {bits} and epochs {epochs}",
            where="quality_classifier",
            fix="bits 1 to 26, epochs 1 or more",
        )
    good = trusted["text"].drop_nulls().unique(maintain_order=True)
    rest = others["text"].drop_nulls().unique(maintain_order=True)
    rest = rest.filter(~rest.is_in(good.implode()))
    texts = pl.concat([good, rest])
    labels = np.repeat([1.0, 0.0], [len(good), len(rest)])
    aside = np.array([row_hash([b"held out", text.encode()])[0] % 10 < _HELD_OUT_OF_TEN for text in texts], bool)
    sides = [np.flatnonzero(~aside & (labels == label)) for label in (1.0, 0.0)]
    if min(side.size for side in sides) < TEXTS_AT_LEAST:
        raise PoolError(
            f"a quality classifier needs at least {TEXTS_AT_LEAST} different texts of each side to learn from; there are {sides[0].size} "
            f"trusted and {sides[1].size} others",
            fix="give it more rows",
        )
    data, offsets = flat(texts)
    folded, kinds = tables(case=False, punctuation=False, form="")
    weights, bias, loss = _ngrams.trained(data, offsets, folded, kinds, bits, labels, _order(sides, seed, epochs), rate)
    scale = max(float(np.abs(weights).max()), 1e-9) / np.iinfo(np.int16).max
    kept = {"gains": np.rint(weights / scale).astype(np.int16), "bias": np.array([bias]), "scale": np.array([scale])}
    card: dict[str, Any] = {
        "architecture": {"classifier": "hashed words and pairs", "bits": bits},
        "training": {"seed": seed, "epochs": epochs, "rate": rate, "last_loss": loss},
        "rows": {
            "trusted": len(good),
            "others": len(rest),
            "trained_on": int((~aside).sum()),
            "held_out": int(aside.sum()),
        },
        "licence": "that of the texts it was trained on",
    }
    scores = load(kept, card)(texts.filter(aside)).to_numpy()
    told = np.isfinite(scores)
    card["held_out"] = _auc(scores[told & (labels[aside] == 1.0)], scores[told & (labels[aside] == 0.0)])
    return Made(kept, card)


@quality_classifier.loader
def load(weights: Weights, card: dict[str, Any]) -> Callable[[pl.Series], pl.Series]:
    """Gives texts the logarithm of the odds that they are trusted ones, Float64; null where a text has no word or is null."""
    from filters import _ngrams
    from filters._buffers import flat
    from filters._characters import tables

    gains, bits = np.asarray(weights["gains"]), card["architecture"]["bits"]
    bias, scale = float(weights["bias"][0]), float(weights["scale"][0])
    folded, kinds = tables(case=False, punctuation=False, form="")

    def score(texts: pl.Series) -> pl.Series:
        data, offsets = flat(texts)
        sums, counts = _ngrams.summed(data, offsets, folded, kinds, gains, bits)
        odds = pl.DataFrame({"sum": sums, "count": counts})
        return odds.select(pl.when(pl.col("count") > 0).then(bias + pl.col("sum") * scale / pl.col("count"))).to_series()

    return score


def _order(sides: list[npt.NDArray[np.int64]], seed: int, epochs: int) -> npt.NDArray[np.int64]:
    """The texts as they are learned: in every epoch all of the larger side, and as many of the smaller, over and over."""
    draw = np.random.default_rng(seed)
    most = max(side.size for side in sides)
    parts = []
    for _ in range(epochs):
        mixed = np.concatenate([np.resize(draw.permutation(side), most) for side in sides])
        parts.append(draw.permutation(mixed))
    return np.concatenate(parts)


def _auc(good: npt.NDArray[np.float64], rest: npt.NDArray[np.float64]) -> dict[str, Any]:
    """How often a trusted text scores higher than another, ties half; its standard error needs two of each side."""
    if good.size < 2 or rest.size < 2:
        return {"trusted": good.size, "others": rest.size, "auc": None, "standard_error": None, "low": None, "high": None}
    below, above = _above(good, rest), 1.0 - _above(rest, good)  # each text's share of the other side that it is told from
    auc, error = float(below.mean()), float(np.sqrt(below.var(ddof=1) / good.size + above.var(ddof=1) / rest.size))
    low, high = max(auc - _Z95 * error, 0.0), min(auc + _Z95 * error, 1.0)
    rounded = {"auc": auc, "standard_error": error, "low": low, "high": high}
    return {"trusted": good.size, "others": rest.size, **{name: round(value, 4) for name, value in rounded.items()}}


def _above(these: npt.NDArray[np.float64], those: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """For each of `these` the share of `those` that is smaller, and half of what is equal."""
    ordered = np.sort(those)
    both = np.searchsorted(ordered, these, "left") + np.searchsorted(ordered, these, "right")
    share: npt.NDArray[np.float64] = both / (2.0 * those.size)
    return share
