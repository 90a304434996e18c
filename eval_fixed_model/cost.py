"""What one training under a scale costs, known before any of it runs: parameters, arithmetic, memory, and time on a device.

A floating-point operation (FLOP) is an addition or a multiplication: a multiply-accumulate (MAC) is two. Matrix products, convolutions and
attention are counted, as PyTorch's counter counts them: attention over the whole square of positions, masked or not. Norms, activations,
look-ups and the contrastive loss are left out (the loss is 0.2% of datacomp-xlarge). Backward is twice forward.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from curate.digest import digest_of
from curate.errors import CeterisError
from eval_fixed_model.loops import loop_of
from eval_fixed_model.records import Llama
from eval_fixed_model.scale import ImageTextScale, Scale, TextScale

STATE = 4 + 4 + 8
"""Bytes a parameter: its weight, its gradient and AdamW's two moments, all float32."""
CAST = 2
"""Bytes a parameter under bfloat16: the copy that autocast keeps during a step."""
ROOM = 0.9
"""The share of a device's memory that is planned with: allocators and kernels need the rest."""
MEASURED_BELOW = 1e11
"""FLOPs of a step that a processor is asked to do for real, to see how long it takes."""
TRIALS, SIDE, NODE = 5, 1024, 8
START = 4.0
"""Seconds that a process which trains needs to begin: what it imports, nearly all of it."""
UTILISATION = {"pairs": 0.3, "decoder": 0.4}
"""The share of a GPU's peak that a model's FLOPs are assumed to reach, where nothing has been measured. For comparison: published hours are
25% (dclm-400m-1x) to 45% (dclm-7b-1x) of an H100's peak, and 13% (datacomp-small) and 14% (xlarge, recomputing) of an A100's."""


@dataclass(frozen=True)
class Device:
    """A GPU: its name, its memory in bytes, its peak dense bfloat16 FLOP/s (None: no data sheet is known), and how many are here (0: none;
    it stands for comparison)."""

    name: str
    memory: int
    peak: float | None
    here: int


REFERENCES = {"NVIDIA H100": 80 * 10**9, "NVIDIA H200": 141 * 10**9, "NVIDIA A100 80 GB": 80 * 10**9}
"""GPUs that times are given for wherever one is, with their memory by NVIDIA's data sheets."""


@dataclass(frozen=True)
class Cost:
    """One training. `parameters` by part; `forward` FLOPs and `saved` bytes (what backward needs of the forward pass, without compilation
    or checkpointing) of one example: a pair, or a sequence; `tokens` of an example (1 for a pair); `steps` of `batch` examples."""

    parameters: dict[str, int]
    forward: int
    saved: int
    tokens: int
    batch: int
    steps: int
    bfloat16: bool
    contrastive: bool

    @property
    def size(self) -> int:
        """Parameters in all."""
        return sum(self.parameters.values())

    @property
    def seen(self) -> int:
        """Pairs, or tokens, of one training."""
        return self.steps * self.batch * self.tokens

    @property
    def training(self) -> int:
        """FLOPs of one training, forward and backward."""
        return 3 * self.forward * self.batch * self.steps

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward passes: what DataComp calls a scale's compute (arXiv 2304.14108, table 14)."""
        return self.forward * self.batch * self.steps // 2

    @property
    def utilisation(self) -> float:
        """The share of a GPU's peak that is assumed."""
        return UTILISATION["pairs" if self.contrastive else "decoder"]

    @property
    def per_parameter(self) -> float:
        """Pairs, or tokens, seen per parameter (20 is about compute-optimal for decoders, arXiv 2203.15556)."""
        return self.seen / self.size

    @property
    def state(self) -> int:
        """Bytes that every device holds, whatever its share of the batch: weights, gradients, moments and autocast's copy."""
        return self.size * (STATE + CAST * self.bfloat16)


@dataclass(frozen=True)
class Fit:
    """How a batch lies on `devices` of one kind: `examples` at a time on each, `accumulation` times a step (both None where not even one
    fits); `needed` bytes on each with these, or with one; `again` where accumulation makes every pair's features twice."""

    devices: int
    examples: int | None
    accumulation: int | None
    needed: int
    again: bool


@lru_cache(maxsize=64)
def cost_of(scale: Scale) -> Cost:
    """The cost of one training. Decoders in Llama's layout are counted by formula, other judges as PyTorch builds them, without their
    weights being made. A second or two, whatever the scale."""
    parts, forward, saved = _llama(scale, scale.model) if isinstance(scale.model, Llama) else _counted(_judge(scale))
    tokens = scale.tokens.context if isinstance(scale, TextScale) else 1
    contrastive = isinstance(scale, ImageTextScale)
    return Cost(parts, forward, saved, tokens, scale.batch, scale.steps, scale.precision == "bfloat16", contrastive)


def fit(cost: Cost, device: Device) -> Fit:
    """The most examples at a time, of those that divide the batch evenly, that a device holds; on as many devices as share it evenly.

    A contrastive loss over the full batch needs its share of the (batch, batch) similarities in both directions, with their gradients.
    """
    devices = next(n for n in range(device.here or NODE, 0, -1) if cost.batch % n == 0)
    share = cost.batch // devices
    fixed = cost.state + (4 * 4 * share * cost.batch if cost.contrastive else 0)
    held = next((n for n in range(share, 0, -1) if share % n == 0 and fixed + n * cost.saved <= ROOM * device.memory), None)
    if held is None:
        return Fit(devices, None, None, fixed + cost.saved, cost.contrastive)
    return Fit(devices, held, share // held, fixed + held * cost.saved, cost.contrastive and held < share)


def seconds(cost: Cost, device: Device) -> float | None:
    """Of one training on `fit`'s devices at the assumed utilisation, whether or not it fits; a forward pass longer where features are made
    twice. None where no peak is known, and for float32, in which a judge is too small for a peak to say anything."""
    if device.peak is None or not cost.bfloat16:
        return None
    laid = fit(cost, device)
    return cost.training * (4 / 3 if laid.again else 1) / (device.peak * cost.utilisation * laid.devices)


def devices() -> list[Device]:
    """The kinds of GPU that are here, then those of `REFERENCES` that are not."""
    import torch

    from eval_fixed_model.training.place import peak_of

    found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    kinds = {each.name: each.total_memory for each in found}
    here = [Device(name, memory, peak_of(name), sum(each.name == name for each in found)) for name, memory in kinds.items()]
    known = [Device(name, memory, peak_of(name), 0) for name, memory in REFERENCES.items()]
    return here + [device for device in known if not any(device.name.split()[1] in each.name for each in here)]


def seconds_here(scale: Scale) -> tuple[float, bool]:
    """Of one training on a core of this machine that has nothing else to do, and of scoring it; and whether it was measured on real steps
    and questions. If not, it is what the training alone takes at the speed of a matrix product, which it will not reach."""
    import torch

    from eval_fixed_model.training.steps import one_deterministic_thread

    cost = cost_of(scale)
    with one_deterministic_thread(), torch.random.fork_rng(devices=[]):
        if cost.training / cost.steps > MEASURED_BELOW:
            a = torch.rand(SIDE, SIDE)
            return cost.training * min(_taken(lambda: a @ a)) / (2 * SIDE**3), False
        network = loop_of(scale).build(scale, scale.seeds.first).train()
        return cost.steps * float(np.median(_taken(_step(scale, network)))) + _asking(scale, network.eval()), True


def _taken(act: Callable[[], Any]) -> list[float]:
    """This process's seconds of a few, after one that warms up: on one thread, those that the clock shows where nothing else runs."""
    taken = []
    for _ in range(1 + TRIALS):
        began = time.process_time()
        act()
        taken.append(time.process_time() - began)
    return taken[1:]


def _asking(scale: Scale, network: Any) -> float:
    """Seconds of every question after a training, and before its end where the scale says so; none where the items are not here."""
    began = time.process_time()
    try:
        loop_of(scale).ask(network, scale, "test")
    except CeterisError:
        return 0.0
    return (time.process_time() - began) * (scale.last_checkpoints.count if scale.last_checkpoints else 1)


def _step(scale: Scale, network: Any) -> Callable[[], None]:
    """One optimiser step on empty examples, as a function."""
    from eval_fixed_model.training.steps import optimiser_of

    optimiser, shown = optimiser_of(network, scale), _examples(scale, scale.batch)

    def step() -> None:
        optimiser.zero_grad()
        _loss(network, shown).backward()
        optimiser.step()

    return step


def _llama(scale: Scale, model: Llama) -> tuple[dict[str, int], int, int]:
    """Parameters, FLOPs and saved bytes of one sequence, by formula.

    FLOPs: two a weight of every product and token, and 4 width context a token and layer for attention (arXiv 2001.08361, section 2.1, with
    the product of scores and values). Bytes a token and layer, under autocast with fused attention: of each of two norms its float32 input
    and its normalised form (16 width), of six products their bfloat16 input (12), queries, keys and attention's output (6), and four of the
    inner width. Then of the last norm and the output's product (10), and bfloat16 logits, their float32 log-probabilities and the gradient
    of these; for a z-loss float32 logits, too.
    """
    width, inner, layers, context, words = model.width, model.inner, model.layers, scale.tokens.context, scale.tokens.vocabulary
    narrow = width * model.key_value_heads // model.heads
    parts = {
        "embedding": words * width,
        "attention": layers * 2 * width * (width + narrow),
        "feed-forward": layers * 3 * width * inner,
        "norms": (2 * layers + 1) * width,
        "output": 0 if model.tied else words * width,
    }
    products = parts["attention"] + parts["feed-forward"] + words * width
    forward = context * (2 * products + 4 * layers * width * context)
    saved = context * (layers * (34 * width + 8 * inner + 4 * model.heads) + 10 * width + (14 if scale.optimiser.z_loss else 10) * words)
    return parts, forward, saved


@dataclass(frozen=True)
class _Judge:
    """A scale, equal to others whose judges are built and fed alike."""

    alike: str
    scale: Scale = field(compare=False)


def _judge(scale: Scale) -> _Judge:
    parts = scale.model_dump(mode="json", include={"model", "image", "tokens", "precision"})
    return _Judge(digest_of(parts), scale)


@lru_cache(maxsize=16)
def _counted(judge: _Judge) -> tuple[dict[str, int], int, int]:
    """The same of any other judge, as it is built: operators run on tensors that have a shape and no content."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    scale = judge.scale
    with torch.device("meta"):
        network = loop_of(scale).build(scale, scale.seeds.first).train()
    parts = Counter[str]()
    outer = len(list(network.named_children())) == 1  # a judge around another's module
    for name, parameter in network.named_parameters():
        parts[name.split(".")[outer]] += parameter.numel()
    found = {}
    for examples in (2, 4):  # a batch of one has no spread to normalise by; what does not grow with the batch is not an example's
        with FakeTensorMode(), FlopCounterMode(display=False) as counter, _kept() as kept:
            _on_processor(network)
            with torch.autocast("cpu", torch.bfloat16) if scale.precision == "bfloat16" else nullcontext():
                _loss(network, _examples(scale, examples))
            own = {each.untyped_storage()._cdata for each in network.parameters()}
            saved = sum(tensor.untyped_storage().nbytes() for address, tensor in kept.items() if address not in own)
        found[examples] = counter.get_total_flops(), saved
    return dict(parts), (found[4][0] - found[2][0]) // 2, (found[4][1] - found[2][1]) // 2


@contextmanager
def _kept() -> Iterator[dict[int, Any]]:
    """What autograd saves inside, one tensor a storage, by the storage's address."""
    import torch

    kept: dict[int, Any] = {}

    def keep(tensor: Any) -> Any:
        kept.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield kept


def _on_processor(network: Any) -> None:
    """Give every parameter and buffer a tensor of this mode that claims to lie in memory: on `meta`, nothing is cast and attention is not
    fused."""
    import torch

    for module in network.modules():
        for name, old in list(module.named_parameters(recurse=False)):
            setattr(module, name, torch.nn.Parameter(torch.empty(old.shape, dtype=old.dtype)))
        for name, old in list(module.named_buffers(recurse=False)):
            setattr(module, name, torch.empty(old.shape, dtype=old.dtype))


def _examples(scale: Scale, count: int) -> tuple[Any, ...]:
    """So many empty examples, as the judge takes them."""
    import torch

    tokens = torch.zeros(count, scale.tokens.context, dtype=torch.int64)
    if not isinstance(scale, ImageTextScale):
        return (tokens,)
    side = scale.image.resolution
    return torch.zeros(count, 3, side, side, dtype=torch.uint8), tokens


def _loss(network: Any, shown: tuple[Any, ...]) -> Any:
    """The loss that the modality's loop takes: contrastive over pairs, or of each next token."""
    import torch.nn.functional as F

    if len(shown) == 2:
        from open_clip import ClipLoss

        return ClipLoss()(*(each.float() for each in network(*shown)))
    logits = network(shown[0])
    return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), shown[0][:, 1:].flatten())
