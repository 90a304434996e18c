"""The page and the served store in a real browser: nothing hostile runs, no other place is asked, all of it works by keyboard."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from curate.digest import hex_of
from curate.record import Run
from pipelines.report.serve import Server
from tests.pipelines.report.chromium import Chromium
from tests.pipelines.report.conftest import HOSTILE

CONTROLS = "a[href], select, input, button, summary, svg.chart"
ROLES = ("slider", "combobox", "searchbox", "radio", "link", "button", "heading", "navigation", "article")
FOCUS = "document.activeElement.outerHTML.slice(0, 200)"
PLACE = "[...document.querySelectorAll('*')].indexOf(document.activeElement)"
SEEN = """(() => {
  const focused = document.activeElement;
  const shown = focused.matches('input[type=radio]') ? focused.nextElementSibling : focused;
  const style = getComputedStyle(shown), box = shown.getBoundingClientRect();
  const inside = box.width > 0 && box.bottom > 0 && box.top < innerHeight;
  return inside && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
})()"""


def _closed(chromium: Chromium, home: str = "") -> None:
    """Nothing was said on the console, nothing broke, and nothing was asked of any other place."""
    assert chromium.said == []
    assert [one for one in chromium.requests if not one.startswith(("data:", "file:", *([home] if home else [])))] == []
    assert chromium.js("window.broken === undefined")
    assert chromium.js("document.querySelectorAll('iframe, object, embed, base, form[action^=http]').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_without_a_word_on_the_console_and_asks_nothing(chromium: Chromium, page: Path, scheme: str) -> None:
    chromium.open(page.as_uri(), scheme=scheme)
    _closed(chromium)
    assert [one for one in chromium.requests if one.startswith("file:")] == [page.as_uri()]
    paper = chromium.js("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (paper > 200) == (scheme == "light")


def test_hostile_captions_do_nothing_and_are_read_as_text(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    texts = chromium.js("[...document.querySelectorAll('.said')].map((p) => p.textContent)")
    for caption in HOSTILE:
        ending = caption.split()[-1][:150]
        assert any(ending in text for text in texts), caption
    assert any("{{7*7}} {{ config }}" in text for text in texts)
    assert any("RLOgnp.live theta" in text for text in texts)
    assert any("NUL bell" in text for text in texts)
    within = "[...document.querySelectorAll('.said *')]"
    inside = chromium.js(f"{within}.map((e) => e.tagName + '.' + e.className)")
    assert set(inside) == {"BDI.", "SPAN.ctl"}
    assert chromium.js(
        "[...document.querySelectorAll('.said bdi')].every((e) => e.dir === 'auto' && getComputedStyle(e).unicodeBidi === 'isolate')"
    )
    widths = chromium.js("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]  # not even by a word of 3,000 letters
    _closed(chromium)


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_hangs_out_of_the_window(chromium: Chromium, page: Path, width: int) -> None:
    chromium.open(page.as_uri(), width=width)
    assert chromium.js("document.documentElement.scrollWidth") <= width
    chromium.js("document.querySelectorAll('.wide > table').forEach((table) => { table.style.width = '4000px'; })")
    assert chromium.js("document.documentElement.scrollWidth") <= width  # a table of many subsets is moved in its own frame
    chromium.open(page.as_uri(), width=718, media="print")  # A4 between its margins
    assert chromium.js("document.documentElement.scrollWidth") <= 718


def test_every_control_is_reached_by_tab_seen_and_named(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    every = f"[...document.querySelectorAll('{CONTROLS}')].filter((e) => e.checkVisibility())"
    wanted = chromium.js(f"{every}.filter((e) => e.type !== 'radio' || e.checked).length")
    reached = list[int]()
    for _ in range(wanted + 10):
        chromium.press("Tab")
        if chromium.js("document.activeElement === document.body"):
            break
        assert chromium.js(SEEN), chromium.js(FOCUS)
        reached.append(chromium.js(PLACE))
    assert reached == sorted(reached)
    assert len(reached) >= wanted
    nodes = [node for node in chromium.call("Accessibility.getFullAXTree")["nodes"] if not node["ignored"] and "role" in node]
    named = {role: [node.get("name", {}).get("value") for node in nodes if node["role"]["value"] == role] for role in ROLES}
    assert all(names and all(names) for names in named.values()), named


def test_a_threshold_moves_by_arrow_keys_and_says_the_counts(chromium: Chromium, page: Path, hostile: Run) -> None:
    chromium.open(page.as_uri())
    kept = hostile.decided("best").kept
    said = "document.querySelectorAll('.curve output')[3].textContent"
    assert f"keeps {kept} rows" in chromium.js(said)
    chromium.js("document.querySelectorAll('.curve input')[3].focus()")
    line = "Number(document.querySelectorAll('.curve .cursor')[3].getAttribute('x1'))"
    before = chromium.js(line)
    chromium.press("ArrowRight")
    assert f"keeps {kept - 1} rows" in chromium.js(said)
    assert chromium.js(line) > before
    chromium.press("Home")
    assert "keeps " in chromium.js(said)
    assert chromium.js("document.querySelectorAll('.curve input')[3].getAttribute('aria-valuetext')") == chromium.js(said)
    chromium.press("Tab")
    chromium.press("Enter")
    assert f"keeps {kept} rows" in chromium.js(said)
    assert chromium.js("document.activeElement.type") == "range"


def test_a_chart_tells_its_numbers_by_arrow_keys(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    chromium.js("[...document.querySelectorAll('svg.chart')].find((e) => e.checkVisibility()).focus()")
    chromium.press("ArrowRight")
    first = chromium.js("document.querySelector('#tip').textContent")
    assert re.search(r"\d: [\d,]+ rows? before, ", first)
    chromium.press("ArrowRight")
    assert chromium.js("document.querySelector('#tip').textContent") != first
    chromium.press("Escape")
    assert chromium.js("document.querySelector('#tip').hidden")


def test_groups_subsets_and_the_search_within_rows_work_by_keyboard(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    seen = "[...document.querySelectorAll('.group')].filter((e) => e.checkVisibility()).map((e) => e.id)"
    assert chromium.js(seen) == ["kept-more"]
    chromium.js("document.querySelector('#next').focus()")
    chromium.press("Enter")
    assert chromium.js(seen) == ["kept-best"]
    chromium.js("document.querySelector('#find').focus()")
    chromium.write("omicron")
    cards = "[...document.querySelectorAll('.card')].filter((e) => e.checkVisibility())"
    assert chromium.js(f"{cards}.length > 0 && {cards}.every((e) => e.textContent.includes('omicron'))")
    assert "of the rows on this page" in chromium.js("document.querySelector('#found').textContent")
    chromium.js("document.querySelector('#subset').focus()")
    chromium.press("ArrowUp")
    drawn = "[...document.querySelectorAll('[data-of]')].filter((e) => e.checkVisibility()).map((e) => e.dataset.of)"
    assert set(chromium.js(drawn)) == {"best"}


def test_the_colours_can_be_chosen_against_the_systems(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri(), scheme="light")
    light = chromium.js("getComputedStyle(document.body).backgroundColor")
    chromium.js("document.querySelector('input[name=theme]:checked').focus()")
    chromium.press("ArrowRight")
    chromium.press("ArrowRight")
    assert chromium.js("document.documentElement.dataset.theme") == "dark"
    assert chromium.js("getComputedStyle(document.body).backgroundColor") != light
    chromium.press("ArrowRight")
    assert chromium.js("document.documentElement.dataset.theme === undefined")


def test_on_paper_every_group_has_rows_and_controls_are_gone(chromium: Chromium, page: Path, tmp_path: Path) -> None:
    chromium.open(page.as_uri(), width=800, scheme="dark", media="print")
    assert chromium.js("[...document.querySelectorAll('.group')].every((e) => e.checkVisibility())")
    assert not chromium.js("[...document.querySelectorAll('select, button, input, nav, .top')].some((e) => e.checkVisibility())")
    assert chromium.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    chromium.paper(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes()[:5] == b"%PDF-"
    _closed(chromium)


@pytest.fixture(scope="module")
def server(hostile: Run) -> Iterator[Server]:
    """The same store, served."""
    with Server(hostile.store.address) as served:
        thread = threading.Thread(target=served.serve)
        thread.start()
        yield served
        served.stop()
        thread.join()


def test_the_served_store_is_walked_by_keyboard_and_asks_only_its_server(chromium: Chromium, server: Server, hostile: Run) -> None:
    chromium.open(server.url)
    _closed(chromium, server.url)
    for title in ("Scores", "Search", "Runs"):
        chromium.js(f"[...document.querySelectorAll('nav a')].find((a) => a.textContent === '{title}').focus()")
        chromium.follow("Enter")
        assert chromium.js("document.querySelector('h1').textContent") == title
        _closed(chromium, server.url)
    chromium.js("document.querySelector('input[name=q]').focus()")
    uid = hex_of(hostile.uids()[30:31])[0]
    chromium.write(uid)
    chromium.follow("Enter")
    assert uid in chromium.js("document.querySelector('.found').textContent")
    _closed(chromium, server.url)
    chromium.open(server.url + "search?by=text&q=%3Cscript%3E")
    assert "alpha" in chromium.js("document.querySelector('#main').textContent")
    _closed(chromium, server.url)
    chromium.open(server.url + f"runs/{hostile.folder.removeprefix('runs/')}")
    while chromium.js("document.querySelector('#funnel') === null"):
        chromium.loaded = 0
        chromium.wait()
    _closed(chromium, server.url)
    assert chromium.js("document.querySelector('.top a').getAttribute('href')") == f"/{server.token}/"


def test_what_goes_on_is_seen_as_it_happens(chromium: Chromium, server: Server, hostile: Run) -> None:
    chromium.open(server.url)
    writer = "document.querySelector('#writer').textContent"
    assert chromium.js(writer) == "No writer is seen at this store."
    with hostile.store.writer():
        seen = f"if ({writer}.includes('pid')) {{ clearInterval(at); done({writer}); }}"
        told = chromium.js(f"new Promise((done) => {{ const at = setInterval(() => {{ {seen} }}, 50); }})")
    assert "Being written by pid" in told
    _closed(chromium, server.url)
