"""The page's colours: read by everybody, in both themes."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from pipelines.report.page import TEMPLATES

THEMES = ("light", "dark")
SEEN_BY = {  # linear RGB as it is seen; Machado, Oliveira and Fernandes 2009, severity 1
    "all cones": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
# Linear RGB to OKLab; Ottosson 2020.
TO_CONES = np.array([[0.41222147, 0.53633254, 0.05144599], [0.21190350, 0.68069955, 0.10739696], [0.08830246, 0.28171884, 0.62997870]])
TO_LAB = np.array([[0.21045426, 0.79361779, -0.00407205], [1.97799850, -2.42859221, 0.45059371], [0.02590404, 0.78277177, -0.80867577]])


@pytest.fixture(scope="module")
def colours() -> dict[str, tuple[str, str]]:
    """Name to its light and dark colour."""
    style = (Path(TEMPLATES) / "report.css").read_text(encoding="utf-8")
    found = {name: (a, b) for name, a, b in re.findall(r"--(\w+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", style)}
    assert {"paper", "raised", "ink", "soft", "link", "kept", "dropped", "edge", "focus"} <= found.keys()
    return found


def _linear(colour: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""
    low, high = sorted(float(_linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_text_and_marks_reach_aa(colours: dict[str, tuple[str, str]], theme: str) -> None:
    at = {name: pair[THEMES.index(theme)] for name, pair in colours.items()}
    for ground in ("paper", "raised"):
        for name in ("ink", "soft", "link", "kept", "dropped"):  # written in these
            assert _contrast(at[name], at[ground]) >= 4.5, (name, ground)
        for name in ("unknown", "quarantined", "restricted", "edge", "focus"):  # drawn in these
            assert _contrast(at[name], at[ground]) >= 3, (name, ground)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eyes", SEEN_BY)
def test_kinds_are_told_apart_by_all_eyes(colours: dict[str, tuple[str, str]], theme: str, eyes: str) -> None:
    kinds = ("kept", "dropped", "unknown", "quarantined", "restricted", "edge")
    seen = {}
    for name in kinds:
        linear = np.clip(SEEN_BY[eyes] @ _linear(colours[name][THEMES.index(theme)]), 0, 1)
        seen[name] = TO_LAB @ np.cbrt(TO_CONES @ linear)
    for one, other in itertools.combinations(kinds, 2):  # 0.02 is just noticeable; charts ask for more
        assert np.linalg.norm(seen[one] - seen[other]) > 0.1, (one, other)
