"""From rows forward: every subset, export, model, score and verdict, over all runs of a store, that used rows of a source, host or url."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from curate.digest import UInt64s
from curate.errors import CeterisError
from curate.executor import Executor, InProcess
from curate.index.search import Indices, locate, search, uids_at
from curate.pieces import open_pool
from curate.plan import POOL
from curate.record import Run
from curate.store import Part, Store
from curate.takedown.named_rows import NO_ROWS
from curate.takedown.revoked import revoked
from pipelines.catalog import catalogue
from pipelines.provenance.fate import taken_down
from pipelines.provenance.gone_since import NONE, PERHAPS, Count, GoneSince
from pipelines.provenance.index import by_pool, runs_of
from pipelines.provenance.lineage import verdicts_of
from pipelines.provenance.trained import WITHOUT, Mask, Score, member_lists, members_of, scores_of, stage_of, trained_rows
from pipelines.scores.arms import places_of
from pipelines.verbs import refuse_torn


@dataclass(frozen=True)
class Used:
    """What one run made of the rows: `rows` of its pool, and whatever holds at least one of them: `subsets` {name, digest, rows, of},
    `exports` {folder, layout, subset}, `models` {name, kind, folder, rows}, `scores` {key, arm, seed, rows}, `verdicts` {file, lines}. Rows
    are None where it cannot be told how many, or whether any; `at_least` so many are sure, where it stands beside that. What held rows that
    were taken down since is listed, too, as far as counts tell (`gone_since`)."""

    run: str
    recipe: str
    pool: str
    rows: int
    subsets: list[dict[str, Any]]
    exports: list[dict[str, Any]]
    models: list[dict[str, Any]]
    scores: list[dict[str, Any]]
    verdicts: list[dict[str, Any]]


@dataclass(frozen=True)
class Uses:
    """What was asked, the rows found by pool, what each run did with them, the latest first, and how pools were searched."""

    asked: dict[str, str]
    rows: dict[str, int]
    runs: list[Used]
    notes: list[str]

    def to_json(self) -> dict[str, Any]:
        """JSON-able."""
        return {"asked": self.asked, "rows": self.rows, "runs": [dict(vars(one)) for one in self.runs], "notes": self.notes}


@dataclass
class _Wanted:
    """The rows asked for: numbers by pool, and all their uids; those that were taken down are `gone`; in pools `unseen`, which cannot
    be searched, they may be any that were."""

    store: Store
    numbers: dict[str, Indices] = field(default_factory=dict)
    uids: UInt64s = field(default_factory=lambda: NO_ROWS)
    masks: dict[str, Mask] = field(default_factory=dict)
    gone: dict[str, Indices] = field(default_factory=dict)
    unseen: set[str] = field(default_factory=set)

    @cached_property
    def lists(self) -> dict[str, str]:
        """Where the lists of rows that trainings used are kept."""
        return member_lists(self.store)

    def add(self, key: str, found: Indices) -> None:
        barred = np.isin(found, revoked(self.store).of_pool(open_pool(self.store, key)))
        self.numbers[key], self.gone[key] = (numbers := found[~barred]), found[barred]
        self.uids = np.unique(np.concatenate([self.uids, uids_at(self.store, key, numbers)]), axis=0)

    def since(self, run: Run) -> GoneSince:
        """Those that were taken down from a run's pool."""
        key = run.facts["pool"]
        return GoneSince(run, self.gone[key], key in self.unseen)

    def within(self, run: Run, node: str) -> int:
        """How many of them a node of the run holds now."""
        numbers = self.numbers[run.facts["pool"]]
        if node == POOL:
            return int(numbers.size)
        id_ = run.facts["nodes"][node]["id"]
        if id_ not in self.masks:
            self.masks[id_] = run.codes(node) == 0
        return int(self.masks[id_][numbers].sum())


def uses(
    store: Store,
    *,
    uid: str | None = None,
    url: str | None = None,
    source: str | None = None,
    run: str | None = None,
    executor: Executor | None = None,
) -> Uses:
    """What used a row, by `uid` or `url`, or any row of a `source`: a host, or a value of the role source; in all runs, or one. Reads only.

    Rows that were taken down or are restricted are counted like others: nothing of them is told. CeterisError where no pool of the runs,
    and none that their models learned from, holds such a row.
    """
    given = {name: value for name, value in {"uid": uid, "url": url, "source": source}.items() if value is not None}
    if len(given) != 1:
        raise CeterisError("name what to follow in one way", fix="--source HOST, --uid UID or --url URL")
    refuse_torn(given)
    ((by, value),) = given.items()
    if not value.strip():
        raise CeterisError(f"an empty {by} is no row's name", where=f"--{by}", fix="--source HOST, --uid UID or --url URL")
    runs, notes, wanted, missed = runs_of(store, run), list[str](), _Wanted(store), set[str]()
    pools = by_pool(runs)
    taught = {key for one in runs for model in one.facts["models"].values() for key in model["rows"]} - pools.keys()
    for key in [*pools, *sorted(taught)]:
        try:
            numbers, said = _numbers(store, key, by, value, executor or InProcess(), indexed=key in pools)
        except CeterisError as error:
            numbers, said = np.empty(0, np.int64), [f"not searched: {error.what}"]
            missed.add(key)
        wanted.add(key, numbers)
        notes += [f"{open_pool(store, key).root}: {one}" for one in said]
    counts = {key: int(numbers.size + wanted.gone[key].size) for key, numbers in wanted.numbers.items()}
    found = {str(open_pool(store, key).root): rows for key, rows in counts.items() if rows}
    taken = taken_down(store, "url", value if by == "url" else f"//{value}") if by != "uid" else {}
    if taken:
        wanted.unseen = missed
        notes.append("rows that this names were taken down: " + ", ".join(f"{key} {told}" for key, told in taken.items()))
    if not found and not taken:
        raise CeterisError(f"no row has the {by} {value}", where="; ".join(notes), fix="give it as the pool writes it, and a host whole")
    listed = scores_of(store)
    return Uses(given, found, [made for one in runs if (made := _used(one, wanted, listed)) is not None], notes)


def _numbers(store: Store, key: str, by: str, value: str, executor: Executor, indexed: bool) -> tuple[Indices, list[str]]:
    if by == "uid":
        place = locate(store, key, value) if indexed else None
        return np.array([] if place is None else [place.number], np.int64), []
    roles, found, said = open_pool(store, key).roles, [np.empty(0, np.int64)], []
    for asked, role in (("url", "url"),) if by == "url" else (("source", "source"), ("host", "url")):
        if role in roles:
            hit = search(store, key, asked, value, executor)
            found.append(hit.numbers)
            how = "by the index" if hit.indexed else f"every {role} was looked at"
            said.append(f"{hit.numbers.size:,} rows of this {asked} ({how})")
    return np.unique(np.concatenate(found)), said or [f"it has no role {by}"]


def _used(run: Run, wanted: _Wanted, listed: Sequence[Score]) -> Used | None:
    """None for a run that used none of them."""
    facts, since = run.facts, wanted.since(run)
    subsets = list[dict[str, Any]]()
    for name, digest in facts["subsets"].items():
        node = run.node_of(name)
        gone = since.of_stage(node)
        held = gone.plus(wanted.within(run, node))
        if held.any:
            of = run.decided(node).kept if node != POOL else run.pool.rows
            subsets.append({"name": name, "digest": digest, **held.told(), "of": of} | ({"gone": gone.rows} if gone.any else {}))
    models = [made for name in facts["models"] if (made := _model(run, name, wanted, since)) is not None]
    scores = [made for one in listed if one.run == run.folder and (made := _score(run, one, wanted, since)) is not None]
    rows = int(wanted.numbers[facts["pool"]].size + wanted.gone[facts["pool"]].size)
    exports = _exports(run, wanted, since)
    if not subsets and not models and not scores and not exports and not rows:
        return None
    about = (run.folder.removeprefix("runs/"), facts["name"], str(run.pool.root), rows)
    return Used(*about, subsets, exports, models, scores, _verdicts(run, scores, listed))


def _exports(run: Run, wanted: _Wanted, since: GoneSince) -> list[dict[str, Any]]:
    """Exports of the run's subsets that hold some of the rows; those of before a take-down hold what left since, too."""
    found = list[dict[str, Any]]()
    for one in (run.store.json(key) for key in run.store.storage.list("exports/") if key.endswith(".json")):
        if one["run"] in (run.folder, run.folder.removeprefix("runs/")) and one["subset"] in run.facts["subsets"]:
            held = since.of_export(one["subset"], one["digest"]).plus(wanted.within(run, run.node_of(one["subset"])))
            if held.any:
                found.append({name: one.get(name) for name in ("folder", "layout", "subset", "files")} | held.told())
    return found


def _model(run: Run, name: str, wanted: _Wanted, since: GoneSince) -> dict[str, Any] | None:
    """A model of the run that was made from some of the rows, as its list of training rows says, or over a pool that holds them."""
    facts = run.facts["models"][name]
    folder = facts["folder"]
    made, rows = run.store.json(f"{folder}/model.json"), run.store.json(f"{folder}/rows.json")
    if made is None:
        return None
    about = {"name": name, "kind": made["kind"], "folder": folder, "weights": made["weights"]}
    if rows is not None:
        part = Part(**{**rows, "replaces": tuple(rows["replaces"])})
        taught = run.store.frame(part, columns=["high", "low"]).to_numpy().astype(np.uint64)
        left = any(wanted.gone[key].size or key in wanted.unseen for key in facts["rows"] if key in wanted.gone)
        held = (PERHAPS if left and folder in since.marked else NONE).plus(len(places_of(wanted.uids, taught)))
        return {**about, **held.told()} if held.any else None
    kinds = catalogue()
    if made["kind"] in kinds and getattr(kinds[made["kind"]].load(), "over", "") != "pool":
        return None
    held = since.of_made(folder, lambda: since.left).plus(int(wanted.numbers[run.facts["pool"]].size))
    return {**about, **held.told()} if held.any else None


def _score(run: Run, score: Score, wanted: _Wanted, since: GoneSince) -> dict[str, Any] | None:
    """A score whose training used some of the rows; or, `rows` None, may have."""
    stage, address = stage_of(run, score.arm), score.key.rpartition("/")[0]
    known = stage is not None and score.arm["kind"] != "random" and not score.arm["name"].endswith(WITHOUT)
    gone = since.of_made(address, lambda: since.of_stage(str(stage)) if known else PERHAPS)
    held = _trained(run, score, wanted)
    both = gone.plus(held.rows) if held.rows is not None else Count(None, gone.least)
    return {"key": score.key, "arm": score.arm["name"], "seed": score.seed, **both.told()} if both.any else None


def _trained(run: Run, score: Score, wanted: _Wanted) -> Count:
    """How many of the rows that were not taken down it used."""
    members = members_of(run.store, wanted.lists, score.digest)
    if members is not None:
        return NONE.plus(len(places_of(wanted.uids, members)))
    mask, _, _ = trained_rows(run, score, wanted.lists)
    numbers = wanted.numbers[run.facts["pool"]]
    if mask is None:
        return PERHAPS if numbers.size else NONE
    return NONE.plus(int(mask[numbers].sum()))


def _verdicts(run: Run, scores: Sequence[dict[str, Any]], listed: Sequence[Score]) -> list[dict[str, Any]]:
    """The run's verdicts with the lines that one of these scores is in, in the names that the run gave to arms."""
    names = {one.arm["id"]: one.arm["name"] for one in reversed(listed) if one.run == run.folder}
    arms, found = {one["arm"] for one in scores}, []
    for key in verdicts_of(run.store, run.folder):
        pairs = [(names.get(one["candidate"]), names.get(one["control"]), one["answer"]) for one in run.store.json(key)["contrasts"]]
        lines = [{"candidate": a, "control": b, "answer": answer} for a, b, answer in pairs if a in arms or b in arms]
        if lines:
            found.append({"file": key, "lines": lines})
    return found
