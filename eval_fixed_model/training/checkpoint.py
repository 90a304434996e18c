"""Where a training is kept while it runs, so that one that was ended goes on as if nothing had happened."""

import contextlib
import errno
import os
import pickle
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from curate.errors import CeterisError

FILE = "checkpoint.pt"


@dataclass
class Keep:
    """A checkpoint in `folder`, written after `seconds` of training, or after `steps` of it where that is given: a budget, no part of a
    scale.

    `belongs` names what is trained (scale, seed, rows, code, device): a checkpoint of anything else is refused.
    """

    folder: Path
    seconds: float = 300.0
    steps: int | None = None
    _last: float = field(default_factory=time.monotonic, repr=False)

    @property
    def file(self) -> Path:
        """The checkpoint."""
        return self.folder / FILE

    def due(self, step: int) -> bool:
        """Whether to write one after so many steps."""
        return step % self.steps == 0 if self.steps else time.monotonic() - self._last >= self.seconds

    def write(self, belongs: str, state: dict[str, Any]) -> None:
        """By one rename, after the content is on the disk: a reader sees the one before or this one, never a part. OSError where it cannot
        be written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        attempt = self.folder / f".{FILE}.{uuid.uuid4().hex}"
        try:
            with attempt.open("wb") as file:
                torch.save({"belongs": belongs, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            attempt.replace(self.file)
        except RuntimeError as error:  # torch's own word for a write that failed
            raise OSError(errno.EIO, f"a checkpoint cannot be written ({error.__context__ or error})", str(attempt)) from error
        finally:
            attempt.unlink(missing_ok=True)
        self._last = time.monotonic()

    def read(self, belongs: str, device: str) -> dict[str, Any] | None:
        """What was written last; None where nothing was. Raises CeterisError where it is of another training, or damaged."""
        if not self.file.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.file, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
            raise CeterisError(f"the checkpoint cannot be read: {error}", where=str(self.file), fix="delete it; it trains anew") from error
        if state.get("belongs") != belongs:
            what = "the checkpoint is of another training: of other rows, another seed, scale, code, number of processes or device"
            raise CeterisError(what, where=str(self.file), fix="delete it, or give this training a folder of its own")
        return state

    def remove(self) -> None:
        """The checkpoint, and what ended attempts to write one have left."""
        for path in [self.file, *self.folder.glob(f".{FILE}.*")]:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
