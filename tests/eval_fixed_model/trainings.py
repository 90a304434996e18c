"""Small trainings for the tests, importable by the processes that run them."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from open_clip.model import CLIP
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from eval_fixed_model.models.byte_ngrams import ByteNgramModel
from eval_fixed_model.rows.images import Rows
from eval_fixed_model.scale import ImageTextScale, TextScale, load_scale
from eval_fixed_model.training.checkpoint import Keep
from eval_fixed_model.training.gang import Gang, joined
from eval_fixed_model.training.gradients import Batch, Objective, accumulate
from eval_fixed_model.training.images import Exact, contrastive, train
from eval_fixed_model.training.place import Place
from eval_fixed_model.training.steps import fit, weights_digest


class TinyViT(nn.Module):
    """open_clip's own model, of tiny width, on the rows that the tests have: 16 pixels, 8 tokens below 512."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        vision = {"layers": 2, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 16, "patch_dropout": dropout}
        text = {"layers": 1, "width": 32, "heads": 2, "context_length": 8, "vocab_size": 512}
        self.clip = CLIP(16, vision, text)

    def forward(self, images: Tensor, tokens: Tensor) -> Any:
        pixels = (images / 127.5 - 1).to(self.clip.logit_scale.dtype) if images.dtype == torch.uint8 else images
        return self.clip(pixels, tokens)


def tiny_vit(dropout: float = 0.0) -> TinyViT:
    torch.manual_seed(0)
    return TinyViT(dropout)


def decoder() -> ByteNgramModel:
    scale = load_scale("tiny-text")
    assert isinstance(scale, TextScale)
    torch.manual_seed(0)
    return ByteNgramModel(scale.model.model_copy(update={"width": 16, "inner": 32, "rows": 64}), scale.tokens)


def next_token() -> Objective:
    """The mean over rows of what each next token costs: a loss that every row has by itself."""

    def outputs(network: nn.Module, tokens: Tensor) -> tuple[Tensor]:
        logits = network(tokens)
        return (nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()),)

    return Objective(outputs)


class Documents:
    """Sequences as a feed; the same for everybody."""

    digest = "documents"

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def batches(self, first: int, share: slice) -> Iterator[Batch]:
        step = first
        while True:
            yield (torch.from_numpy(np.random.default_rng(step).integers(97, 105, (self.batch, 8)))[share],)
            step += 1


class Asked(NamedTuple):
    """`rows` as a folder, or open already: Polars, which reads a part of it, does not survive a fork."""

    scale: Path
    rows: Path | Rows
    micro: int | None = None

    def opened(self) -> tuple[ImageTextScale, Rows]:
        scale = load_scale(self.scale)
        assert isinstance(scale, ImageTextScale)
        return scale, self.rows if isinstance(self.rows, Rows) else Rows.open(self.rows)


def gradients(network: nn.Module, batch: Batch, objective: Objective, micro: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Of one batch, in float64: the loss and the gradient of every parameter."""
    inner = network.module if isinstance(network, DistributedDataParallel) else network
    inner.zero_grad()
    loss = accumulate(network, batch, objective, micro, nullcontext, "draw")
    return loss, {name: one.grad.clone() for name, one in inner.named_parameters() if one.grad is not None}


def pairs(rows: int = 12) -> Batch:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(rows, 3, 16, 16, generator=generator, dtype=torch.float64)
    return images, torch.randint(1, 512, (rows, 8), generator=generator)


def of_a_gang(asked: Asked) -> dict[str, Any]:
    """What one process of a gang finds: gradients of a batch in pieces, and two trainings, of pairs and of documents."""
    gang = Gang.here()
    found: dict[str, Any] = {}
    for name, network, batch, objective in (
        ("pairs", tiny_vit().double(), pairs(), contrastive(gang)),
        ("documents", decoder().double(), next(Documents(12).batches(0, slice(None))), next_token()),
    ):
        wrapped = Place().wrapped(network, gang)
        loss, found[f"gradients of {name}"] = gradients(wrapped, tuple(part[gang.share(12)] for part in batch), objective, 2)
        found[f"loss of {name}"] = float(gang.mean(loss))
    scale, rows = asked.opened()
    for name, network, feed, objective in (
        ("pairs", tiny_vit(), Exact(scale, rows, np.arange(150), 0), contrastive(gang)),
        ("documents", decoder(), Documents(scale.batch), next_token()),
    ):
        record = fit(scale, network, feed, objective, 0, place=Place(micro=asked.micro))
        found[f"training on {name}"] = record, {key: value.numpy() for key, value in network.state_dict().items()}
    return found


def killed(asked: Asked, folder: Path) -> list[list[str]]:
    """One training, ended by SIGKILL at two steps and while it writes a checkpoint, and begun again each time: what it says last."""
    scale, rows = asked.opened()

    def end(_: Any = None) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def half_written(_: Any, file: Any) -> None:
        file.write(b"half")
        file.flush()
        end()

    def attempt(dies_at: int) -> None:
        if dies_at == 0:
            torch.save = half_written
        network, record = train(scale, rows, np.arange(100), 0, keep=Keep(folder, steps=5), visits={dies_at: end})
        (folder / "said").write_text(json.dumps([weights_digest(network), record["resumed at"], record["loss"]]))

    statuses = [_forked(attempt, dies_at) for dies_at in (13, 29, 0, scale.steps + 1)]
    return [statuses, json.loads((folder / "said").read_text())]


def two(asked: Asked, folder: Path) -> None:
    """Two processes that are joined."""

    opened = Asked(asked.scale, asked.opened()[1], asked.micro)

    def member(rank: int) -> None:
        with joined(rank, 2, folder):
            found = of_a_gang(opened)
        if rank == 0:
            torch.save(found, folder / "found.pt")

    child = os.fork()
    if child == 0:
        member(1)
        os._exit(0)
    member(0)
    assert os.waitpid(child, 0)[1] == 0


def _forked(work: Any, *given: Any) -> int:
    """How a child ended: 0, or minus the signal."""
    if (child := os.fork()) == 0:
        work(*given)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    # One interpreter for both: it forks, so that torch is imported once.
    place = Path(sys.argv[1])
    (place / "kept").mkdir()
    (place / "killed.json").write_text(json.dumps(killed(Asked(Path(sys.argv[2]), Path(sys.argv[3])), place / "kept")))
    two(Asked(Path(sys.argv[4]), Path(sys.argv[5]), 24), place)
