"""What benchmarks.clip measures on: image-text pools of generated scenes, and a checkpoint of random weights."""

import hashlib
import io
import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

NAME, WEIGHTS = "ViT-B-32", "b32.safetensors"
SHARD = 2048
_COLOURS = ("red", "green", "blue", "yellow", "black", "white", "purple", "orange")
_SHAPES = ("circle", "square", "triangle", "hexagon", "star", "line")
_WORDS = ("on", "beside", "under", "a", "the", "small", "large", "old", "new", "photo", "of", "with", "quiet", "view", "from")


def prepare(folder: Path, rows: int, warm: tuple[int, int], cores: int) -> None:
    """FOLDER/pool of `rows` in shards, FOLDER/warm of so many shards with so many rows each, and the checkpoint."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    if not (folder / WEIGHTS).exists():
        torch.manual_seed(0)
        save_file(open_clip.create_model(NAME, pretrained=None).state_dict(), folder / WEIGHTS)
    wanted = [(folder / "pool" / f"{start:08d}.parquet", start, min(SHARD, rows - start)) for start in range(0, rows, SHARD)]
    wanted += [(folder / "warm" / f"{number:08d}.parquet", 10**9 + number * warm[1], warm[1]) for number in range(warm[0])]
    for place in ("pool", "warm"):
        for path in (folder / place).glob("*.parquet"):
            path.unlink()
        (folder / place).mkdir(exist_ok=True)
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        list(pool.map(_write, wanted))


def _write(shard: tuple[Path, int, int]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, start, count = shard
    made = [_scene(random.Random(number)) for number in range(start, start + count)]
    uids = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(start, start + count)]
    table = pa.table({"uid": uids, "image": pa.array([image for image, _ in made], pa.binary()), "text": [text for _, text in made]})
    pq.write_table(table, path, compression="none", row_group_size=SHARD)


def _scene(rng: random.Random) -> tuple[bytes, str]:
    """Figures on a textured ground, as a JPEG of 20 to 90 kB; of ten captions seven have 3 to 11 words, two 12 to 25, one 40 to 80."""
    import numpy as np
    from PIL import Image, ImageDraw

    width, height = rng.randint(224, 512), rng.randint(224, 512)
    noise = np.random.default_rng(rng.getrandbits(32))
    coarse = Image.fromarray(noise.integers(40, 216, (height // 24 + 2, width // 24 + 2, 3), dtype=np.uint8))
    ground = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    grain = noise.integers(-10, 11, (height, width, 1), dtype=np.int16)
    image = Image.fromarray((ground + grain).clip(0, 255).astype(np.uint8))
    draw, colour, shape = ImageDraw.Draw(image), rng.choice(_COLOURS), rng.choice(_SHAPES)
    for _ in range(rng.randint(1, 6)):
        x, y, radius = rng.randrange(width), rng.randrange(height), rng.randint(15, 80)
        draw.regular_polygon((x, y, radius), 3 + _SHAPES.index(shape), rng.randrange(90), fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=rng.choice((80, 85, 90, 95)))
    words = rng.choice(((3, 11),) * 7 + ((12, 25),) * 2 + ((40, 80),))
    return buffer.getvalue(), " ".join([colour, shape, *rng.choices(_WORDS, k=rng.randint(*words) - 2)])
