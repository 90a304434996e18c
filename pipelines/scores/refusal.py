"""Before a model is trained: rows that show what the recipe's own scale evaluates on are refused, whatever file they come in."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from curate.digest import UInt64s, hex_of
from curate.errors import PoolError
from curate.plan import Plan
from curate.pool import Pool
from curate.store import Store
from curate.takedown.revoked import revoked
from eval_fixed_model.leaks.images import leaked_pairs
from eval_fixed_model.loops import Split
from eval_fixed_model.rows.images import Bytes, Rows, pixels
from eval_fixed_model.scale import ImageTextScale, load_scale

SPLITS: tuple[Split, ...] = ("validation", "test")


def refuse_evaluation_images(plan: Plan, store: Store) -> None:
    """PoolError if a model that the store lacks would be trained on evaluation pictures of the recipe's scale: equal files, equal pixels,
    and re-encoded copies (`eval_fixed_model.leaks.images`), of either split; it says how many and names the first rows."""
    evaluate = plan.recipe.evaluate
    missing = [one for one in plan.models.values() if one.rows and store.json(f"{one.folder}/model.json") is None]
    pools = {pool.id: (one.name, pool) for one in missing for pool in one.rows if "image" in pool.roles}
    if evaluate is None or not pools:
        return
    scale = load_scale(evaluate.scale)
    if not isinstance(scale, ImageTextScale):
        return
    for name, pool in pools.values():
        shown = np.concatenate([np.zeros((0, 2), np.uint64), *(_shown(uids, images, scale) for uids, images in _read(pool, scale, store))])
        if len(shown):
            raise PoolError(
                f"{len(shown):,} rows that the model {name} would be trained on show evaluation pictures of {scale.name}",
                where=f"{pool.root}: " + ", ".join(f"row {uid}" for uid in hex_of(shown[:3])),
                fix="remove them: the judge must not share rows with the filter",
            )


def _shown(uids: UInt64s, images: Bytes, scale: ImageTextScale) -> UInt64s:
    """The uids of those that show an evaluation picture."""
    rows = Rows(scale.digest, images, np.zeros((len(uids), 0), np.uint16), uids, pl.DataFrame())
    found = [leaked_pairs(rows, scale, split)["row"].to_numpy() for split in SPLITS]
    shown: UInt64s = uids[np.unique(np.concatenate(found))]
    return shown


def _read(pool: Pool, scale: ImageTextScale, store: Store) -> Iterator[tuple[UInt64s, Bytes]]:
    """Uids and pixels of the rows that decode and were not taken down, group by group."""
    side = scale.image.resolution
    for shard in pool.shards:
        uids, start, refused = pool.uids(shard)[0], 0, revoked(store).mask(shard)
        for height in shard.groups:
            images = pool.read(shard, roles=["image"], start=start, stop=start + height).frame["image"].to_list()
            made = [
                (row, one)
                for row, image in enumerate(images)
                if image is not None and not refused[start + row] and (one := _decoded(image, scale)) is not None
            ]
            places = start + np.array([row for row, _ in made], np.int64)
            yield uids[places], np.stack([one for _, one in made]) if made else np.zeros((0, 3, side, side), np.uint8)
            start += height


def _decoded(image: bytes, scale: ImageTextScale) -> Bytes | None:
    try:
        return pixels(image, scale.image.resolution, scale.image.resize)
    except ValueError:
        return None
