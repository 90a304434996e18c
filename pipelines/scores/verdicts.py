"""Verdicts: candidates against their controls, read from stored scores."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from curate.digest import digest_of
from curate.errors import CeterisError
from curate.ledger import name_file
from curate.record import Run
from curate.store import Store
from curate.takedown.revoked import must_be_made_again
from eval_fixed_model.conditions import differences
from eval_fixed_model.scale import Scale, load_scale
from eval_fixed_model.statistics import Answer, Bank, Contrast, Draw, Look, Verdict, bank_of, verdict
from eval_fixed_model.statistics.bank import LEAST_POOLS
from pipelines.scores.arms import WHOLE
from pipelines.scores.evaluations import Entered, Evaluation, entries


@dataclass(frozen=True)
class Judged:
    """The lines that were asked for, in the words of this run, and the verdict over the whole family that they are part of.

    `evaluation` has every seed that the store holds of its arms, `rests_on` those judged. `names` are this run's names of the family's
    arms, and RUN/NAME of those it has not; `file` is where the verdict is kept; `same` are the pairs asked for that train on the same rows,
    so that there is nothing to judge; `changed`: in what the scale's way to judge is another than when this pool was first evaluated. With
    one line its numbers are attributes.
    """

    evaluation: Evaluation
    family: Verdict
    names: dict[str, str]
    contrasts: tuple[Contrast, ...]
    file: str
    same: tuple[tuple[str, str], ...] = ()
    changed: tuple[str, ...] = ()

    @property
    def line(self) -> Contrast:
        """The one line asked for. CeterisError if there are more, or none."""
        if self.same and not self.contrasts:
            raise CeterisError(f"{' and '.join(self.same[0])} train on the same rows", fix="compare subsets that differ")
        if len(self.contrasts) != 1:
            raise CeterisError(f"{len(self.contrasts)} contrasts were asked for", fix="name a candidate and a control, or read `contrasts`")
        return self.contrasts[0]

    @property
    def answer(self) -> Answer:
        """better, worse, equivalent or cannot tell."""
        return self.line.answer

    @property
    def difference(self) -> float:
        """Candidate minus control, in points."""
        return self.line.difference

    @property
    def low(self) -> float | None:
        """Lower end of the simultaneous interval, in points."""
        return self.line.low

    @property
    def high(self) -> float | None:
        """Upper end of the simultaneous interval, in points."""
        return self.line.high

    @property
    def detectable(self) -> float | None:
        """The smallest difference this budget finds with 80% power, in points."""
        return self.line.detectable

    @property
    def seeds_needed(self) -> int | None:
        """Seeds of each arm that would settle it."""
        return self.line.seeds_needed

    @property
    def rests_on(self) -> Evaluation:
        """The evaluation with those seeds alone that the answers rest on: under looks, none beyond the one that was taken."""
        arms = self.evaluation.arms
        kept = {name: set(self.family.arms[arm.id].seeds) for name, arm in arms.items()}
        only = {
            name: replace(arm, scores={seed: key for seed, key in arm.scores.items() if seed in kept[name]}) for name, arm in arms.items()
        }
        return replace(self.evaluation, arms=only)

    @property
    def last_look(self) -> bool:
        """Whether the schedule of looks ends here."""
        look = self.family.look
        return look is not None and look.number == len(look.schedule)

    @property
    def taken_down(self) -> dict[str, int]:
        """Arms of this run that were trained on rows taken down since, and the request: they must be made again."""
        known = must_be_made_again(self.evaluation.store)
        shown = {name for one in self.contrasts for name in (one.candidate, one.control)}
        arms = {name: arm.scores.values() for name, arm in self.evaluation.arms.items() if name in shown}
        return {name: known[address] for name, keys in arms.items() for key in keys if (address := key.rpartition("/")[0]) in known}

    def to_json(self) -> dict[str, Any]:
        """The lines, the family and every arm's mean, JSON-able."""
        lines = [vars(contrast) for contrast in self.contrasts]
        arms = {self.names[arm]: vars(runs) for arm, runs in self.family.arms.items() if arm in self.names}
        spreads = {kind: vars(spread) for kind, spread in self.family.spreads.items()}
        about: dict[str, Any] = {
            "run": self.evaluation.run,
            "scale": self.evaluation.scale.name,
            "conditions": self.evaluation.conditions,
            "file": self.file,
        }
        family: dict[str, Any] = {"contrasts": len(self.family.contrasts), "critical": self.family.critical, "delta": self.family.delta}
        family |= {"confidence": self.family.confidence, "seed_correlation": self.family.seed_correlation, "spreads": spreads}
        about |= {"taken down": self.taken_down} if self.taken_down else {}
        about |= {"analysis changed": self.changed} if self.changed else {}
        return {**about, "contrasts": lines, "same rows": self.same, "arms": arms, "family": family}


def compare(
    done: Evaluation | Run, candidate: str | None = None, control: str | Sequence[str] | None = None, *, scale: str | None = None
) -> Judged:
    """Candidates against their controls: better, worse, equivalent or cannot tell, with intervals that hold for all of them together.

    The family is every contrast ever evaluated or asked for on this pool under these conditions, not only those shown. Only reads
    scores. `control` may be "pool", any arm, or RUN/SUBSET of another run, or several of these. CeterisError where nothing was
    evaluated, or under other conditions, naming the part that differs.
    """
    mine = done if isinstance(done, Evaluation) else latest(done, scale)
    family = beside(mine)
    scores, kinds = _headlines(family)
    pairs = _asked(mine, candidate, control)
    every = {(one.arms[a].id, one.arms[b].id) for one in family for a, b in one.contrasts} | {(a.id, b.id) for a, b in pairs}
    every |= {pair for pair in _judged_before(mine.store) if set(pair) <= scores.keys()}
    names = {
        arm.id: name if one.run == mine.run else f"{one.run.removeprefix('runs/')}/{name}"
        for one in [*family, mine]
        for name, arm in reversed(one.arms.items())
    }
    record, look = mine.scale, mine.look or _last_look(family, mine, pairs)
    scores = within(scores, record, look) if look else scores
    found = verdict(
        scores,
        kinds,
        sorted(pair for pair in every if pair[0] != pair[1]),
        record.headline.delta,
        better=record.headline.better,
        analysis=record.analysis,
        alike=record.alike,
        banks=None if look or record.analysis == "paired" else banks_of(mine),
        look=look,
    )
    lines = []
    for a, b in pairs:
        if a.id != b.id:
            lines.append(replace(found.of(a.id, b.id), candidate=a.name, control=b.name))
    key = f"{mine.run}/verdict-{digest_of(found.to_json())[:12]}.json"
    mine.store.put_json(key, found.to_json())
    name_file(mine.store, key)
    same = tuple((a.name, b.name) for a, b in pairs if a.id == b.id)
    changed = differences(family[0].scale.beside(), record.beside()) if family else []
    return Judged(whole(mine), found, names, tuple(lines), key, same, tuple(changed))


def beside(mine: Evaluation) -> list[Evaluation]:
    """All evaluations of its pool under its conditions, oldest first."""
    return [one for one in entries(mine.store) if one.conditions == mine.conditions and one.pool == mine.pool]


def whole(mine: Evaluation) -> Evaluation:
    """The evaluation with every seed of its arms that was scored on this pool under these conditions, whenever and for whichever run."""
    known: dict[str, dict[int, str]] = {}
    for one in [*beside(mine), mine]:
        for arm in one.arms.values():
            known.setdefault(arm.id, {}).update(arm.scores)
    return replace(mine, arms={name: replace(arm, scores=dict(sorted(known[arm.id].items()))) for name, arm in mine.arms.items()})


def _judged_before(store: Store) -> set[tuple[str, str]]:
    """The contrasts of every verdict in a store, by their arms' ids."""
    kept = [store.json(key) for key in store.storage.list("runs/") if "/verdict-" in key]
    return {(one["candidate"], one["control"]) for verdict in kept for one in verdict["contrasts"]}


def within(scores: dict[str, dict[int, float]], scale: Scale, look: Look) -> dict[str, dict[int, float]]:
    """The scores that a look judges: seeds beyond it count when the next is taken, for by them now it would be one more than was fixed."""
    seeds = scale.seed_sequence(look.schedule[look.number - 1])
    return {arm: {seed: score for seed, score in of_seeds.items() if seed in seeds} for arm, of_seeds in scores.items()}


def _headlines(evaluations: Sequence[Evaluation]) -> tuple[dict[str, dict[int, float]], dict[str, Draw]]:
    """Each arm's headline per seed, and whether it is redrawn for every seed, by the arm's id."""
    scores: dict[str, dict[int, float]] = {}
    kinds: dict[str, Draw] = {}
    for one in evaluations:
        for name, arm in one.arms.items():
            kinds[arm.id] = "random" if arm.kind == "random" else "fixed"
            scores.setdefault(arm.id, {}).update({seed: one.score(name, seed).headline for seed in arm.scores})
    return scores, kinds


def banks_of(mine: Evaluation) -> dict[Draw, Bank]:
    """What this store's runs on other pools, under the same conditions, say of the noise of each kind of arm; nothing from fewer than three
    pools. It serves verdicts whose own runs are too few to say."""
    pools = sorted({one.pool for one in entries(mine.store) if one.conditions == mine.conditions and one.pool != mine.pool})
    found: dict[Draw, dict[str, dict[str, list[float]]]] = {"fixed": {}, "random": {}}
    for pool in pools:
        scores, kinds = _headlines([one for one in entries(mine.store) if one.conditions == mine.conditions and one.pool == pool])
        for arm, of_seeds in scores.items():
            if len(of_seeds) > 1:
                found[kinds[arm]].setdefault(pool, {})[arm] = list(of_seeds.values())
    for kind, there in found.items():  # a pool whose few runs came out equal, as scores of few items may, says nothing
        found[kind] = {pool: arms for pool, arms in there.items() if any(len(set(runs)) > 1 for runs in arms.values())}
    return {kind: bank_of(kind, there) for kind, there in found.items() if len(there) >= LEAST_POOLS}


def _last_look(family: Sequence[Evaluation], mine: Evaluation, pairs: Sequence[tuple[Entered, Entered]]) -> Look | None:
    """The latest that was taken for this run, or in another for a candidate asked about: who has looked goes on within the schedule."""
    asked = {arm.id for pair in pairs for arm in pair if arm.kind == "candidate"}
    looked = [one for one in family if one.run == mine.run or asked & {arm.id for arm in one.arms.values() if arm.kind == "candidate"}]
    taken = [one.look for one in looked if one.look is not None]
    return max(taken, key=lambda look: look.number) if taken else None


def _asked(mine: Evaluation, candidate: str | None, control: str | Sequence[str] | None) -> list[tuple[Entered, Entered]]:
    if control is not None and not isinstance(control, str):
        return [pair for one in control for pair in _asked(mine, candidate, one)]
    control = WHOLE if control == "pool" else control
    usual = [(a, b) for a, b in mine.contrasts if candidate in (None, a) and control in (None, b)]
    if usual or candidate is None:
        return [(mine.arms[a], mine.arms[b]) for a, b in usual]
    return [(_arm(mine, candidate), _arm(mine, control or WHOLE))]


def latest(run: Run, scale: str | None = None) -> Evaluation:
    """The last evaluation of a run (at the scale named: by name, or the file it is in now), of all arms where there is one of them. How it
    is judged is as it was written down then; where a file is named, as that file says now. CeterisError where there is none."""
    given = load_scale(scale) if scale and scale.endswith((".yaml", ".yml")) else None
    mine = [one for one in entries(run.store) if one.run == run.folder]
    every = [one for one in mine if scale in (None, one.scale.name) or (given and one.scale.digest == given.digest)]
    if not every:
        there = ", ".join(dict.fromkeys(one.scale.name for one in mine))
        at = f" at the scale {scale}" if there else ""
        raise CeterisError(
            f"nothing was evaluated for this run{at}",
            where=run.folder,
            fix="run `curate eval` first" + (f", or name one it was evaluated at: {there}" if there else ""),
        )
    found = next((one for one in reversed(every) if not one.some), every[-1])
    return replace(found, scale=given) if given else found


def _arm(mine: Evaluation, name: str) -> Entered:
    """An arm of this run, or RUN/SUBSET of another that was evaluated under the same conditions."""
    if name in mine.arms:
        return mine.arms[name]
    other, _, subset = name.rpartition("/")
    for one in entries(mine.store)[::-1]:
        if other and one.run.removeprefix("runs/") in (other, other.removeprefix("runs/")) and subset in one.arms:
            if one.conditions != mine.conditions:
                held, theirs = (mine.store.json(f"{each.conditions}/conditions.json") for each in (mine, one))
                raise CeterisError(
                    f"{name} was scored under other conditions: {'; '.join(differences(held, theirs))}",
                    where=one.conditions,
                    fix="evaluate both again, in one place",
                )
            return one.arms[subset]
    raise CeterisError(
        f"no arm called {name} was evaluated", where=mine.run, fix=f"there are: {', '.join(mine.arms)}; of other runs RUN/SUBSET"
    )
