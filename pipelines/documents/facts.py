"""What is known of a subset, each part with where it stands; every document is written from this and from nothing else."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from curate import ledger
from curate.audit import NOT_SHOWN, mix
from curate.errors import CeterisError
from curate.plan import parted
from curate.recipe import Recipe
from curate.record import Run, Selected
from curate.takedown.revoked import must_be_made_again, revoked
from pipelines.provenance.restricted import refuse_restricted

if TYPE_CHECKING:
    from pipelines.scores.evaluations import Evaluation

SHOWN = 40
"""Values of a distribution that a document names; the rest is one line."""


@dataclass(frozen=True)
class Measured:
    """A signal as the run used it. `code` says what measured last: source digests and library versions."""

    name: str
    filter: str
    version: int
    fingerprint: str
    parameters: dict[str, Any]
    code: dict[str, Any]
    folder: str


@dataclass(frozen=True)
class MadeModel:
    """A model as the run used it; `id` is the digest of how it was made, `weights` of what it is. `trained_on`: keys of pools."""

    name: str
    kind: str
    id: str
    weights: str
    card: dict[str, Any]
    folder: str
    files: str
    trained_on: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """How the subset did against one control, in the headline's `measure` of `scale`, with so many decimal `places`; None where no interval
    can be told. `seeds` of each of both that the answer rests on."""

    candidate: str
    control: str
    answer: str
    difference: float
    low: float | None
    high: float | None
    seeds: str
    scale: str
    measure: str
    conditions: str
    places: int

    @property
    def told(self) -> str:
        """The difference, as it is printed."""
        return f"{self.difference:+.{self.places}f}"

    @property
    def span(self) -> str:
        """Its simultaneous interval, as it is printed; empty where there is none."""
        return "" if self.low is None or self.high is None else f"{self.low:+.{self.places}f} to {self.high:+.{self.places}f}"


@dataclass(frozen=True)
class Facts:
    """A subset of a run. What costs reading is read when a document first asks for it."""

    run: Run
    name: str

    @cached_property
    def subset(self) -> Selected:
        """Uids and how often each is used. CeterisError where a row of it was taken down."""
        return whole(self.run, self.name)

    @property
    def title(self) -> str:
        """RECIPE-SUBSET, in letters, digits, dots, dashes and underscores."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{self.run.facts['name']}-{self.name}")

    @property
    def digest(self) -> str:
        """The subset's."""
        found: str = self.run.facts["subsets"][self.name]
        return found

    @property
    def samples(self) -> int:
        """Rows counted as often as they are used."""
        return int(self.subset.copies.sum())

    @cached_property
    def recipe(self) -> dict[str, str]:
        """{text, digest}: the resolved recipe."""
        found: dict[str, str] = self.run.store.json(f"{self.run.folder}/recipe.json")
        return found

    @cached_property
    def ledger_text(self) -> str:
        """The run's ledger, its chain checked."""
        keys = self.run.store.storage.list(f"{self.run.folder}/ledger")
        key = f"{self.run.folder}/ledger{'' if len(keys) == 1 else f'-{len(keys)}'}.jsonl"
        text = self.run.store.storage.get(key).decode()
        ledger.check(text, where=f"{self.run.store.address}/{key}")
        return text

    @cached_property
    def ledger(self) -> list[dict[str, Any]]:
        """Its facts, in order."""
        return [json.loads(line) for line in self.ledger_text.split("\n") if line]

    @property
    def head(self) -> str:
        """The hash of the ledger's last line."""
        return ledger.check(self.ledger_text, where=self.run.folder)

    @cached_property
    def stages(self) -> list[dict[str, Any]]:
        """The lines of the funnel that lead to this subset, in order, each with its node's `parents`, `combinator` and `rule`."""
        nodes, wanted, waiting = self.run.facts["nodes"], set[str](), [self.run.node_of(self.name)]
        while waiting:
            name = waiting.pop()
            if name not in wanted:
                wanted.add(name)
                waiting += nodes[name]["parents"]
        told = {key: "" for key in ("parents", "combinator", "rule")}
        return [{**line, **{key: nodes[line["stage"]][key] for key in told}} for line in self.run.funnel() if line["stage"] in wanted]

    @cached_property
    def signals(self) -> list[Measured]:
        """The signals that these stages asked for, and those whose evidence they, or the models they were given, read."""
        return [self._measured(name) for name in self._asked[0]]

    @cached_property
    def _asked(self) -> tuple[list[str], list[str]]:
        """Names of the signals and of the models that these stages rest on, each sorted."""
        measures, nodes, groups = self.run.facts["measures"], self.run.facts["nodes"], self.run.facts["groups"]
        made, written = {one.name: one.weights for one in self.made}, Recipe.parse(self.recipe["text"]).models
        waiting = [("signal", parted(column)[0]) for line in self.stages for column in nodes[line["stage"]]["columns"]]
        waiting += [("signal", groups[name]["sketch"]) for line in self.stages if (name := nodes[line["stage"]]["grouping"]) in groups]
        found = dict[tuple[str, str], None]()
        while waiting:
            kind, name = waiting.pop()
            if (kind, name) in found or name not in (measures if kind == "signal" else made):
                continue
            found[kind, name] = None
            given = measures[name]["parameters"] if kind == "signal" else written[name].parameters
            texts = [value for value in given.values() if isinstance(value, str)]
            waiting += [("signal", parted(text)[0]) for text in texts if "." in text]
            waiting += [("model", model) for model, weights in made.items() if {model if kind == "model" else weights} & {*texts}]
        signals, models = (sorted(name for sort, name in found if sort == kind) for kind in ("signal", "model"))
        return signals, models

    def _measured(self, name: str) -> Measured:
        store, folder = self.run.store, self.run.facts["measures"][name]["folder"]
        about = store.json(f"{folder}/signal.json")
        codes = [store.json(key) for key in store.storage.list(f"{folder}/code/")]
        code: dict[str, Any] = next((one for one in reversed(codes) if one["pool"] == self.run.facts["pool"]), {})
        told = {key: value for key, value in code.items() if key != "pool"}
        return Measured(name, about["name"], about["version"], about["fingerprint"], about["parameters"], told, folder)

    @cached_property
    def models(self) -> list[MadeModel]:
        """The models whose evidence these stages asked for, and those that these were made with."""
        return [one for one in self.made if one.name in self._asked[1]]

    @cached_property
    def made(self) -> list[MadeModel]:
        """All models that the recipe trained or loaded, also for stages that do not lead to this subset."""
        found = []
        for name, one in sorted(self.run.facts["models"].items()):
            made = self.run.store.json(f"{one['folder']}/model.json")
            if made is None:
                where = f"{self.run.store.address}/{one['folder']}"
                raise CeterisError(f"the model {name} is gone", where=where, fix="run the recipe again")
            names = (name, made["kind"], made["id"], made["weights"])
            found.append(MadeModel(*names, made["card"], one["folder"], made["folder"], tuple(one["rows"])))
        return found

    @cached_property
    def mixes(self) -> dict[str, list[tuple[str, int]]]:
        """Rows by value of what says licence, licence class, language and source, most first, with the evidence or role that says so."""
        measures = self.run.facts["measures"]
        wanted = [f"{n}.{c}" for n, one in measures.items() if one["signal"] == "license" for c in ("expression", "class")]
        wanted += [f"{n}.code" for n, one in measures.items() if one["signal"].startswith("language") and "code" in one["columns"]]
        wanted += [role for role in ("license", "source") if role in self.run.pool.roles]
        from pipelines.provenance.fate import barred_of

        hidden = barred_of(self.run)
        tables = {column: mix(self.run, column, [self.name], hidden=hidden) for column in wanted}
        return {column: [(str(value), int(rows)) for value, rows in table.rows() if rows] for column, table in tables.items()}

    def mix_of(self, *names: str) -> tuple[str, list[tuple[str, int]]]:
        """The first distribution that is there of these columns (`license.expression` also as another name's `.expression`), or nothing."""
        for name in names:
            for column, rows in self.mixes.items():
                if column == name or (name.startswith(".") and column.endswith(name)):
                    return column, rows
        return "", []

    @property
    def licences(self) -> tuple[str, list[tuple[str, int]]]:
        """Declared licences by rows, as read by the licence signal where it measured any of them, else as the pool writes them."""
        column, rows = self.mix_of(".expression")
        if rows and any(value not in ABSENT for value, _ in rows):
            return column, rows
        return self.mix_of("license")

    @property
    def languages(self) -> list[tuple[str, int]]:
        """Language codes by rows, as measured; without rows that have no answer."""
        return [(value, rows) for value, rows in self.mix_of(".code")[1] if value not in (*ABSENT, "und")]

    @property
    def lost(self) -> dict[tuple[str, str], int]:
        """Rows that could not be measured or had no evidence, by kind and stage: of stages side by side, the same row may leave several."""
        found = dict[tuple[str, str], int]()
        for line in self.stages:
            for reason in line["reasons"]:
                if reason["kind"] not in ("dropped", "restricted"):
                    key = reason["kind"], line["stage"]
                    found[key] = found.get(key, 0) + reason["rows"]
        return found

    @cached_property
    def evaluation(self) -> "Evaluation | None":
        """The run's last evaluation of this subset; None where there was none, or where its scores rest on rows that were taken down."""
        store = self.run.store
        if not any("/entries/" in key for key in store.storage.list("scores/")):
            return None
        from pipelines.scores.evaluations import entries  # loads what scores are read with

        mine = [one for one in entries(store) if one.run == self.run.folder and self.name in one.arms]
        again = must_be_made_again(store)
        if not mine or any(place.rpartition("/")[0] in again for arm in mine[-1].arms.values() for place in arm.scores.values()):
            return None
        return mine[-1]

    @cached_property
    def judgements(self) -> list[Judgement]:
        """What was concluded of this subset, against each of its controls."""
        if (done := self.evaluation) is None:
            return []
        from pipelines.scores.verdicts import compare

        judged, found = compare(done, self.name), []
        about = done.scale.name, done.scale.headline.measure, done.conditions.removeprefix("scores/")
        places = 2 if done.scale.headline.measure == "points" else 3
        for one in judged.contrasts:
            known = [len(judged.family.arms[done.arms[name].id].seeds) for name in (one.candidate, one.control) if name in done.arms]
            seeds = " and ".join(map(str, dict.fromkeys(known)))
            found.append(Judgement(one.candidate, one.control, one.answer, one.difference, one.low, one.high, seeds, *about, places))
        return found


ABSENT = ("(none)", "(not measured)", NOT_SHOWN, "")


def whole(run: Run, name: str) -> Selected:
    """A subset of which no row was taken down since. CeterisError where one was: nothing that describes it may leave."""
    refused = revoked(run.store).of_pool(run.pool)
    if refused.size and (count := int((run.copies(run.node_of(name))[refused] > 0).sum())):
        what = f"{count:,} rows of {name} were taken down after this run"
        raise CeterisError(what, where=run.folder, fix="run the recipe again; its subset is without them")
    refuse_restricted(run, name)
    return run.subset(name)


def model_taken_down(run: Run, model: MadeModel) -> bool:
    """Whether a model rests on rows that were taken down."""
    return model.folder in must_be_made_again(run.store)


def shortened(rows: Sequence[tuple[str, int]], at_most: int = SHOWN) -> list[tuple[str, int]]:
    """The most frequent values, and one line for all others."""
    rest = rows[at_most:]
    return [*rows[:at_most], *([(f"({len(rest):,} other values)", sum(count for _, count in rest))] if rest else [])]
