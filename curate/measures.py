"""How a filter becomes a measure of a recipe: its parameters checked, its fingerprint taken."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from curate.digest import digest_of
from curate.errors import RecipeError, nearest
from curate.grouping import Grouping
from curate.plan import POOL, Measure, Training, parted
from curate.pool import Pool
from curate.recipe import Part as Spec
from curate.signal import Signal


def measure_of(
    name: str,
    kind: str,
    signal: Signal,
    parameters: dict[str, Any],
    pool: Pool,
    models: Sequence[Training] = (),
    pending: bool = False,
    inputs: Mapping[str, Any] | None = None,
) -> Measure:
    """The fingerprint holds the columns that play its roles: evidence belongs to a shard, and another pool may read other columns there.

    `inputs` are the fingerprints behind the evidence that parameters name: a recipe's own names are no part of a measure's identity.
    Signals of a fixed batch shape give other last bits on another kind of device; all others answer alike everywhere.
    """
    if signal.device:
        parameters = {**parameters, "device": signal.device(parameters["device"]) or device_kind()}
    how = [kind, signal.version, {**parameters, **(inputs or {})}, {k: str(v) for k, v in signal.schema.items()}]
    how += [device_kind() if signal.batch else ""]
    how += [{role: pool.roles.get(role) for role in signal.roles}, [[one.kind, one.model.version] for one in models]]
    named_inputs = {key: str(parameters[key]) for key in signal.evidence}
    return Measure(name, kind, signal, parameters, digest_of(how), tuple(dict.fromkeys(one.kind for one in models)), pending, named_inputs)


def device_kind() -> str:
    """What a float model's last bits depend on, on a processor: `cpu-` and the widest vector instructions (as torch counts them)."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split() if Path("/proc/cpuinfo").exists() else []
    wide = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}.issubset(flags)
    return f"cpu-{platform.machine()}-" + ("AVX512" if wide else "AVX2" if "avx2" in flags else "DEFAULT")


def renamed(measure: Measure, names: Mapping[str, str]) -> Measure:
    """A measure of another pool beside those of this one."""
    inputs = {key: f"{names.get(parted(one)[0], POOL)}.{parted(one)[1]}" for key, one in measure.inputs.items()}
    return replace(measure, name=names[measure.name], inputs=inputs)


def of_grouping(found: Grouping, spec: Spec) -> tuple[dict[str, Any], float]:
    """The parameters of a grouping's links, and its threshold. One without links has none: its duplicates are equal."""
    known = {**found.sketch.parameters, **found.defaults}
    check_parameters(spec, {**known, "threshold": found.threshold} if found.links else known)
    links = {key: spec.parameters.get(key, value) for key, value in found.defaults.items()}
    threshold = float(spec.parameters.get("threshold", found.threshold))
    if threshold < links.get("floor", threshold):
        what = f"threshold {threshold} is below the floor {links['floor']} of what is stored"
        raise RecipeError(what, where=spec.where, fix=f"set floor: {threshold}")
    if not threshold <= 1:
        raise RecipeError(f"threshold {threshold} is above 1, which no pair reaches", where=spec.where, fix="similarities lie in 0 to 1")
    return links, threshold


def check_parameters(spec: Spec, known: Mapping[str, Any]) -> None:
    """Refuse parameters that a filter does not have, or of another kind than their defaults."""
    for key, value in spec.parameters.items():
        if key not in known:
            raise RecipeError(f"{spec.kind} has no parameter {key}", where=spec.where, fix=nearest(key, known))
        default = known[key]
        kinds = (int, float) if isinstance(default, float) else type(default)
        if default is not None and (not isinstance(value, kinds) or isinstance(value, bool) != isinstance(default, bool)):
            raise RecipeError(
                f"{spec.kind}: {key} must be {type(default).__name__}, not {value!r}", where=spec.where, fix=f"for example {key}: {default}"
            )
