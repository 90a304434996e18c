"""A model of a run leaves its store: as a folder that open_clip loads, with the card that says what it was made from."""

import json
import uuid
from pathlib import Path
from typing import Any

import safetensors.numpy

from curate.errors import CeterisError, nearest
from curate.model import digest_of_model
from curate.record import Run

LAYOUT = "open_clip"


def export_model(run: Run, name: str, out: str | Path) -> dict[str, Any]:
    """Write the recipe's model `name`, of an architecture of open_clip's, into the new folder `out`; returns model, run, digest and files.

    `open_clip.create_model_and_transforms("local-dir:OUT")` and `open_clip.get_tokenizer("local-dir:OUT")` load it, and give the features
    that the run's signals saw. card.json says what it was made from, under which licence. CeterisError if there is no such model, if it is
    of another kind, or if `out` holds something.
    """
    from filters._open_clip import folder_of  # imports no torch, but open_clip does

    models, place = run.facts["models"], Path(out)
    if name not in models:
        raise CeterisError(
            f"this run has no model {name}", where=run.folder, fix=nearest(name, models) if models else "its recipe names none"
        )
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise CeterisError("the place to export to is not empty", where=str(out), fix="name a new folder")
    made = run.store.json(f"{models[name]['folder']}/model.json")
    if made is None:
        raise CeterisError(f"the model {name} is gone from the store", where=run.store.address, fix="run the recipe again")
    folder = run.store.path(made["folder"])
    about = {"model": name, "run": run.folder.removeprefix("runs/"), "digest": made["weights"], "layout": LAYOUT}
    weights = safetensors.numpy.load_file(folder / "weights.safetensors")
    if digest_of_model(weights, made["card"]) != made["weights"]:
        raise CeterisError("the stored weights are not the ones they were", where=str(folder), fix="delete the folder and run again")
    files = folder_of(made["card"]["architecture"], weights)
    files["card.json"] = (json.dumps({**made["card"], "made": about}, indent=2) + "\n").encode()
    attempt = place.absolute().parent / f".{place.name}.{uuid.uuid4().hex}"
    try:
        attempt.mkdir(parents=True)
        for file, data in files.items():
            (attempt / file).write_bytes(data)
        if place.exists():
            place.rmdir()
        attempt.replace(place)
    except OSError as error:
        raise CeterisError(f"cannot write there: {error.strerror}", where=str(out), fix="name a folder that can be made") from error
    return {**about, "files": list(files)}
