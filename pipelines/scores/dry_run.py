"""What an evaluation would cost and what it lacks, before anything is read or trained: `curate eval --dry-run`, and the table of scales."""

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
import polars as pl

from curate.digest import UInt64s
from curate.errors import CeterisError
from curate.record import Run
from curate.takedown.revoked import revoked
from eval_fixed_model.cost import MEASURED_BELOW, ROOM, START, Cost, Device, Fit, cost_of, devices, fit, seconds, seconds_here
from eval_fixed_model.loops import loop_of
from eval_fixed_model.records import Llama
from eval_fixed_model.scale import ImageTextScale, Scale, TextScale, load_scale, shipped
from pipelines import show
from pipelines.scores.arms import arms_of, places_of, training_pools
from pipelines.scores.reading import refuse_other_modality

UNITS = ((365.25 * 86400, "years"), (86400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))
DEFAULT_SEEDS = 3


@dataclass(frozen=True)
class On:
    """One kind of device: how the batch lies on it, and seconds of one training (None: nothing known), of a processor's with scoring it.
    `here` of them, or of a processor's cores, are at hand."""

    device: str
    here: int
    fit: Fit | None
    seconds: float | None
    how: str


@dataclass(frozen=True)
class Shown:
    """An arm: its rows, copies included, and how often a training shows each; for documents, tokens a row with which that is once."""

    rows: int
    times: float | None
    tokens_a_row: float | None


@dataclass(frozen=True)
class DryRun:
    """What `curate eval` would do at a scale. Without a `run` there is one training and no arm. `comparable`: in which ways scores differ
    from those of the scale's original; `missing`: what has to be brought."""

    scale: Scale
    cost: Cost
    on: tuple[On, ...]
    trainings: int
    seeds: int
    arms: dict[str, Shown]
    comparable: tuple[str, ...]
    missing: tuple[str, ...]
    run: str | None = None

    def of_all(self, each: On) -> float | None:
        """Seconds of all trainings on such a device, the arms' one after the other; on a processor one a core, each begun by a process."""
        if each.seconds is None or each.fit is not None:
            return each.seconds and each.seconds * self.trainings
        return START + math.ceil(self.trainings / each.here) * each.seconds

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        about = {
            "scale": self.scale.name,
            "modality": self.scale.modality,
            "model": self.scale.model.model_dump(),
            "digest": self.scale.digest,
        }
        derived = {name: getattr(self.cost, name) for name in ("size", "seen", "training", "macs", "per_parameter", "state")}
        rest = {name: value for name, value in asdict(self).items() if name not in ("scale", "cost")}
        return {**about, "cost": {**asdict(self.cost), **derived}, **rest}


def dry_run(scale: str | None = None, run: Run | None = None, seeds: int | None = None) -> DryRun:
    """What the scale costs, and with a run what all of its trainings do, as if every row could be read and nothing were scored yet. Reads
    no row, and makes no weights but those of a judge that is small enough for a few steps to be measured.

    `scale` and `seeds` default to those of the run's recipe; CeterisError where neither names a scale.
    """
    asked = (run.facts["evaluate"] or {}) if run else {}
    named = scale or asked.get("scale")
    if named is None:
        raise CeterisError(
            "no scale is named", where=run.folder if run else "", fix=f"give --scale; the scales are: {', '.join(shipped())}"
        )
    record = load_scale(named)
    cost = cost_of(record)
    number = seeds or asked.get("seeds", DEFAULT_SEEDS)
    arms, trainings = _arms(record, run, number) if run else ({}, 1)
    on = (_processor(record), *(_gpu(cost, device) for device in devices() if cost.bfloat16 or device.here))
    lacks = [*_missing(record), *_unfit(cost, on), *(_other_modality(record, run) if run else [])]
    said = tuple((record.comparable or "").splitlines())
    return DryRun(record, cost, on, trainings, number, arms, said, tuple(lacks), run.folder if run else None)


def _processor(scale: Scale) -> On:
    spent, real = seconds_here(scale)
    cores = len(os.sched_getaffinity(0))
    how = f"measured: a few steps, and the questions; a core each, of {cores} with nothing else to do"
    return On("this processor", cores, None, spent, how if real else "at least: the speed of a matrix product")


def _gpu(cost: Cost, device: Device) -> On:
    known = seconds(cost, device)
    how = f"assumed: {cost.utilisation:.0%} of {device.peak / 1e12:,.0f} TFLOP/s" if known and device.peak else "unknown: measure it"
    return On(device.name, device.here, fit(cost, device), known, how)


def _unfit(cost: Cost, on: Sequence[On]) -> list[str]:
    if not cost.bfloat16 or cost.training / cost.steps <= MEASURED_BELOW:  # the processor does
        return []
    here = [each for each in on if each.fit and each.here]
    if not here:
        return [f"a GPU, of {_amount(fit(cost, Device('one', 0, None, 1)).needed / ROOM)}B or more, or several that share a batch"]
    return [f"memory: {each.device} would need {_amount(each.fit.needed / ROOM)}B" for each in here if each.fit and not each.fit.examples]


def _missing(scale: Scale) -> list[str]:
    """Evaluation sets, tokenizers and packages that have to be brought."""
    lacks = []
    if isinstance(scale.model, Llama) and find_spec("transformers") is None:
        lacks.append("the package transformers")
    if isinstance(scale, TextScale) and scale.tokens.tokenizer == "file":
        from eval_fixed_model.rows.tokens import tokenizer_file

        try:
            tokenizer_file(scale)
        except CeterisError:
            lacks.append(f"the tokenizer {scale.tokens.file}")
    if isinstance(scale, ImageTextScale) and scale.items.folder is not None:
        from eval_fixed_model.tasks.webdataset_items import missing, place

        if sets := missing(scale):
            lacks.append(f"{len(sets)} of {len(scale.tasks)} evaluation sets in {place(scale)}: {', '.join(sets)}")
    elif scale.items.file is not None and not scale.evaluation_file.is_file():
        lacks.append(f"the evaluation items {scale.evaluation_file}")
    return lacks


def _other_modality(scale: Scale, run: Run) -> list[str]:
    try:
        refuse_other_modality(run.pool, scale)
    except CeterisError as error:
        return [f"{error.what}: {error.fix}"]
    return []


@dataclass(frozen=True)
class _Every:
    """The rows of a pool, and of what models trust, as if all could be read."""

    uids: UInt64s
    scale_digest: str = ""

    @cached_property
    def rejected(self) -> pl.DataFrame:
        """None."""
        return pl.DataFrame()

    def indices(self, uids: UInt64s) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Ascending, each once."""
        return places_of(self.uids, uids)


def _arms(scale: Scale, run: Run, seeds: int) -> tuple[dict[str, Shown], int]:
    """Every arm of the run, and its trainings: arms of the same rows are trained once."""
    pools, refused = training_pools(run, loop_of(scale).ROLES, trusted=True), revoked(run.store)
    trusted = np.concatenate(
        [np.zeros((0, 2), np.uint64), *[pool.uids(shard)[0][~refused.mask(shard)] for pool in pools for shard in pool.shards]]
    )
    every = _Every(np.unique(np.concatenate([run.uids(), trusted]), axis=0))
    found = arms_of(run, every, trusted).arms
    sequence = scale.seed_sequence(seeds)
    shown = {name: _shown(scale, len(arm.members(sequence[0]))) for name, arm in found.items()}
    return shown, len({(seed, arm.digest(seed)) for arm in found.values() for seed in sequence})


def _shown(scale: Scale, rows: int) -> Shown:
    if isinstance(scale, TextScale):
        return Shown(rows, None, scale.tokens_seen / rows)
    return Shown(rows, scale.samples_seen / rows, None)


def print_dry_run(found: DryRun) -> None:
    """As tables and lines."""
    cost, scale = found.cost, found.scale
    unit = "tokens" if isinstance(scale, TextScale) else "pairs"
    named = scale.model.architecture if scale.model.name == "open_clip" else scale.model.name
    show.line(
        f"{scale.name}: {named}, {cost.size:,} parameters ({', '.join(f'{part} {count:,}' for part, count in cost.parameters.items())})"
    )
    show.line(f"{cost.seen:,} {unit} in {cost.steps:,} steps of {cost.batch:,}: {cost.per_parameter:.3g} for each parameter")
    show.line(
        f"{cost.training:.3g} FLOPs a training (forward {cost.macs:.3g} MACs; {3 * cost.forward / cost.tokens:.3g} FLOPs a {unit[:-1]})"
    )
    show.line(f"memory: {_amount(cost.state)}B of weights, gradients and moments on every device, {_amount(cost.saved)}B a row of a batch")
    rows = [[*_device(each), each.seconds and _time(each.seconds), each.how] for each in found.on]
    columns = ["device", "at once", "pieces a step", "memory", "a training", "how"]
    if found.arms:
        columns.insert(5, f"all {found.trainings:,}")
        rows = [
            [*row[:5], _time(whole) if (whole := found.of_all(each)) else None, row[5]] for row, each in zip(rows, found.on, strict=True)
        ]
    show.table("time", columns, rows, right=(1, 2, 3))
    if found.arms:
        lines = [
            [name, arm.rows, arm.times and f"{arm.times:.3g}", arm.tokens_a_row and f"{arm.tokens_a_row:,.0f}"]
            for name, arm in found.arms.items()
        ]
        kept = [0, 1, 2 if unit == "pairs" else 3]
        columns = ["arm", "rows", "shown, times", "once, at tokens a row"]
        show.table(
            f"{found.trainings} trainings", [columns[at] for at in kept], [[line[at] for at in kept] for line in lines], right=(1, 2)
        )
        show.line("rows as they were selected: none is read here, and `curate eval` leaves out those that are empty or unreadable")
    else:
        show.line("no run here: this is one training. After `curate run` its arms are counted, with all their seeds")
    for text in found.comparable:
        show.line(text)
    for text in found.missing:
        show.line(f"missing: {text}")


def _device(each: On) -> list[str | int | None]:
    """Its name and number, rows at once, pieces a step, and memory."""
    if each.fit is None:
        return [each.device, None, None, None]
    name = f"{each.fit.devices} x {each.device}" + ("" if each.here else " (not here)")
    needed = f"{_amount(each.fit.needed)}B" + ("" if each.fit.examples else ": does not fit")
    return [name, each.fit.examples, each.fit.accumulation, needed]


def scales_table(names: Sequence[str] = (), on: Sequence[Device] = ()) -> list[dict[str, Any]]:
    """One line a scale, all that are shipped unless named: what it trains, on how much, and how long that takes where; of several devices
    (those of `cost.devices` unless given) on the first that is here, else on the first that holds it."""
    lines = []
    kinds = on or devices()
    for name in names or shipped():
        scale = load_scale(name)
        cost = cost_of(scale)
        where = _processor(scale) if not cost.bfloat16 else max((_gpu(cost, device) for device in kinds), key=_preferred)
        lines.append(
            {
                "scale": name,
                "modality": scale.modality,
                "model": scale.model.architecture if scale.model.name == "open_clip" else scale.model.name,
                "parameters": _count(cost.size),
                "sees": f"{_count(cost.seen)} {'tokens' if isinstance(scale, TextScale) else 'pairs'}",
                "FLOPs": f"{cost.training:.2g}",
                "a training": "" if where.seconds is None else _time(where.seconds),
                "on": _place(where),
            }
        )
    return lines


def _place(each: On) -> str:
    if each.fit is None:
        return each.device
    lacks = "" if each.fit.examples else f", had each {_amount(each.fit.needed / ROOM)}B"
    return f"{each.fit.devices} x {each.device}{lacks}"


def _preferred(each: On) -> tuple[bool, bool]:
    """What is here goes before what is not, then what holds the judge before what does not."""
    return bool(each.here), bool(each.fit and each.fit.examples)


def markdown(lines: Sequence[dict[str, Any]]) -> str:
    """Lines of equal keys as a table."""
    rows = [list(lines[0]), ["---"] * len(lines[0]), *[[str(value) for value in line.values()] for line in lines]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _time(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= 2 * size), UNITS[-1])
    return f"{seconds / size:,.3g} {unit}" if seconds / size < 1000 else f"{seconds / size:,.0f} {unit}"


def _count(things: int) -> str:
    """Three digits, thousands of millions as `B`."""
    return _amount(things).replace("G", "B")


def _amount(count: float) -> str:
    """Three digits and a decimal prefix, as 411.6 million is `412 M`."""
    size, prefix = next(((size, prefix) for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")) if count >= size), (1, ""))
    return f"{count / size:.3g} {prefix}".rstrip()
