"""Named points at which a test can stop this process dead, so that every step of the commit is known to survive it."""

import os
import signal

POINTS = (
    "storage.before_write",
    "storage.before_link",
    "storage.after_link",
    "work.before_evidence",
    "work.after_evidence",
    "run.before_publish",
    "run.after_publish",
    "run.before_decisions",
    "run.after_decisions",
    "run.before_subset",
    "run.before_ledger",
    "revoke.before_commit",
    "revoke.after_commit",
    "revoke.applying",
    "revoke.before_head",
    "revoke.before_finish",
)

_passed: dict[str, int] = {}


def reach(point: str) -> None:
    """Kill this process with SIGKILL if CETERIS_FAILPOINT is `point` or `point:n` and this is the n-th time it is reached."""
    wanted = os.environ.get("CETERIS_FAILPOINT")
    if not wanted:
        return
    name, _, count = wanted.partition(":")
    if name == point:
        _passed[point] = _passed.get(point, 0) + 1
        if _passed[point] == int(count or 1):
            os.kill(os.getpid(), signal.SIGKILL)
