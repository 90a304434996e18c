# ruff: noqa: T201  a benchmark prints
"""The text loop beside a bare one: `python benchmarks/train_step_text.py [--scale tiny-text] [--steps 320] [--rounds 3]`.

Both train the scale's model on the same batches, one thread, from equal weights, turn by turn in one process. The bare loop is what one
would write by hand: every batch lies in memory as a tensor before the first step. Ours reads documents from a memory map, packs them as
it goes, measures itself and can be resumed. Printed are the processor time of a step (of the whole training over its steps, what comes
before and after included, and the median over steps alone), the ratio of medians over rounds, and whether the weights are equal to the bit.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks._machine import machine
from curate.digest import words_of
from eval_fixed_model.models.decoders import build
from eval_fixed_model.rows.documents import Documents, materialise
from eval_fixed_model.rows.packing import Packed
from eval_fixed_model.rows.tokens import tokenizer_of
from eval_fixed_model.scale import TextScale, load_scale
from eval_fixed_model.training.steps import learning_rate, one_deterministic_thread, optimiser_of, weights_digest
from eval_fixed_model.training.texts import train


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="tiny-text")
    parser.add_argument("--steps", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    shipped = load_scale(given.scale)
    assert isinstance(shipped, TextScale)
    tokens = given.steps * shipped.batch * shipped.tokens.context
    scale = TextScale.model_validate({**shipped.model_dump(mode="json"), "tokens_seen": tokens})
    with tempfile.TemporaryDirectory() as folder:
        rows = materialise([_texts(2000)], scale, Path(folder))
        rounds = [(_ours(scale, rows), _bare(scale, rows)) for _ in range(given.rounds + 1)][1:]  # the first warms up
    print(json.dumps(machine()))
    for place, what in enumerate(("whole training, processor ms a step", "median step, ms")):
        ours, bare = (statistics.median(one[side][place] for one in rounds) for side in (0, 1))
        each = [one[0][place] / one[1][place] for one in rounds]
        print(f"{what}: ours {ours:.2f}, bare {bare:.2f}; ratio {statistics.median(each):.3f} (rounds {min(each):.3f} to {max(each):.3f})")
    print("equal weights:", len({one[side][2] for one in rounds for side in (0, 1)}) == 1)


def _texts(count: int) -> tuple[Any, pl.DataFrame]:
    rng = np.random.default_rng(0)
    words = np.array(["".join(map(chr, rng.integers(97, 123, rng.integers(2, 9)))) for _ in range(3000)])
    texts = [" ".join(words[(3000 * rng.random(rng.integers(20, 200)) ** 3).astype(int)]) for _ in range(count)]
    return words_of([rng.bytes(16) for _ in texts]), pl.DataFrame({"text": texts})


def _ours(scale: TextScale, rows: Documents) -> tuple[float, float, str]:
    began = time.process_time()
    network, record = train(scale, rows, np.arange(len(rows.uids)), 0)
    return (time.process_time() - began) / scale.steps * 1e3, record["step seconds"]["50%"] * 1e3, weights_digest(network)


def _bare(scale: TextScale, rows: Documents) -> tuple[float, float, str]:
    packed = Packed(rows, np.arange(len(rows.uids)), 0, tokenizer_of(scale).separator)
    every = torch.from_numpy(packed.sequences(0, scale.steps * scale.batch, scale.tokens.context)).split(scale.batch)
    rates = [learning_rate(scale, step) for step in range(scale.steps)]
    began, seconds = time.process_time(), []
    with one_deterministic_thread():
        network: Any = build(scale, 0).train()
        optimiser = optimiser_of(network, scale)
        for batch, rate in zip(every, rates, strict=True):
            start = time.perf_counter()
            for group in optimiser.param_groups:
                group["lr"] = rate
            logits: Tensor = network(batch[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), scale.optimiser.clip_norm or float("inf"))
            optimiser.step()
            loss.item()
            seconds.append(time.perf_counter() - start)
    return (time.process_time() - began) / scale.steps * 1e3, statistics.median(seconds) * 1e3, weights_digest(network)


if __name__ == "__main__":
    main()
