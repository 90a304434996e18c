"""An image-text network trained on trusted pairs, to score others: a data filtering network (Fang et al., arXiv 2309.17425)."""

from typing import Any

import numpy as np
import polars as pl

from curate.digest import row_hash
from curate.errors import PoolError, RecipeError
from curate.model import Made, Weights, model
from filters._matcher import Matcher, whole
from filters._refused import refuse_rows
from filters._torch import device_kind, placed, steady

PAIRS_AT_LEAST = 64
TINY = "tiny"
_HELD_OUT_OF_TEN = 1
_RATE = {TINY: 3e-3, "": 5e-4}  # docs/log.md; Radford et al., arXiv 2103.00020, table 20


@model(version=2, reads=["image", "text"], rows=["trusted"], files=("initial", "config", "refuse"))
def filter_network(
    rows: pl.DataFrame,
    *,
    seed: int = 0,
    architecture: str = TINY,
    config: str | None = None,
    initial: str | None = None,
    samples: int = 25_600,
    batch: int = 64,
    at_once: int = 0,
    rate: float | None = None,
    decay: float = 0.1,
    roll: int = 2,
    resolution: int = 32,
    width: int = 16,
    embed: int = 128,
    device: str = "auto",
    refuse: str | None = None,
) -> Made:
    """Train both towers contrastively on `samples` pairs drawn without replacement, epoch by epoch, from nine tenths of `rows`.

    `architecture`: tiny, a small network of our own (`resolution`, `width` and `embed` are its), or any of open_clip's, with its own
    tokeniser, preprocessing and loss; with `config`, a JSON file like open_clip's own, a name of yours. `initial` weights of those: a tag
    or a checkpoint file, as for `open_clip`; random ones by `seed` unless given. `rate` is 3e-3 for the tiny one, 5e-4 for the others.

    AdamW (betas .9, .98), 10% warm-up then cosine, gradient norm clipped at 1, images rolled by up to `roll` pixels. `at_once` of a batch
    go through the network at a time, all unless given: less memory, the same gradients, but where batches are normalised or units dropped.
    Pixels of up to 1 GiB stay in memory; beyond that, those of four batches, and images are decoded each time they are used.
    On a processor on one thread with deterministic kernels: the same rows and seed give bit-identical weights on one device kind.
    `device`: auto, cpu or cuda (bfloat16 autocast); the tiny one takes a GPU only where `device` is cuda.

    `refuse`: evaluation images (an image, a Parquet file with a column `image`, or a folder of such) that training must not see: equal
    files or equal pixels among `rows` are an error. The card holds, for the tenth kept aside by hash of its images: image-to-text retrieval
    R@1, its chance level, and the AUC of matched against shuffled pairs.

    Raises PoolError if fewer than 64 pairs, or than `batch`, can be read, RecipeError for parameters that cannot be, and CeterisError as
    `open_clip` does.
    """
    import torch

    from filters._training import Course, Pairs, quality, train

    tiny = architecture == TINY
    numbers = {"samples": samples, "batch": batch, "at_once": at_once, "roll": roll, "resolution": resolution, "width": width}
    _check(tiny, config=config, initial=initial, rate=rate, decay=decay, embed=embed, **numbers)
    if refuse is not None:
        refuse_rows(rows, refuse)
    course = Course(samples, batch, at_once, rate or _RATE[TINY if tiny else ""], decay, 1e-8 if tiny else 1e-6, roll)
    kind = "" if tiny and device == "auto" else device_kind(device)
    place = placed(kind)
    with steady(strict=not kind), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        matcher, described, source, licence = _begun(tiny, architecture, config, initial, seed, (resolution, width, embed))
        pairs = Pairs(matcher, rows["image"].to_list(), rows["text"].to_list())
        aside = np.array([row_hash([b"held out", image])[0] % 10 < _HELD_OUT_OF_TEN for image in pairs.images], dtype=bool)
        learn, test = np.flatnonzero(~aside), np.flatnonzero(aside)
        if learn.size < max(PAIRS_AT_LEAST, batch):
            raise PoolError(
                f"a filter network needs at least {max(PAIRS_AT_LEAST, batch)} readable trusted pairs; there are {learn.size}",
                fix="give it more trusted rows",
            )
        loss = train(matcher, pairs, learn, course, place, architecture, _loss(tiny))
        held_out = quality(matcher, pairs, test, place)
    state = {name: tensor.detach().cpu() for name, tensor in matcher.model.state_dict().items()}
    weights = {name: tensor.numpy() for name, tensor in state.items() if tensor.is_floating_point() or not tiny}
    card = {
        "architecture": described,
        "training": {
            **{"seed": seed, "samples": samples, "batch": batch, "at_once": at_once, "rate": course.rate, "decay": decay, "roll": roll},
            **{"initial": source, "device": kind or "cpu", "last_loss": loss},
        },
        "rows": {"given": rows.height, "unreadable": rows.height - len(pairs.images), "trained_on": learn.size, "held_out": test.size},
        "held_out": held_out,
        "parameters": sum(p.numel() for p in matcher.model.parameters()),
        "licence": "that of the trusted rows it was trained on" + (f"; of what it began from: {licence}" if initial else ""),
    }
    return Made(weights, card)


@filter_network.loader
def load(weights: Weights, card: dict[str, Any]) -> Matcher:
    """The frozen towers with their own preprocessing and tokeniser."""
    shape = card["architecture"]
    if "preprocess" in shape:
        from filters._open_clip import matcher, thawed

        return matcher(thawed(shape, weights).eval().requires_grad_(False), shape)
    import torch

    from filters._tower import Towers

    towers = Towers(shape["resolution"], shape["width"], shape["embed"])
    state = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
    counters = {name: tensor for name, tensor in towers.state_dict().items() if not tensor.is_floating_point()}
    towers.load_state_dict({**state, **counters})
    return _tiny(towers.eval().requires_grad_(False), shape["resolution"])


def _begun(
    tiny: bool, name: str, config: str | None, initial: str | None, seed: int, shape: tuple[int, int, int]
) -> tuple[Matcher, dict[str, Any], str, str]:
    """A network to train, what describes it, where its weights come from, and their licence."""
    if not tiny:
        from filters._open_clip import matcher, started

        made, described, source, licence = started(name, config, initial, seed)
        return matcher(made, described), described, source, licence
    from filters._tower import Towers

    resolution, width, embed = shape
    described = {"towers": "filter_network", "resolution": resolution, "width": width, "embed": embed}
    return _tiny(Towers(resolution, width, embed), resolution), described, "random weights", ""


def _tiny(towers: Any, side: int) -> Matcher:
    from filters._tower import pixels_of, scaled, tokenize

    shape, seeing = (3, side, side), {"squeezed": side}
    return Matcher(towers, shape, seeing, lambda image: pixels_of(image, side), scaled, tokenize, whole, towers.encode_text)


def _loss(tiny: bool) -> Any:
    if not tiny:
        from open_clip import ClipLoss

        return ClipLoss()
    from filters._training import symmetric_loss

    return symmetric_loss


def _check(tiny: bool, *, config: str | None, initial: str | None, rate: float | None, decay: float, **numbers: int) -> None:
    if tiny and (config or initial):
        what = "the tiny architecture takes neither config nor initial weights"
        raise RecipeError(what, where="filter_network", fix="give `architecture:` a name: one of open_clip's, or with config one of yours")
    wrong = [name for name, value in numbers.items() if value < (0 if name in ("at_once", "roll") else 1)]
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0):
        wrong.append("rate")
    if not decay >= 0:
        wrong.append("decay")
    if tiny and numbers["resolution"] % 8:
        wrong.append("resolution")
    if wrong:
        fix = "all are positive, at_once, roll and decay also 0; the tiny one's resolution is a multiple of 8"
        raise RecipeError(f"filter_network: {wrong[0]} cannot be that", where="filter_network", fix=fix)
