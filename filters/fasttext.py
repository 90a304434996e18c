"""A fastText classifier from a local file: a published one, such as lid.176, or one of your own."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from curate.errors import CeterisError, RecipeError
from curate.model import Made, Weights, model

_MAGIC = (793712314).to_bytes(4, "little")  # FASTTEXT_FILEFORMAT_MAGIC_INT32 of its source


@model(version=1, files=("file",))
def fasttext(*, file: str) -> Made:
    """Freeze the classifier in `file` (.bin or .ftz; Joulin et al., arXiv 1607.01759, and 1612.03651 for the compressed form).

    Nothing is downloaded. The model is the file's bytes; the card names the file and says nothing of its licence, which the format does
    not hold (fastText's lid.176 are published under CC BY-SA 3.0). Raises RecipeError if it is not such a file, CeterisError without
    `pip install 'ceteris[languages]'`.
    """
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise RecipeError(f"the model cannot be read: {error.strerror}", where=file, fix="give the path of a .bin or .ftz file") from error
    try:
        answer = _opened(data).predict("a") if data.startswith(_MAGIC) else None
    except (ValueError, RuntimeError, MemoryError, IndexError) as error:
        raise RecipeError(f"fastText cannot read this model: {error}", where=file, fix="fetch the file again, whole") from error
    if answer is None:
        raise RecipeError("this is no fastText model", where=file, fix="give the path of a supervised .bin or .ftz file")
    card = {"architecture": {"format": "fastText"}, "source": Path(file).name, "licence": "not stated in the file"}
    return Made({"file": np.frombuffer(data, np.uint8)}, card)


@fasttext.loader
def load(weights: Weights, _: dict[str, Any]) -> Any:
    """fastText's own object, with `predict(text, k, threshold)`: labels and probabilities."""
    return _opened(weights["file"].tobytes())


def _opened(data: bytes) -> Any:
    try:
        import fasttext as library
    except ImportError as error:
        raise CeterisError("the package fasttext-predict is not installed", fix="pip install 'ceteris[languages]'") from error
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:  # it reads from a path only
        file.write(data)
        file.flush()
        return library.load_model(file.name)
