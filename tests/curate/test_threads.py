import os

import pytest

from curate.threads import SHARE, share


def test_a_process_reads_on_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.delenv(SHARE, raising=False)
    assert share() == 16
    monkeypatch.setenv(SHARE, "4")
    assert share() == 4
    monkeypatch.setenv(SHARE, "0")
    assert share() == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert share() == 1
