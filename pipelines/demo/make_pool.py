"""Make the demo's pool: `python -m pipelines.demo.make_pool DIR --seed S --rows N`.

Every row is an original, a copy of one, or a leaked evaluation item, and may carry defects. The rates are effective: what a count over
the finished pool gives (of all rows, rounded to whole rows; `defects` plants them, a test counts them).

| defect | rate | what it is | what could notice it |
|---|---|---|---|
| mismatched | 30 % | the caption describes another scene | an image-text score |
| foreign | 30 % | a caption in German, French, Spanish, Korean, Chinese or Russian (true, unless also mismatched) | a language identifier |
| boilerplate | 13 % | the caption is a web page's phrase or a file name | length, an image-text score |
| copies | 20 % | another row's picture, half byte-equal, half noised, shifted by a pixel or re-encoded; heads by Zipf | duplicates |
| tiny, stretched | 3 % each | a side below 32 px; more than 3.2 times as long as short | shape |
| leaked | 1 % | picture and text of a test item, half byte-equal, half re-encoded | comparison with the evaluation set |
| miscounted | 3 % | only the number in the caption is wrong | nothing: no filter aims at it |
| broken | 0.5 % | truncated files, a web page, no bytes | decoding |
| captionless | 0.3 % | the text is null, empty or blank | length |

Copies have captions of their own about the shown scene, half of the time the original's words; their defects are planted like any row's.
"""

import argparse
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate.digest import h, hex_of
from pipelines.demo import captions, pictures, scenes, sources
from pipelines.demo.defects import Plan, plant
from pipelines.demo.evaluation_set import Leakable, leakable

TRUSTED_ROWS = 1_500

_NO_CAPTION = (None, "", "   ")
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_POOL = pa.schema([(name, _IMAGE if name == "image" else pa.string()) for name in ("uid", "image", "text", "url", "license", "source")])
_TRUTH = pa.schema(
    [
        ("uid", pa.string()), ("good", pa.bool_()), ("mismatched", pa.bool_()), ("language", pa.string()), ("boilerplate", pa.bool_()),
        ("miscounted", pa.bool_()), ("captionless", pa.bool_()), ("tiny", pa.bool_()), ("stretched", pa.bool_()), ("broken", pa.string()),
        ("copy_of", pa.string()), ("copy_kind", pa.string()), ("leak_of", pa.int64()), ("license_class", pa.string()),
        ("thing", pa.string()), ("colour", pa.string()), ("count", pa.int64()), ("relation", pa.string()),
    ]
)  # fmt: skip
_PLANNED = ("mismatched", "boilerplate", "miscounted", "captionless", "tiny", "stretched", "broken", "copy_kind")


def make_pool(folder: Path, *, rows: int = 12_000, seed: int = 0, shards: int = 6) -> None:
    """Write `shards/*.parquet` (Hugging Face image-text layout), `trusted/trusted.parquet` (clean pairs, other templates) and, aside,
    `truth/truth.parquet`: per uid every planted defect, `copy_of` (a uid) and `leak_of` (row number in the evaluation Parquet).

    Equal arguments give equal rows; picture bytes are equal where Pillow's release is.
    """
    plan = plant(rows, random.Random(f"defects {seed}"))
    uids = _uids("pool", seed, rows)
    shown, images, leaks = _images(plan, seed)
    texts = _texts(plan, shown, leaks, random.Random(f"captions {seed}"))
    paths, origins = _origins(images, random.Random(f"origins {seed}"))
    pool = _table(uids, images, paths, texts, origins)
    for number, part in enumerate(np.array_split(np.arange(rows), shards)):
        _write(pool.slice(int(part[0]) if part.size else 0, part.size), folder / "shards" / f"part-{number:05d}.parquet")
    _write(_trusted(seed), folder / "trusted" / "trusted.parquet")
    _write(_truth(plan, uids, shown, leaks, origins), folder / "truth" / "truth.parquet")


def _images(plan: Plan, seed: int) -> tuple[list[scenes.Scene | None], list[bytes], dict[int, Leakable]]:
    """Per row the scene shown (None: a leaked item's) and the file; originals first, then their copies."""
    rng = random.Random(f"pictures {seed}")
    leaked = [row for row in range(plan.rows) if plan.leaked[row]]
    leaks = dict(zip(leaked, rng.sample(items := leakable(), min(len(items), len(leaked))), strict=False))
    shown: list[scenes.Scene | None] = [None] * plan.rows
    images: list[bytes] = [b""] * plan.rows
    for row in range(plan.rows):
        if row in leaks:
            image = leaks[row].image
            images[row] = image if rng.random() < 0.5 else pictures.near_copy(image, "re-encoded", rng)
        elif plan.copy_of[row] is None:
            scene = scenes.sample_count(rng, rng.randint(1, 4)) if plan.miscounted[row] else scenes.sample(rng)
            shown[row], images[row] = scene, _original(plan, row, scene, rng)
    for row, (head, kind) in enumerate(zip(plan.copy_of, plan.copy_kind, strict=True)):
        if head is not None and kind is not None:
            shown[row] = shown[head]
            images[row] = images[head] if kind == "exact" else pictures.near_copy(images[head], kind, rng)
    return shown, images, leaks


def _original(plan: Plan, row: int, scene: scenes.Scene, rng: random.Random) -> bytes:
    picture = scenes.draw(scene, rng)
    broken = plan.broken[row]
    if broken is not None:
        return pictures.broken(picture, broken, rng)
    change = pictures.tiny if plan.tiny[row] else pictures.stretched if plan.stretched[row] else pictures.stored
    return pictures.encode(change(picture, rng), rng)


def _texts(plan: Plan, shown: list[scenes.Scene | None], leaks: dict[int, Leakable], rng: random.Random) -> list[str | None]:
    texts: list[str | None] = []
    for row, scene in enumerate(shown):
        texts.append(leaks[row].text if scene is None else _text(plan, row, scene, rng))
    for row, head in enumerate(plan.copy_of):
        if head is not None and plan.caption_kind(row) == plan.caption_kind(head) and rng.random() < 0.5:
            texts[row] = texts[head]
    return texts


def _text(plan: Plan, row: int, scene: scenes.Scene, rng: random.Random) -> str | None:
    if plan.captionless[row]:
        return rng.choice(_NO_CAPTION)
    if plan.boilerplate[row]:
        return captions.boilerplate(rng)
    told = scene
    while plan.mismatched[row] and told._replace(background=0) == scene._replace(background=0):
        told = scenes.sample(rng)
    if plan.miscounted[row]:
        told = scene._replace(number=rng.choice([n for n in range(1, 5) if n != scene.number]))
    language = plan.language[row]
    return captions.english(told, captions.POOL, rng) if language == "en" else captions.foreign(told, language, rng)


def _trusted(seed: int) -> pa.Table:
    rng = random.Random(f"trusted {seed}")
    shown = [scenes.sample(rng) for _ in range(TRUSTED_ROWS)]
    images = [pictures.encode(pictures.stored(scenes.draw(scene, rng), rng), rng) for scene in shown]
    texts = [captions.english(scene, captions.TRUSTED, rng) for scene in shown]
    paths = [f"{i:06d}.{_ending(image)}" for i, image in enumerate(images)]
    origins = [sources.Origin("trusted.example", f"https://trusted.example/{path}", "CC0-1.0", "public-domain") for path in paths]
    return _table(_uids("trusted", seed, TRUSTED_ROWS), images, paths, list(texts), origins)


def _origins(images: list[bytes], rng: random.Random) -> tuple[list[str], list[sources.Origin]]:
    paths = [f"{i:06d}.{_ending(image)}" for i, image in enumerate(images)]
    return paths, [sources.sample(path, rng) for path in paths]


def _ending(image: bytes) -> str:
    return "png" if image.startswith(b"\x89PNG") else "jpg"


def _uids(what: str, seed: int, rows: int) -> list[str]:
    numbers = np.stack([np.zeros(rows, np.uint64), np.arange(rows, dtype=np.uint64)], axis=1)
    return hex_of(h(f"demo {what}", seed, numbers))


def _table(uids: list[str], images: list[bytes], paths: list[str], texts: list[str | None], origins: list[sources.Origin]) -> pa.Table:
    return pa.table(
        {
            "uid": uids,
            "image": pa.array([{"bytes": image, "path": path} for image, path in zip(images, paths, strict=True)], _IMAGE),
            "text": texts,
            "url": [origin.url for origin in origins],
            "license": [origin.license for origin in origins],
            "source": [origin.source for origin in origins],
        },
        schema=_POOL,
    )


def _truth(
    plan: Plan, uids: list[str], shown: list[scenes.Scene | None], leaks: dict[int, Leakable], origins: list[sources.Origin]
) -> pa.Table:
    def row_of(row: int) -> dict[str, Any]:
        scene, head = shown[row], plan.copy_of[row]
        said = not (plan.boilerplate[row] or plan.captionless[row])
        return {
            "uid": uids[row],
            "good": plan.good(row),
            "language": plan.language[row] if said else None,
            **{name: getattr(plan, name)[row] for name in _PLANNED},
            "copy_of": None if head is None else uids[head],
            "leak_of": leaks[row].row if row in leaks else None,
            "license_class": origins[row].license_class,
            "thing": scenes.OBJECTS[scene.thing] if scene else None,
            "colour": scenes.COLOURS[scene.colour] if scene else None,
            "count": scene.number if scene else None,
            "relation": scenes.RELATIONS[scene.relation] if scene and scene.relation is not None else None,
        }

    return pa.Table.from_pylist([row_of(row) for row in range(plan.rows)], schema=_TRUTH)


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", row_group_size=1024)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the demo's pool, trusted pairs and truth.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--shards", type=int, default=6)
    given = parser.parse_args()
    make_pool(given.folder, rows=given.rows, seed=given.seed, shards=given.shards)


if __name__ == "__main__":
    main()
