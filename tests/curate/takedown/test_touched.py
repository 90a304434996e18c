"""Files that say something of rows, wherever it stands in them."""

import html
import json
from pathlib import Path

import polars as pl

from curate.pool import Pool
from curate.store import Store
from curate.takedown.named_rows import Plain
from curate.takedown.request import look
from tests.curate.takedown.small_store import done, select, urls_of, write


def test_a_report_that_shows_a_row_leaves(store: Store, rows: pl.DataFrame) -> None:
    shown = f"<td>{rows['text'][9]}</td>"
    store.storage.put("reports/one.html", shown.encode())
    store.storage.put("report.html", shown.encode())
    store.storage.put("reports/two.html", b"<td>nothing of it</td>")
    store.put_json(f"scores/{'0' * 16}/conditions.json", {"task": rows["text"][9]})  # so named by chance: scores are not lost by it
    store.storage.put("packages/three/uids.txt", rows["uid"][18].encode())
    told = done(store, urls_of(rows))
    assert told["touched"]["other files"] == ["packages/three/uids.txt", "report.html", "reports/one.html"]
    assert store.storage.list("reports/") == ["reports/two.html"]
    assert not store.storage.list("packages/")
    assert store.storage.list("scores/")


def test_a_text_is_found_wherever_it_stands_in_a_file_and_however_it_is_escaped(pool: Pool, tmp_path: Path) -> None:
    store, texts = Store.open(tmp_path / "store"), ['<b> & "then" it said so', "and then it said so", "a short one"]
    frame = pl.DataFrame(
        {"text": texts, "url": ["https://a.example/1", "https://b.example/2", "https://c.example/3"], "quality": [0.1, 0.2, 0.3]}
    )
    select(write(frame, tmp_path / "pool", 1), store)
    needles = look(store, Plain(urls=frozenset(frame["url"].to_list()))).needles
    for text in (texts[0], texts[1], *frame["url"]):
        for before in range(9):
            for after in ("", "!" * 9):
                assert needles.within(f"{'-' * before}{text}{after}".encode())
    assert needles.within(html.escape(texts[0]).encode())
    assert needles.within(json.dumps({"at": frame["url"][0]}).replace("/", "\\/").encode())
    for other in (b"", b"said so", b"or then it said so", b"a short one", b"https://a.example/12"[:-2], texts[1][:-1].encode()):
        assert not needles.within(other)
