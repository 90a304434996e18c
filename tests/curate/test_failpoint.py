import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import curate
from curate.failpoint import POINTS

SCRIPT = """
from curate.failpoint import reach
for turn in range(3):
    for point in ("storage.before_link", "storage.after_link"):
        reach(point)
        print(turn, point, flush=True)
"""


@pytest.mark.parametrize(
    ("asked", "turns"),
    [("storage.after_link", 1), ("storage.after_link:3", 5), ("storage.after_link:4", 6), ("", 6), ("run.before_ledger", 6)],
)
def test_the_process_dies_at_the_named_point_at_its_nth_time(asked, turns):
    environment = {**os.environ, "CETERIS_FAILPOINT": asked, "PYTHONPATH": str(Path(curate.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert len(done.stdout.splitlines()) == turns
    assert done.returncode == (0 if turns == 6 else -signal.SIGKILL)


def test_every_point_is_reached_somewhere_and_no_other():
    sources = "".join(path.read_text(encoding="utf-8") for path in Path(curate.__file__).parent.glob("*.py"))
    assert sorted(set(re.findall(r'\breach\("([^"]+)"\)', sources))) == sorted(POINTS)
