"""The page as a file: whole, the same each time, closed to every other place."""

import base64
import hashlib
import html
import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from curate.record import Run
from curate.store import Store
from pipelines.report import charts
from pipelines.report.page import report
from tests.pipelines.report.conftest import HOSTILE


def test_a_run_without_scores_has_a_page_that_begins_with_the_funnel(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "No verdict yet" in text
    titles = re.findall(r'<section class="part" id="(\w+)"', text)
    assert titles == ["verdict", "funnel", "overlap", "distributions", "thresholds", "rows"]
    assert re.findall(r'<li><a href="#(\w+)">', text) == [*titles, "conditions"]


def test_the_same_store_gives_the_same_page(page: Path, hostile: Run, tmp_path: Path) -> None:
    text = report(Run(hostile.store, hostile.folder), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == text == page.read_text(encoding="utf-8")
    assert len(text.encode()) < 1_000_000


def test_the_policy_lets_in_this_script_and_style_alone(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    policy = html.unescape(re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[0])
    held = dict(part.split(" ", 1) for part in policy.split("; "))
    assert (held["default-src"], held["img-src"], held["connect-src"], held["form-action"]) == ("'none'", "data:", "'none'", "'none'")
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert held[kind] == f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"


def test_nothing_points_to_another_place_and_no_style_or_handler_is_inline(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    tags = re.findall(r"<[a-zA-Z][^>]*>", re.sub(r"<(script|style)[^>]*>.*?</\1>", "", text, flags=re.DOTALL))
    for tag in tags:
        assert not re.search(r"\s(on\w+|style)\s*=", tag.split('"')[0]), tag
        for address in re.findall(r'\s(?:src|href|action|data|poster)="([^"]*)"', tag):
            assert address.startswith(("#", "data:")), tag


def test_every_hostile_caption_is_text(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    plain = html.unescape(re.sub(r"<[^>]*>", "", text))
    for caption in HOSTILE:
        words = re.sub(r"[\x00-\x1f\u2028\u202a-\u202e\u2066-\u2069]", "", caption)
        assert words.split()[-1][:150] in plain, caption
    assert "<script>window" not in text
    assert "{{7*7}}" in plain


def test_data_for_the_script_is_json_that_no_markup_ends(page: Path) -> None:
    (data,) = re.findall(r'<script type="application/json" id="curves">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert "<" not in data
    curves = json.loads(data)
    assert [one["sign"] for one in curves] == [">=", ">=", "<=", ">=", ">="]
    assert all(len(one["at"]) == len(one["least"]) == len(one["most"]) for one in curves)


def test_charts_are_well_formed_and_told_in_words(page: Path) -> None:
    charts = re.findall(r'<svg class="chart".*?</svg>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(charts) == 5 * 2 + 5
    for chart in charts:
        root = ElementTree.fromstring(chart)
        assert root.attrib["aria-label"]
        assert root.attrib["tabindex"] == "0"
        assert "style" not in chart
        assert "white" not in chart


def test_numbers_in_charts_keep_their_digits() -> None:
    values = [0.0012345, 0.0067891]
    dots = [{"arm": "a", "value": one, "kind": "seed", "told": f"{one} points", "side": "control"} for one in values]
    svg = charts.seeds(dots, ["a"], "task", "points", chance=None)
    assert all(f'aria-label="{one} points"' in svg for one in values)
    axis = re.findall(r">([\d.]+)</text>", svg)
    assert len(set(axis)) == len(axis) > 1
    assert not re.search(r'transform="[^"]*\.\d{3}', svg)
    points = [{"at": one, "least": 5, "most": 5} for one in values]
    curve = charts.curve(points, "c", values[0], sign=">=", logarithmic=False, unsure=True)
    marks = curve[curve.index('class="mark-area') :]
    assert re.findall(r'aria-label="([^"]*)"', marks) == ["now 0.0012345"]  # no line says its first point wherever one looks


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (-1, 22.7, ("0", "5", "10", "15", "20")),
        (-0.178, 0.107, ("-0.1", "0.0", "0.1")),
        (-1.2, 1.4, ("-1", "0", "1")),
        (0, 0, ("0.0",)),
    ],
)
def test_ticks_are_few_round_numbers(low: float, high: float, wanted: tuple[str, ...]) -> None:
    assert charts.ticks(low, high) == wanted


def test_a_pool_that_is_gone_leaves_the_rest(hostile: Run, tmp_path: Path) -> None:
    shutil.copytree(hostile.store.address, tmp_path / "store")
    run = Run(Store.open(tmp_path / "store"), hostile.folder)
    root = run.pool.root
    hidden = root.with_name("elsewhere")
    root.rename(hidden)
    try:
        text = report(run)
    finally:
        hidden.rename(root)
    assert "Rows cannot be read" in text
    assert "a picture of thing" not in text
    assert 'id="thresholds"' in text


@pytest.mark.parametrize("name", ["report.css", "report.js", "shared.js", "store.js"])
def test_what_goes_into_the_page_cannot_end_its_element(name: str) -> None:
    text = (Path(report.__code__.co_filename).parent / "templates" / name).read_text(encoding="utf-8")
    assert "</" not in text
    assert "\r" not in text
