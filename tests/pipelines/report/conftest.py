"""A small image-text pool whose rows say what a page must not do, a run over it, and a browser to look at what is made of it."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from curate.executor import InProcess
from curate.recipe import Recipe
from curate.record import Run
from pipelines import verbs
from pipelines.report.page import report
from tests.pipelines.report.chromium import Chromium, program

OUTSIDE = "https://outside.example"
HOSTILE = (
    "<script>window.broken = 1</script> alpha",
    f"<img src={OUTSIDE}/a.png onerror='window.broken = 1'> beta",
    '<svg onload="window.broken = 1"><script>window.broken = 1</script></svg> gamma',
    "</p></bdi></article></main><h1>delta</h1>",
    '"><body onload="window.broken = 1"> epsilon',
    "{{7*7}} {{ config }} {% for x in y %} zeta",
    "${7*7} #{7*7} <%= 7*7 %> eta",
    "\u202egnp.live theta\u202c \u2066 iota",
    "</script><script>window.broken = 1</script> kappa",
    "<!-- lambda --> <![CDATA[ ]]> -->",
    "data:text/html,<script>window.broken=1</script> mu",
    f"<style>@import '{OUTSIDE}/s.css'; body {{ display: none }}</style> nu",
    '<a href="javascript:window.broken = 1" id=main name=body>xi</a>',
    "nul\x00 bell\x07 escape\x1b[31m omicron",
    "w" * 3000,
    f"<iframe src='{OUTSIDE}'></iframe><object data='{OUTSIDE}'></object> pi",
    f"<meta http-equiv=refresh content='0;url={OUTSIDE}'><base href='{OUTSIDE}'> rho",
    f"<form action='{OUTSIDE}'><input autofocus onfocus='window.broken = 1'></form> sigma",
    "&lt;script&gt; &#x3c;b&#x3e; &amp;amp; tau",
    "'-alert(1)-' `${alert(1)}` \\u003cscript\\u003e \u2028 upsilon",
    "\u202e\u2067\u202d never closed \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 phi",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645 (1) chi",
    "\U0001f469\u200d\U0001f680\U0001f1fa\U0001f1f3" + "a\u0301\u0320" * 40 + "\U000e0062 psi",
    "\x01\x0b\x1d\x9b\ufffe omega",
    "z" * 100_000,
)
"""The last words are what a reader must find on the page: its recipe keeps or drops them in groups so small that all are drawn."""

ROWS = 40
RECIPE = """
stages:
  basic: {keep: "text_length.chars >= 3 and image_shape.width >= 16 and text_length.words <= 400"}
  unique: {after: basic, keep: {one_per: exact_duplicate, prefer: [pool.quality desc]}}
  best: {after: unique, keep: {top: pool.quality, count: 12}}
  rest: {minus: [unique, best]}
  more: {after: rest, keep: {top: pool.quality, count: 10}}
subsets: [best, more]
"""


def picture(number: int) -> bytes:
    """A small picture, its own for every number."""
    random = np.random.default_rng(number)
    pixels = random.integers(0, 255, (8, 8, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    out = io.BytesIO()
    Image.fromarray(pixels[:8, :8] if number % 9 == 4 else pixels).save(out, "PNG")
    return out.getvalue()


def write_rows(folder: Path, captions: tuple[str, ...] = HOSTILE, rows: int = ROWS) -> Path:
    """A pool in two shards: the captions first, then others of less quality; every tenth picture is a copy, one is damaged, one caption is
    missing."""
    texts: list[str | None] = [*captions, *[f"a picture of thing {n}, number {n * n}" for n in range(len(captions), rows)]]
    texts[-1], texts[-2] = None, "a"
    images = [picture(n - 1 if n % 10 == 9 else n) for n in range(rows)]
    images[-3] = images[-3][:40]
    frame = pl.DataFrame(
        {
            "image": [{"bytes": data, "path": None} for data in images],
            "text": texts,
            "url": [f"https://pool.example/{n}?<b>{n}</b>" for n in range(rows)],
            "license": ["CC-BY-4.0" if n % 3 else "<i onclick=x>all</i> rights reserved" for n in range(rows)],
            "source": ["pool.example" if n % 2 else "<u>other</u>.example" for n in range(rows)],
            "quality": [1 - n / 50 for n in range(rows)],
        }
    )
    folder.mkdir(parents=True)
    for part in range(2):
        frame.slice(part * rows // 2, rows // 2).write_parquet(folder / f"part-{part}.parquet")
    return folder


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The pool, run once; without scores."""
    folder = tmp_path_factory.mktemp("hostile")
    write_rows(folder / "shards")
    return verbs.run(Recipe.parse(RECIPE, base=folder), folder / "shards", store=folder / "store", executor=InProcess())


@pytest.fixture(scope="session")
def page(hostile: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    file = tmp_path_factory.mktemp("page") / "hostile.html"
    report(hostile, file)
    return file


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser, where there is one."""
    if program() is None:
        pytest.skip("no Chromium is installed here (Debian: apt install chromium)")
    browser = Chromium(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()
