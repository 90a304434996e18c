"""README and NOTICE of a package, written from its other files alone: who receives it writes them again, and holds them against these."""

from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np

from curate.plan import POOL, parted
from curate.recipe import Recipe
from curate.record import Run, Selected
from curate.subset import Subset
from pipelines.documents.answers import Answers
from pipelines.documents.card import card
from pipelines.documents.facts import Facts, Judgement, MadeModel, Measured
from pipelines.documents.markdown import plain
from pipelines.documents.shapes import CardShape, ManifestShape, PoolShape, PoolsShape, SignalsShape, json_of, read_json, text_of
from pipelines.provenance.notice import Notice, notice_of

MANIFEST, SUBSET, RECIPE, LEDGER, FUNNEL, POOLS, SIGNALS, CARD, README, NOTICE = (
    "manifest.json", "subset.bin", "recipe.yaml", "ledger.jsonl", "funnel.json", "pools.json", "signals.json", "card.json", "README.md",
    "NOTICE.txt",
)  # fmt: skip
RELEASE = f"ceteris {version('ceteris')}"
"""Whose words README and NOTICE are; another release may put them otherwise."""
_ROW = 20


def told(facts: Facts, answers: Answers) -> dict[str, Any]:
    """card.json: what the README says and no other file of the package."""
    nodes = facts.run.facts["nodes"]
    return {
        "node": facts.run.node_of(facts.name),
        "nodes": {line["stage"]: {key: nodes[line["stage"]][key] for key in _NODE} for line in facts.stages},
        "models": [one.name for one in facts.models],
        "mixes": [
            {"column": column, "rows": [{"value": value, "rows": many} for value, many in rows]} for column, rows in facts.mixes.items()
        ],
        "judgements": [asdict(one) for one in facts.judgements],
        "answers": {key: answers[key] for key in sorted(answers)},
    }


_NODE = ("parents", "combinator", "rule", "grouping", "columns")


@dataclass(frozen=True)
class _ReceivedRun:
    """What documents ask of a run, as the package has it."""

    folder: str
    facts: dict[str, Any]
    pool: PoolShape
    lines: list[dict[str, Any]]
    node: str

    def funnel(self) -> list[dict[str, Any]]:
        """Per stage: rows in, kept, reasons."""
        return self.lines

    def node_of(self, _: str) -> str:
        """The node whose rows the subset holds."""
        return self.node


class Received(Facts):
    """What is known of a subset from its package alone. CeterisError naming file and key where a file is malformed."""

    def __init__(self, folder: Path) -> None:
        """Read all files but weights."""
        self.__dict__["manifest"] = manifest = read_json(folder / MANIFEST, ManifestShape)
        self.__dict__["folder"] = folder
        run = _ReceivedRun(
            manifest.run,
            {"name": self.measured.name, "nodes": {name: one.model_dump() for name, one in self.card.nodes.items()}},
            self.pools.pool,
            funnel_of(self.ledger),
            self.card.node,
        )
        super().__init__(cast("Run", run), manifest.subset)

    manifest: ManifestShape
    folder: Path

    @cached_property
    def measured(self) -> SignalsShape:
        """signals.json."""
        return read_json(self.folder / SIGNALS, SignalsShape)

    @cached_property
    def card(self) -> CardShape:
        """card.json."""
        return read_json(self.folder / CARD, CardShape)

    @cached_property
    def pools(self) -> PoolsShape:
        """pools.json."""
        return read_json(self.folder / POOLS, PoolsShape)

    @cached_property
    def subset(self) -> Selected:
        """subset.bin: as many rows as the manifest says, where its size allows it."""
        data, rows = (self.folder / SUBSET).read_bytes(), self.manifest.rows
        rows = rows if len(data) == _ROW * rows else 0
        uids = np.frombuffer(data, ">u8", 2 * rows).astype(np.uint64).reshape(-1, 2)
        found = Subset(uids, np.frombuffer(data, ">u4", rows, 16 * rows).astype(np.uint32))
        return Selected(found.uids, found.copies, self.run, self.name)

    @property
    def digest(self) -> str:
        """As the manifest says."""
        return self.manifest.digest

    @cached_property
    def recipe(self) -> dict[str, str]:
        """{text, digest}, the digest as the manifest says."""
        return {"text": text_of(self.folder / RECIPE), "digest": self.manifest.recipe}

    @cached_property
    def ledger_text(self) -> str:
        """The run's ledger, as it stands."""
        return text_of(self.folder / LEDGER)

    @cached_property
    def ledger(self) -> list[dict[str, Any]]:
        """Its facts, in order; of lines that are no facts none."""
        lines = [json_of(line, f"{self.folder / LEDGER}, line {n}") for n, line in enumerate(self.ledger_text.split("\n"), 1) if line]
        return [line for line in lines if isinstance(line, dict)]

    @property
    def head(self) -> str:
        """As the manifest says."""
        return self.manifest.head

    @cached_property
    def signals(self) -> list[Measured]:
        """As signals.json says."""
        return [Measured(name=name, **one.model_dump()) for name, one in sorted(self.measured.signals.items())]

    @cached_property
    def models(self) -> list[MadeModel]:
        """Those that the subset's stages asked for."""
        known = sorted(self.measured.models.items())
        return [MadeModel(name, one.kind, one.id, one.weights, one.card, "", "", ()) for name, one in known if name in self.card.models]

    @cached_property
    def mixes(self) -> dict[str, list[tuple[str, int]]]:
        """As card.json says."""
        return {one.column: [(each.value, each.rows) for each in one.rows] for one in self.card.mixes}

    @cached_property
    def judgements(self) -> list[Judgement]:
        """As card.json says."""
        return [Judgement(**one.model_dump()) for one in self.card.judgements]


def funnel_of(ledger: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The funnel, as the ledger's facts tell it."""
    return [{key: value for key, value in one.items() if key not in _OWN} for one in ledger if one.get("what") == "stage"]


_OWN = ("n", "previous", "what", "id")


_FILES = (
    ("`manifest.json`", "SHA-256 of every other file, and what the package is about", "every file; its own identity"),
    (
        "`subset.bin`",
        "sorted uids, then how often each is used; its SHA-256 is the digest",
        "the ledger; the rows chosen again *",
    ),
    ("`recipe.yaml`", "what chose them", "the ledger"),
    ("`ledger.jsonl`", "the run's facts, each line with the hash of the one before", "its chain and head"),
    ("`funnel.json`", "rows in and kept at each stage, and why others left", "the ledger; the funnel made again *"),
    ("`pools.json`", "shards by digest, of the pool and of what models learned from", "the shards, with `--pool`"),
    ("`signals.json`", "filters and models by digest, with libraries", "the ledger; what is installed *"),
    ("`card.json`", "figures below that no other file has", "stages, models and distributions made again *; scores are the packer's word"),
    ("`README.md`, `NOTICE.txt`", "this page; licences of what it rests on", "both are written again from the files above"),
    ("`models/`", "weights, their cards, hashes of the rows they learned from", "`signals.json`"),
)
_CALLS = (
    ("", "the package against itself: THIS is this folder, or the .tar.zst as it came"),
    (" --pool POOL", "and the pool: POOL is a folder with the shards of pools.json, called as you like"),
    (" --pool POOL --remake", "and the rows, chosen again there"),
)


def readme(received: Received) -> str:
    """What the package is, how to check it, and the data card."""
    manifest = received.manifest
    sets = "".join(
        f" --set models.{name}.{one.kind}.{key}=PATH"
        for name, one in Recipe.parse(received.recipe["text"], where=RECIPE).models.items()
        for key, value in one.parameters.items()
        if isinstance(value, str) and "/" in value
    )
    lines = [
        f"# Package of the subset {plain(manifest.subset)}\n",
        f"{manifest.rows:,} of the {received.pools.pool.rows:,} rows of a pool, with what it takes to check and to make again the choice. "
        f"No row's content is in it. Written by {plain(manifest.by)}; check it with that release, or a later one:\n",
        "```sh",
        *(f"curate package --verify THIS{call}   # {what}" for call, what in _CALLS),
        "```\n",
        "It ends with `what was asked holds` and exit code 0, or names what does not hold, with exit code 1.",
    ]
    if sets:
        lines += [
            "Paths in the recipe are from the folder in which the command runs. What models are made from may lie elsewhere:\n",
            f"```sh\ncurate package --verify THIS --pool POOL --remake{sets}\n```\n",
            "`--with-weights` takes the package's weights instead of training again; what they are made from is needed all the same.",
        ]
    about = "".join(f"| {' | '.join(line)} |\n" for line in (("file", "what it is", "what is held against it"), ("---",) * 3, *_FILES))
    return "\n".join([*lines, "", about, "\\* with `--pool` and `--remake`\n\n"]) + card(received, None, received.card.answers)


def notice(received: Received) -> Notice:
    """What the subset rests on: its stages' signals and models, and the scale that its recipe names."""
    evaluate = Recipe.parse(received.recipe["text"], where=RECIPE).evaluate
    models = {one.name: {"kind": one.kind, "weights": one.weights, "card": one.card} for one in received.models}
    measures = {one.name: (one.folder, one.parameters) for one in received.signals}
    asked = {column for one in received.card.nodes.values() for column in one.columns if parted(column)[0] == POOL}
    label = f"{received.manifest.run.removeprefix('runs/')}, subset {received.name}"
    return notice_of(label, measures, models, evaluate.scale if evaluate else None, received.measured.name, asked)
