"""Before the first pass: the pool's uids, the recipe's models, and whether stored evidence may still be trusted."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.catalogue import Catalogue, versions_of
from curate.content import content
from curate.digest import UInt64s, sha256
from curate.errors import NondeterminismError, PoolError, SignalBugError, StoreError
from curate.evidence import Contents, Given, aligned, given, measure_rows
from curate.executor import Crashed, Executor
from curate.grouping import LINK_SCHEMA
from curate.model import Made, Model, digest_of_model, pack
from curate.pieces import Piece, pieces_of, pool_key, read_uids
from curate.plan import POOL, Fed, Groups, Measure, Plan, Reference, Training, parted
from curate.pool import Pool
from curate.sketches import Sketches
from curate.store import Store
from curate.takedown.revoked import ERROR, revoked
from curate.task import Shelf
from curate.work import drawn, shelve_all

SAMPLE = 64
FLOAT_TOLERANCE = 1e-5


@dataclass(frozen=True)
class MakeTask:
    """Everything needed to make a model elsewhere."""

    store: str
    training: Training
    shelf: Shelf

    @property
    def gpu(self) -> bool:
        """Whether the recipe asks for a GPU to make it."""
        return str(self.training.parameters.get("device", "")).startswith("cuda")


def missing_models(plan: Plan, store: Store) -> list[Training]:
    """Those that can be made now: none of the evidence that they are made from waits for another model."""
    return [one for one in plan.models.values() if not one.pending and store.json(f"{one.folder}/model.json") is None]


def make_models(training: Mapping[str, Training], store: Store, executor: Executor) -> list[str]:
    """Make the models that the store lacks, those of equal making once; returns the names of those made now."""
    ids: dict[str, Training] = {}
    for one in training.values():
        if not one.pending and store.json(f"{one.folder}/model.json") is None:
            ids.setdefault(one.id, one)
    missing = list(ids.values())
    shelf = shelf_of(training, store)
    for index, receipt in executor.map(make_model, [MakeTask(store.address, one, shelf) for one in missing]):
        if isinstance(receipt, Crashed):
            name = missing[index].name
            raise SignalBugError(
                f"making the model {name} killed its worker {receipt.attempts} times: {receipt.detail}",
                where=f"models.{name}",
                fix="give it more memory, or fewer training rows",
            )
        rows = receipt.pop("rows")
        if rows:
            store.put_json(f"{missing[index].folder}/rows.json", rows)
        store.put_json(f"{missing[index].folder}/model.json", receipt)
    return [one.name for one in training.values() if one.id in ids]


def make_model(task: MakeTask) -> dict[str, Any]:
    """Make one model, write its weights, card and list of training rows, and say where they are. Runs in a worker."""
    store, training = Store.open(task.store), task.training
    shelve_all(task.shelf, store)
    reads, given = training.model.reads, training.fed[-len(training.rows) :] if training.rows else ()
    frames = [training_rows(fed, reads, store)[0] for fed in given]
    streams = [_stream(training.fed[0], reads, store, training.sample)] if training.over else []
    made: Made = training.model(*streams, *frames, **training.parameters)
    rows = None
    if frames:
        seen = pl.concat([_contents(pool, store).with_columns(pool=pl.lit(number, pl.UInt8)) for number, pool in enumerate(training.rows)])
        rows = asdict(store.put_frame(training.folder, "rows", seen))
        made.card["training_rows"] = sum(frame.height for frame in frames)
    weights, card = pack(made)
    digest = digest_of_model(made.weights, made.card)
    attempt = uuid.uuid4().hex
    store.storage.put(f"{training.folder}/{attempt}/weights.safetensors", weights)
    store.storage.put(f"{training.folder}/{attempt}/card.json", card)
    return {
        "id": training.id,
        "kind": training.kind,
        "folder": f"{training.folder}/{attempt}",
        "weights": digest,
        "card": made.card,
        "files": {"weights.safetensors": sha256(weights), "card.json": sha256(card)},
        "rows": rows,
    }


def _stream(fed: Fed, roles: tuple[str, ...], store: Store, share: float) -> Iterator[pl.DataFrame]:
    """The rows drawn of the pool, a piece at a time."""
    for piece in pieces_of(fed.pool):
        frame, wanted = _rows(fed, roles, piece, store), ~(_barred(fed, piece, store) | _refused(fed.pool, piece, store))
        if share < 1:
            wanted &= drawn(read_uids(store, pool_key(fed.pool), piece.shard)[piece.start : piece.stop], share)
        yield frame if wanted.all() else frame.filter(pl.Series(wanted))


def _rows(fed: Fed, roles: tuple[str, ...], piece: Piece, store: Store) -> pl.DataFrame:
    """Roles and evidence of a piece; null where evidence has an error."""
    shard = fed.pool.shards[piece.shard]
    read = fed.pool.read(shard, roles=roles, start=piece.start, stop=piece.stop).frame if roles else pl.DataFrame()
    found = stored_inputs(fed.pool, piece, fed.inputs, fed.measures, store)
    return pl.DataFrame([*read.get_columns(), *pl.select(pl.when(found.fault.is_null()).then(one) for one in found.columns).get_columns()])


def _barred(fed: Fed, piece: Piece, store: Store) -> npt.NDArray[np.bool_]:
    """The restricted rows of a piece, and those of which it is not known because their evidence has an error."""
    if fed.lawful is None:
        return np.zeros(piece.rows, bool)
    found = stored_inputs(fed.pool, piece, {column: column for column in fed.lawful.columns}, fed.measures, store)
    unread: npt.NDArray[np.bool_] = found.fault.is_not_null().to_numpy()
    return fed.lawful.bars(pl.DataFrame(found.columns)) | unread


def _refused(pool: Pool, piece: Piece, store: Store) -> npt.NDArray[np.bool_]:
    """The rows of a piece that were taken down."""
    return revoked(store).mask(pool.shards[piece.shard], piece.start, piece.stop)


def _refuse_restricted(fed: Fed, store: Store) -> None:
    """PoolError, by addresses alone, where a pool that teaches what is good holds restricted rows."""
    barred = [(piece, _barred(fed, piece, store) & ~_refused(fed.pool, piece, store)) for piece in pieces_of(fed.pool)]
    places = [(piece, row) for piece, mask in barred for row in np.flatnonzero(mask).tolist()]
    if places:
        first = ", ".join(f"{fed.pool.shards[piece.shard].path} row {piece.start + row}" for piece, row in places[:3])
        what = f"{len(places):,} rows to train on are restricted, or cannot be read to tell"
        raise PoolError(what, where=f"{fed.pool.root}: {first}", fix="remove them from that pool")


def stored_inputs(pool: Pool, piece: Piece, inputs: Mapping[str, str], measures: Mapping[str, Measure], store: Store) -> Given:
    """The evidence that parameters name, as the pool and the store have it."""
    shard = pool.shards[piece.shard]
    found: dict[str, tuple[pl.Series, pl.Series | None]] = {}
    for key, reference in inputs.items():
        name, column = parted(reference)
        if name == POOL:
            read = pool.read(shard, columns=[column], start=piece.start, stop=piece.stop)
            found[key] = read.frame[reference], read.faults.get(reference)
        else:
            near = [p for p in store.parts(measures[name].folder).get(shard.digest, []) if p.start < piece.stop and p.stop > piece.start]
            frames = [store.frame(part, columns=["row", column, "error"]) for part in near]
            known = aligned(frames, measures[name], piece, None, [column, "error"])
            found[key] = known[column], known["error"]
    return given(found, piece.rows)


def training_rows(fed: Fed, roles: tuple[str, ...], store: Store) -> tuple[pl.DataFrame, UInt64s]:
    """The complete rows of a training pool in uid order, so that file order does not matter; none that was taken down."""
    pool = fed.pool
    _refuse_restricted(fed, store)
    frames = [_rows(fed, roles, piece, store) for piece in pieces_of(pool)]
    words = np.concatenate([pool.uids(shard)[0] for shard in pool.shards])
    columns = [*roles, *fed.inputs]
    frame = pl.concat(frames).with_columns(high=words[:, 0], low=words[:, 1]).filter(~pl.Series(_gone(pool, store)))
    frame = frame.drop_nulls(columns).sort("high", "low")
    return frame.select(columns), frame.select("high", "low").to_numpy()


def _gone(pool: Pool, store: Store) -> npt.NDArray[np.bool_]:
    """Which rows of a pool were taken down."""
    return np.concatenate([np.zeros(0, bool), *[revoked(store).mask(shard) for shard in pool.shards]])


def _contents(pool: Pool, store: Store) -> pl.DataFrame:
    """{key, high, low}: content and uid of every row that was not taken down."""
    read = pl.concat([pool.read(shard, roles=content.roles).frame for shard in pool.shards])
    words = np.concatenate([pool.uids(shard)[0] for shard in pool.shards])
    every = pl.DataFrame({"key": content.measure(read, {})["key"], "high": words[:, 0], "low": words[:, 1]})
    return every.filter(~pl.Series(_gone(pool, store)))


def shelf_of(training: Mapping[str, Training], store: Store) -> tuple[tuple[str, Model, str], ...]:
    """(digest, model, folder) of every model made."""
    found = [(store.json(f"{one.folder}/model.json"), one) for one in training.values()]
    return tuple((value["weights"], one.model, value["folder"]) for value, one in found if value)


def made_weights(training: Mapping[str, Training], store: Store) -> tuple[dict[str, str], dict[str, str]]:
    """Training.id to the digest that signals are given, and to the key of its list of training rows, for the models already made."""
    weights, lists = {}, {}
    for one in training.values():
        value = store.json(f"{one.folder}/model.json")
        if value:
            weights[one.id] = value["weights"]
            lists[one.id] = f"{one.folder}/rows.json"
    return weights, lists


def check_code(plan: Plan, catalogue: Catalogue, store: Store) -> list[str]:
    """Adopt a signal's changed code or libraries if a sample of its stored rows of this pool, or of one that a stage's rows are held
    against, still measures the same, and a grouping's if a sample of its stored sketches is still linked the same; returns the names.

    NondeterminismError asks for a version bump where it does not.
    """
    adopted = []
    linked = {groups.sketch.name: groups for groups in plan.groups.values()}
    used = [(plan.pool, measure, plan.measures) for measure in plan.measures.values()]
    fed: list[Reference | Fed] = [*plan.references.values(), *(fed for one in plan.models.values() for fed in one.fed)]
    used += [(one.pool, measure, one.measures) for one in fed for measure in one.measures.values()]
    for pool, measure, measures in used:
        if measure.pending:
            continue
        entry = catalogue.get(measure.kind.removesuffix(".sketch"))
        code: dict[str, Any] = {"source": entry.source if entry else "engine", "versions": versions_of(measure.signal.uses)}
        if measure.kinds:  # a model's loader is part of what measures
            code["models"] = {kind: catalogue[kind].source for kind in measure.kinds}
        now = {**code, "pool": pool_key(pool)}
        known = [store.json(key) for key in store.storage.list(f"{measure.folder}/code/")]
        if now in known:
            continue
        before = [{**one, "pool": now["pool"]} for one in known]
        changed = any(one != now for one in before)
        links_differ = changed and measure.name in linked and _links_differ(linked[measure.name], store)
        if links_differ or (changed and _sample_differs(pool, measure, measures, store)):
            raise NondeterminismError(
                f"{measure.kind} changed (code or libraries) and {'links' if links_differ else 'measures'} stored rows differently",
                where=measure.folder,
                fix="raise its version, or go back to the code and libraries that made the evidence",
            )
        how = {
            "name": measure.signal.name,
            "version": measure.signal.version,
            "parameters": measure.parameters,
            "fingerprint": measure.fingerprint,
        }
        store.put_json(f"{measure.folder}/signal.json", {**how, "columns": {k: str(v) for k, v in measure.signal.schema.items()}})
        if not store.put_json(f"{measure.folder}/code/{len(known) + 1:04d}.json", now):
            raise StoreError(
                "another process publishes to this store",
                where=f"{store.address}/{measure.folder}",
                fix="run one command at a time on a store",
            )
        adopted += [measure.name] if changed and now not in before else []
    return adopted


def _links_differ(groups: Groups, store: Store) -> bool:
    """Whether some of the keys that were linked before, or not, would be linked otherwise now."""
    parts = store.parts(groups.folder)
    if groups.grouping.links is None or not parts.get("sketches"):
        return False
    first = parts["sketches"][0]
    sketches = store.frame(first).cast(pl.Schema({name: groups.sketch.signal.writes[name] for name in store.frame(first).columns}))
    both_inside = pl.col("i").is_between(first.start, first.stop - 1) & pl.col("j").is_between(first.start, first.stop - 1)
    pairs = [store.frame(part).filter(both_inside) for part in parts.get("pairs", [])]
    inside = pl.concat([pl.DataFrame(schema=LINK_SCHEMA), *pairs]).unique(maintain_order=True)
    some = pl.concat([inside["i"].head(SAMPLE // 4), inside["j"].head(SAMPLE // 4)]).cast(pl.Int64)
    numbers = pl.concat([some, pl.int_range(first.start, min(first.stop, first.start + SAMPLE // 2), eager=True)]).unique().sort()
    gone = [store.frame(part)["number"].cast(pl.Int64) for part in parts.get(ERROR, [])]  # of rows taken down: another's sketch is there
    numbers = numbers.filter(~numbers.is_in(pl.concat(gone).implode())) if gone else numbers
    if numbers.is_empty():
        return False
    sample = Sketches.of(sketches[numbers.to_numpy() - first.start])
    fresh = pl.concat([pl.DataFrame(schema=LINK_SCHEMA), *groups.grouping.links(sample, **groups.link_parameters)]).unique()
    fresh = fresh.with_columns(i=numbers.gather(fresh["i"]).cast(pl.UInt32), j=numbers.gather(fresh["j"]).cast(pl.UInt32))
    stored = inside.filter(pl.col("i").is_in(numbers.implode()) & pl.col("j").is_in(numbers.implode()))
    both = stored.join(fresh, on=["i", "j"], how="inner")
    return both.height != max(stored.height, fresh.height) or bool(
        ((both["similarity"] - both["similarity_right"]).abs() > FLOAT_TOLERANCE).any()
    )


def _sample_differs(pool: Pool, measure: Measure, measures: Mapping[str, Measure], store: Store) -> bool:
    by_shard = store.parts(measure.folder)
    for number, shard in enumerate(pool.shards):
        for part in by_shard.get(shard.digest, [])[:1]:
            piece = Piece(0, number, part.start, part.stop, 0)
            stored = aligned([store.frame(part)], measure, piece, None)
            stored = stored.with_columns(row=np.arange(part.start, part.stop)).filter("measured")
            stored = stored.filter(pl.col("error").ne_missing(ERROR)).head(SAMPLE)
            rows = stored["row"].to_numpy()
            inputs = stored_inputs(pool, piece, measure.inputs, measures, store)
            places = rows - part.start
            some = Given([column.gather(places) for column in inputs.columns], inputs.fault.gather(places))
            fresh = measure_rows(Contents(pool, shard), measure, rows, some)
            for name, dtype in measure.signal.schema.items():
                same = (stored[name] - fresh[name]).abs() <= measure.signal.tolerance if dtype.is_float() else stored[name] == fresh[name]
                if not (same.fill_null(False) | (stored[name].is_null() & fresh[name].is_null())).all():
                    return True
            return False
    return False
