# ruff: noqa: T201  a benchmark prints
"""clip_score, Parquet with JPEGs to committed evidence, beside the bare model and the loop that people write today.

`python -m benchmarks.clip FOLDER` makes what it needs in FOLDER (generated scenes of 224 to 512 px as JPEGs, captions of 3 to 80 words,
a ViT-B-32 of random weights) and measures, each in a process of its own:

bare     the model's forward on ready tensors, the faster of several batch sizes and, on a GPU, of autocast and a bfloat16 copy
decode   JPEG to the model's pixels on one core and, on a GPU, on all cores at once: the other ceiling
loop     torch's DataLoader over the same files, open_clip's preprocessing, tokeniser and model, scores to a Parquet file
ours     a recipe with clip_score and a top rule, in this process on a processor, in several worker processes on a GPU

On a processor all run on one core and one thread, and rates are of processor time; on a GPU they are of wall time, and every core helps.
Loading, the making of the stored model and a first batch are not on the clock for any. Scores are compared before times are printed.
Goals: on a processor ours >= .9 bare and >= the loop; on a GPU ours >= .85 of the lower ceiling and >= 1.5 loops.
"""

import argparse
import functools
import io
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import curate  # noqa: F401  one thread, set before numpy and torch are imported
from benchmarks.clip_pool import NAME, WEIGHTS, prepare

ROOT = Path(__file__).parents[1]
RECIPE = """
models: {{b32: {{open_clip: {{name: {name}, weights: {weights}}}}}}}
signals: {{match: {{clip_score: {{model: b32}}}}}}
stages: {{kept: {{keep: {{top: match.score, fraction: 0.3}}}}}}
subsets: [kept]
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.clip", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, help="128 on a processor, 65,536 on a GPU unless given")
    parser.add_argument("--workers", type=int, nargs="*", help="of ours on a GPU, each number tried: half and all of the cores")
    parser.add_argument("--out", type=Path, help="the JSON; FOLDER/clip.json unless given")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.folder = given.folder.resolve()
    if given.engine:
        name, _, number = given.engine.partition(":")
        print(json.dumps(ENGINES[name](given, int(number or 1))))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    gpu = json.loads(_called(given, "machine").splitlines()[-1])
    cores = len(os.sched_getaffinity(0))
    given.rows = given.rows or (65_536 if gpu["gpu"] else 128)
    given.workers = given.workers or (sorted({max(cores // 2, 1), cores}) if gpu["gpu"] else [0])
    prepare(given.folder, given.rows, (2 * max(given.workers), 64) if gpu["gpu"] else (1, 16), cores)
    decoding = ["decode:1", f"decode:{cores}"] if gpu["gpu"] else ["decode:1"]
    wanted = ["bare", *decoding, "loop", *[f"ours:{number}" for number in given.workers]]
    found: dict[str, Any] = {}
    for engine in wanted:
        found[engine] = json.loads(_called(given, engine).splitlines()[-1])
        print(json.dumps({engine: found[engine]}), flush=True)
    print(json.dumps(_judged(given, found, {**gpu, "cores": cores}), indent=1))


def _judged(given: argparse.Namespace, found: dict[str, Any], machine: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    rate = {name: line["rows a second"] for name, line in found.items()}
    ours = max((name for name in rate if name.startswith("ours")), key=rate.__getitem__)
    difference = np.abs(np.load(given.folder / "loop.npy") - np.load(given.folder / "ours.npy"))
    most = 0.02 if machine["gpu"] else 1e-5
    assert difference.max() <= most, f"scores are the loop's: off by {difference.max()}"
    ceilings = {"bare forward": rate["bare"]}
    if machine["gpu"]:
        ceilings["decode and resize on all cores at once"] = rate[f"decode:{machine['cores']}"]
        ceilings["decode and resize on one core, times the cores"] = rate["decode:1"] * machine["cores"]
    goal = 0.85 if machine["gpu"] else 0.9
    report = {
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {**machine, "cpu": _cpu(), "python": platform.python_version(), "load average": os.getloadavg()},
        "rows": given.rows,
        "engines": found,
        "ceilings": ceilings,
        "most that a score differs from the loop's": float(difference.max()),
        "best of ours": ours,
        "of each ceiling": {name: round(rate[ours] / ceiling, 3) for name, ceiling in ceilings.items()},
        "of the lower ceiling": round(rate[ours] / min(ceilings.values()), 3),
        "times the loop": round(rate[ours] / rate["loop"], 2),
        "goals": {"of the lower ceiling": goal, "times the loop": 1.5 if machine["gpu"] else 1.0},
    }
    (given.out or given.folder / "clip.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def _called(given: argparse.Namespace, engine: str) -> str:
    """What an engine prints, in a process of its own; on a machine without a GPU on one core."""
    options = ["--rows", str(given.rows or 0), "--engine", engine]
    command = [sys.executable, "-m", "benchmarks.clip", str(given.folder), *options]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _machine(_given: argparse.Namespace, _number: int) -> dict[str, Any]:
    import open_clip
    import torch
    import torchvision

    try:
        import simplejpeg
    except ImportError:
        simplejpeg = None
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    versions = {one.__name__: one.__version__ for one in (torch, torchvision, open_clip)}
    return {"gpu": gpu, "versions": {**versions, "simplejpeg": getattr(simplejpeg, "__version__", None)}}


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    return "cpu"


def _clock() -> Callable[[], float]:
    import torch

    return time.perf_counter if torch.cuda.is_available() else time.process_time


def _rate(work: Callable[[], Any], rows: int) -> dict[str, Any]:
    wall, clock = time.perf_counter(), _clock()
    begun = clock()
    work()
    used = clock() - begun
    return {"rows a second": round(rows / used, 2), "seconds": round(used, 3), "wall": round(time.perf_counter() - wall, 3), "rows": rows}


@functools.cache
def _model(folder: Path, device: str) -> tuple[Any, Any, Any]:
    import open_clip

    model, _, preprocess = open_clip.create_model_and_transforms(NAME, pretrained=str(folder / WEIGHTS), device=device)
    return model.eval(), preprocess, open_clip.get_tokenizer(NAME)


def _frame(folder: Path, rows: int) -> Any:
    import polars as pl

    return pl.scan_parquet(folder / "pool" / "*.parquet").head(rows).collect()


def _cosines(model: Any, images: Any, texts: Any) -> Any:
    image = model.encode_image(images, normalize=True)
    return (image * model.encode_text(texts, normalize=True)).sum(-1)


def _bare(given: argparse.Namespace, _number: int) -> dict[str, Any]:
    import torch

    device = _device()
    model, _, tokenizer = _model(given.folder, device)
    sizes, least = ((256, 512, 1024), 2.0) if device == "cuda" else ((16, 64), 0.0)
    texts = _frame(given.folder, max(sizes))["text"].to_list()
    texts = (texts * max(sizes))[: max(sizes)]
    tried: dict[str, dict[str, Any]] = {}
    for kind in ("autocast", "bfloat16") if device == "cuda" else ("float32",):
        if kind == "bfloat16":
            model = model.to(torch.bfloat16)
        for size in sizes:
            images = torch.randn(size, 3, 224, 224, device=device, dtype=torch.bfloat16 if kind == "bfloat16" else torch.float32)
            tokens = tokenizer(texts[:size]).to(device)

            def forward(turns: int, images: Any = images, tokens: Any = tokens, model: Any = model, kind: str = kind) -> None:
                with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=kind == "autocast"):
                    for _ in range(turns):
                        cosines = _cosines(model, images, tokens)
                    cosines.tolist()

            forward(1)
            turns = max(64 // size, 1)
            while (line := _rate(functools.partial(forward, turns), turns * size))["wall"] < least:
                turns *= 2
            tried[f"{kind}, {size}"] = line
    best = max(tried, key=lambda name: tried[name]["rows a second"])
    return {**tried[best], "best": best, "tried": {name: line["rows a second"] for name, line in tried.items()}}


def _decode(given: argparse.Namespace, cores: int) -> dict[str, Any]:
    """JPEG to pixels on so many cores at once, each in a process of its own: together they are slower than one alone times their number."""
    context = get_context("spawn")
    places = sorted(os.sched_getaffinity(0))[-cores:]
    with ProcessPoolExecutor(cores, mp_context=context, initializer=_meet, initargs=(context.Barrier(cores),)) as pool:
        rates = list(pool.map(_decode_on, [(given.folder, core) for core in places]))
    return {"rows a second": round(sum(rates), 2), "cores": cores}


_barriers: list[Any] = []


def _meet(barrier: Any) -> None:
    """In a worker: what all of them wait at before the clock starts."""
    _barriers.append(barrier)


def _decode_on(given: tuple[Path, int]) -> float:
    """Rows a processor second of this core; of a wall second where there is a GPU."""
    from filters._image import decode
    from filters._open_clip import matcher, started

    folder, core = given
    os.sched_setaffinity(0, {core})
    made, described, _, _ = started(NAME, None, None, 0)
    pixels = matcher(made, described).pixels
    images = _frame(folder, 256)["image"].to_list()

    def run(turns: int) -> None:
        for data in images * turns:
            pixels(decode(data))

    run(1)
    _barriers[0].wait()
    turns = 1
    while (line := _rate(functools.partial(run, turns), turns * len(images)))["wall"] < 3:
        turns *= 2
    return float(line["rows a second"])


class _Rows:
    """A map-style dataset, as in open_clip's own examples; a row is decoded when it is asked for."""

    def __init__(self, folder: Path, rows: int, preprocess: Any, tokenizer: Any) -> None:
        frame = _frame(folder, rows)
        self.images, self.texts = frame["image"].to_list(), frame["text"].to_list()
        self.preprocess, self.tokenizer = preprocess, tokenizer

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Any:
        from PIL import Image

        return self.preprocess(Image.open(io.BytesIO(self.images[row]))), self.tokenizer([self.texts[row]])[0]


def _loop(given: argparse.Namespace, _number: int) -> dict[str, Any]:
    import numpy as np
    import torch

    cores = len(os.sched_getaffinity(0))
    device = _device()
    model, preprocess, tokenizer = _model(given.folder, device)
    size, workers = (256, cores) if device == "cuda" else (64, 0)
    scores: list[Any] = []

    def run(rows: int) -> None:
        loader = torch.utils.data.DataLoader(
            _Rows(given.folder, rows, preprocess, tokenizer), batch_size=size, num_workers=workers, pin_memory=device == "cuda"
        )
        scores.clear()
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            for images, texts in loader:
                scores.append(
                    _cosines(model, images.to(device, non_blocking=True), texts.to(device, non_blocking=True)).float().cpu().numpy()
                )
        np.save(given.folder / "loop.npy", np.concatenate(scores))

    run(min(size, 16))
    return {**_rate(functools.partial(run, given.rows), given.rows), "workers": workers}


def _ours(given: argparse.Namespace, workers: int) -> dict[str, Any]:
    import tempfile

    import numpy as np

    from curate.executor import InProcess, Processes
    from curate.model import _SHELF
    from curate.recipe import Recipe
    from curate.store import Store
    from filters.clip_score import clip_score
    from pipelines.verbs import run

    device = _device()
    executor = Processes(workers) if device == "cuda" else InProcess()
    recipe = Recipe.parse(RECIPE.format(name=NAME, weights=given.folder / WEIGHTS), where="clip.yaml", base=given.folder)
    with tempfile.TemporaryDirectory(dir=given.folder) as place:
        store = Store.open(Path(place) / "store")
        try:
            run(recipe, given.folder / "warm", store=store, executor=executor)
            line = _rate(lambda: run(recipe, given.folder / "pool", store=store, executor=executor), given.rows)
            begun = time.perf_counter()
            done = run(recipe, given.folder / "pool", store=store, executor=executor)
            line["wall of a second run, which measures nothing"] = round(time.perf_counter() - begun, 3)
        finally:
            executor.close()
        evidence = done.evidence("match").sort("row")
        assert evidence["score"].null_count() == 0
        scores = evidence["score"].to_numpy()
        np.save(given.folder / "ours.npy", scores)
        (digest,) = _SHELF
        few = np.random.default_rng(0).permutation(min(given.rows, 600 if device == "cuda" else 20))[5:]
        again = clip_score(_frame(given.folder, given.rows)[few], model=digest)["score"].to_numpy()
        assert np.array_equal(again, scores[few]), "other batches, the same bits"
    return {**line, "workers": workers, "bitwise the same in other batches": len(few)}


ENGINES: dict[str, Callable[[argparse.Namespace, int], dict[str, Any]]] = {
    "machine": _machine,
    "bare": _bare,
    "decode": _decode,
    "loop": _loop,
    "ours": _ours,
}


if __name__ == "__main__":
    main()
