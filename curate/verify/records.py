"""What a store says of itself: its records, the chain of heads, the ledgers, and every file that these name."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from curate.digest import canonical_json, sha256
from curate.errors import StoreError
from curate.ledger import END, START, check
from curate.seal import is_sealed, unsealed
from curate.store import FORMAT, Store
from curate.verify.findings import RESTORE, Finding
from curate.verify.kinds import RECORDS, UNSEALED, kind_of, misshapen

PURGED = ("signals/", "links/", "pools/", "subsets/", "models/")
"""Where what was taken away never comes again under its name."""
AGAIN = "run the command again that wrote it; if that changes nothing, the ledger was cut: restore it from a copy"
Others = Callable[[str], bool]


@dataclass
class Ledgered:
    """A ledger whose chain holds: its facts, the head that it leads to, and whether the store's chain knows that head."""

    key: str
    facts: list[dict[str, Any]]
    head: str
    known: bool


@dataclass
class Contents:
    """A store as its records tell it. `records` are the sound ones, without seals; `named` are the digests that ledgers name, None where a
    file was taken away on purpose; `purged` the digests of files as they were before a take-down, with their names, and `taken` the folders
    of rows to train on that left with it; `lighter` shards that lost only rows
    which had been taken down; `bad` the files that something is wrong with."""

    store: Store
    keys: list[str]
    kinds: dict[str, str] = field(default_factory=dict)
    records: dict[str, Any] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    heads: list[tuple[str, str, str]] = field(default_factory=list)
    ledgers: list[Ledgered] = field(default_factory=list)
    named: dict[str, str | None] = field(default_factory=dict)
    purged: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    lighter: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    head: str = START

    def find(self, what: str, where: str, fix: str = RESTORE, place: str = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(what, where, fix, place))

    @property
    def bad(self) -> set[str]:
        """Files with findings."""
        return {finding.where for finding in self.findings}

    def of_kind(self, kind: str) -> Iterator[tuple[str, Any]]:
        """(key, record) of every sound record of a kind."""
        return ((key, value) for key, value in self.records.items() if self.kinds.get(key) == kind)

    @classmethod
    def read(cls, store: Store, others: Others = lambda _: False, head: str | None = None) -> "Contents":
        """Read all records; `others` says which keys someone else looks after. `head` is one that an earlier check printed."""
        held = cls(store, store.storage.list(""))
        held._unsealed([key for key in held.keys if held._read(key, others)])
        held._chain(head)
        for key in held.keys:
            if key.endswith(".jsonl") and (held.kinds.get(key) in ("ledger", "take-down") or others(key)):
                held._ledger(key)
        held._match()
        held._name()
        held._tombstones()
        held._indexes()
        return held

    def _unsealed(self, keys: list[str]) -> None:
        """Among sealed records one without a seal was changed; of many an earlier version may have written them."""
        if 2 * len(keys) < len(self.records):
            for key in keys:
                self.find("it has no seal: it was changed, or an earlier version wrote it", key)
        elif keys:
            what = f"{len(keys):,} records have no seal, the first is {keys[0]}: an earlier version wrote them, or they were changed"
            self.find(what, self.store.address, "run the recipes again with a new --store")

    def _read(self, key: str, others: Others) -> bool:
        """Read a file if it is a record; True where its seal is missing."""
        kind = kind_of(key)
        if kind is None:
            if not others(key):
                self.find("no store holds a file of this name", key, "find out what put it there, and move it away")
            return False
        self.kinds[key] = kind
        data = self._bytes(key) if kind in RECORDS or kind == "format" else b""
        if kind == "format" and data not in (None, FORMAT.encode()):
            self.find(f"it does not say {FORMAT}", key)
        if kind not in RECORDS or data is None:
            return False
        self.digests[key] = sha256(data)
        try:
            value = unsealed(data, where=key)
        except StoreError as error:
            self.find(error.what, key)
            return False
        lacking = isinstance(value, dict) and kind not in UNSEALED and not is_sealed(data)
        if why := misshapen(kind, key, value):
            self.find(why, key)
        elif kind in UNSEALED and canonical_json(value).encode() != data:
            self.find("it was not written so by Ceteris", key)
        else:
            self.records[key] = value
        return lacking

    def _bytes(self, key: str) -> bytes | None:
        try:
            return self.store.storage.get(key)
        except (KeyError, OSError) as error:
            self.find(f"it cannot be read: {error}", key)
            return None

    def _chain(self, head: str | None) -> None:
        """The store's own chain, line by line."""
        previous, passed = START, {START}
        lines = [key for key in self.keys if self.kinds.get(key) == "line"]
        for number, key in enumerate(lines):
            if key != f"ledger/{number + 1:08d}.json":
                self.find(f"the store's chain breaks: line {number + 1} is missing", f"ledger/{number + 1:08d}.json")
                break
            value = self.records.get(key)
            if value is not None and (value["n"], value["previous"]) != (number, previous):
                self.find("the store's chain breaks: this line does not follow from the one before it", key)
            if value is not None:
                self.heads.append((key, str(value["run"]), str(value["head"])))
            previous = self.digests.get(key, "")
            passed |= {previous, str(value["head"]) if value else ""}
        self.head = previous
        if head is not None and not any(one.startswith(head) for one in passed):
            what = f"the store's chain never came by the head {head}: it was cut short or written anew since"
            self.find(what, "ledger/", "restore the folder `ledger` from a copy")

    def _ledger(self, key: str) -> None:
        data = self._bytes(key)
        try:
            text = (data or b"").decode()
            head = check(text, where=key)
        except StoreError as error:
            self.find(
                "the ledger's chain is broken: this line does not follow from the one before it", key, place=error.where.split(", ")[-1]
            )
            return
        except UnicodeDecodeError as error:
            self.find("it is no text", key, place=f"line {(data or b'')[: error.start].count(10) + 1}")
            return
        facts = [json.loads(line) for line in text.split("\n") if line]
        if canonical := next((n for n, line in enumerate(text.split("\n"), 1) if line and canonical_json(json.loads(line)) != line), 0):
            self.find("this line was not written so by Ceteris", key, place=f"line {canonical}")
        head = sha256(data or b"") if self.kinds.get(key) == "take-down" else head
        known = any((run, at) == (self._spoken(key), head) for _, run, at in self.heads)
        ends = bool(facts) and facts[-1].get("what") == END
        self.ledgers.append(Ledgered(key, facts, head, known))
        if not known and not ends:
            self.find("the ledger ends in the middle: it was cut short", key)

    def _spoken(self, ledger: str) -> str:
        """What the store's chain calls a ledger by: the run, the entry; a take-down's by its own name."""
        kind = self.kinds.get(ledger)
        return ledger.rpartition("/")[0] if kind == "ledger" else ledger if kind == "take-down" else ledger[:-1]

    def _match(self) -> None:
        """Heads without a ledger, and ledgers without a head."""
        whole = {(self._spoken(one.key), one.head) for one in self.ledgers}
        there = set(self.keys)
        done = {run for run, _ in whole} & {run for _, run, _ in self.heads}
        for line, run, head in self.heads:
            if run.startswith("runs/") and run.count("/") == 1:
                if (run, head) not in whole and not any(where.startswith(f"{run}/ledger") for where in self.bad):
                    self.find(f"no ledger of this run leads to the head {head[:16]}, which {line} holds", f"{run}/ledger.jsonl")
            elif run.endswith(".json") and "/entries/" in run:
                if run not in there:
                    self.find(f"{line} names this entry, and it is gone", run)
                if (run, head) not in whole and f"{run}l" not in self.bad:
                    self.find(f"it does not lead to the head {head[:16]}, which {line} holds", f"{run}l")
            else:
                self.named[run] = head
        for one in self.ledgers:
            folder = self._spoken(one.key)
            finished = (f"{folder}/run.json" if self.kinds.get(one.key) == "ledger" else folder) in there
            if not one.known and folder not in done and finished:
                self.find("the store's chain does not know this ledger's head", one.key, AGAIN)

    def _tombstones(self) -> None:
        """The key that hashes of what was taken down were made with, and the chain of requests."""
        stones = dict(self.of_kind("tombstone"))
        if stones and "revocations/key" not in self.keys:
            self.find("the key of the tombstones is gone: what was taken down cannot be told", "revocations/key", "restore it from a copy")
        key = sha256(self._bytes("revocations/key") or b"") if "revocations/key" in self.keys else ""
        if key and any(stone.get("key", key) != key for stone in stones.values()):
            self.find("it is not the key that the tombstones were made with", "revocations/key", "restore it from a copy")

    def _indexes(self) -> None:
        """Indexes that do not say what they are of; one may be deleted, but whole."""
        listed = {"/".join(key.split("/")[:2]) for key, _ in self.of_kind("manifest") if key.startswith("indexes/")}
        for key in sorted({f"{folder}/about.json" for folder in listed} - set(self.keys)):
            self.find("it is gone, and parts of its index are there", key, "delete the folder; `curate index` makes it again")

    def _name(self) -> None:
        """What ledgers name, in the order of the chain: a later one may name a file anew, or that it was taken away."""
        order = {head: number for number, (_, _, head) in enumerate(self.heads)}
        for one in sorted((one for one in self.ledgers if one.known), key=lambda one: order[one.head]):
            for fact in one.facts:
                if fact.get("what") == "files" and isinstance(fact.get("files"), dict):
                    prefix = f"{fact['folder']}/" if fact.get("folder") else ""
                    self.named |= {f"{prefix}{name}": digest for name, digest in fact["files"].items()}
                if fact.get("what") == "purged":  # of a take-down
                    self.named |= {fact["file"]: None} | ({fact["file_after"]: fact["after"]} if fact.get("file_after") else {})
                    self.purged |= {fact["before"]: fact["file"]} if fact.get("before") != fact.get("after") and fact.get("before") else {}
                    if fact["file"].startswith("rows/") and fact["file"].endswith("/rows.json"):  # later ones have another name
                        self.taken.add(fact["file"].rpartition("/")[0])
        for key, _ in self.of_kind("export"):
            if key not in self.named:
                self.find(
                    "no line of the store's chain names it", key, "restore `ledger` from a copy; if that export was interrupted, delete it"
                )
        there = set(self.keys)
        for key, digest in self.named.items():
            if kind_of(key) == "settled":  # runs write it anew
                continue
            if digest is None:
                if key in there and (key.startswith(PURGED) or ("/parts/" in key and not key.startswith("rows/"))):
                    self.find("it was taken away, as a ledger says, and is there", key, "delete it")
            elif key not in there:
                self.find("a ledger names this file, and it is gone", key)
            elif self.digests.get(key, digest) != digest and key not in self.bad:
                self.find("it is not the file that a ledger names", key)
