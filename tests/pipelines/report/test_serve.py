"""A store served on this machine: who may ask, for what, and that nothing is written."""

import http.client
import json
import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from curate.digest import hex_of
from curate.errors import CeterisError
from curate.record import Run
from curate.store import Store
from pipelines.report.serve import Server
from pipelines.report.store_pages import Pages

Got = tuple[int, dict[str, str], str]


@pytest.fixture(scope="module")
def server(hostile: Run) -> Iterator[Server]:
    """The hostile pool's store, served."""
    with Server(hostile.store.address) as served:
        thread = threading.Thread(target=served.serve)
        thread.start()
        yield served
        served.stop()
        thread.join()


def _ask(server: Server, path: str, *, method: str = "GET", host: str | None = None, token: str | None = None) -> Got:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest(method, f"/{server.token if token is None else token}/{path}", skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{server.port}")
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read().decode()
    connection.close()
    return found


def _page(server: Server, path: str) -> str:
    status, _, body = _ask(server, path)
    assert status == 200
    return body


def test_runs_are_listed_and_their_reports_shown(server: Server, hostile: Run) -> None:
    name = hostile.folder.removeprefix("runs/")
    home = _page(server, "")
    assert f'href="/{server.token}/runs/{name}"' in home
    assert "best <span" in home
    while "is being drawn" in (report := _page(server, f"runs/{name}")):
        pass
    assert "No verdict yet" in report
    assert f'href="/{server.token}/"' in report
    assert _page(server, f"runs/{name}") == report


def test_rows_are_found_by_uid_url_and_text(server: Server, hostile: Run) -> None:
    uid = hex_of(hostile.uids()[30:31])[0]
    for query in (f"by=uid&q={uid}", "by=url&q=https%3A%2F%2Fpool.example%2F30%3F%3Cb%3E30%3C%2Fb%3E", "by=text&q=number+900"):
        found = _page(server, f"search?{query}")
        assert "1 row with this" in found
        assert uid in found
        assert "a picture of thing 30, number 900" in found
        assert "data:image/webp;base64," in found
    assert "40 rows" not in _page(server, "search?by=text&q=")
    assert "has this text" in _page(server, "search?by=text&q=nowhere+at+all")
    hostile_query = _page(server, "search?by=text&q=%3Cscript%3Ewindow.broken%3D1%3C%2Fscript%3E")
    assert "&lt;script&gt;window.broken=1&lt;/script&gt;" in hostile_query
    assert "<script>window.broken" not in hostile_query


def test_what_goes_on_is_told_as_json(server: Server, hostile: Run) -> None:
    status, headers, body = _ask(server, "now")
    assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert json.loads(body)["writer"] is None
    with hostile.store.writer():
        assert "pid" in json.loads(_page(server, "now"))["writer"]


def test_scores_of_a_store_without_any(server: Server) -> None:
    assert "Nothing was evaluated in this store" in _page(server, "scores")


@pytest.mark.parametrize("host", ["outside.example", "127.0.0.1", "127.0.0.1:1", "localhost.outside.example", ""])
def test_another_host_is_told_nothing(server: Server, host: str) -> None:
    status, _, body = _ask(server, "", host=host or " ")
    assert status == 421
    assert "demo" not in body
    assert _ask(server, "", host=f"localhost:{server.port}")[0] == 200


@pytest.mark.parametrize("token", ["", "x", "..", "%2e%2e"])
def test_who_does_not_know_the_address_is_told_nothing(server: Server, token: str) -> None:
    status, _, body = _ask(server, "", token=token)
    assert (status, "whole address" in body) == (404, True)
    assert len(server.token) >= 24
    with Server(server.pages.store.address) as other:
        assert other.token != server.token


@pytest.mark.parametrize("target", ["*", "runs", "x//[", "//", "/"])
def test_what_is_no_path_is_answered_too(server: Server, target: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("GET", target)
    connection.endheaders()
    assert connection.getresponse().status == 404
    connection.close()


def _fail(_: Run) -> str:
    raise CeterisError("torn meanwhile", fix="wait")


def test_a_report_that_failed_is_drawn_again(hostile: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages(hostile.store, "/")
    name = hostile.folder.removeprefix("runs/")
    with monkeypatch.context() as once:
        once.setattr(pages, "_report", _fail)
        with pytest.raises(CeterisError, match="torn meanwhile"):
            pages.run(name)
    monkeypatch.setattr(pages, "_report", lambda _: "drawn")
    assert pages.run(name) == "drawn"


def test_readers_who_leave_early_are_no_error(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as leaving:
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it ends with a reset
        leaving.sendall(b"GET /")
    assert _ask(server, "now")[0] == 200
    time.sleep(0.05)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(server: Server, method: str) -> None:
    assert _ask(server, "", method=method)[0] == 405


@pytest.mark.parametrize(
    "path", ["../FORMAT", "..%2f..%2fFORMAT", "runs/..", "runs/%2e%2e%2fFORMAT", "runs/%00", "FORMAT", "runs", "now/x", "a" * 5000]
)
def test_no_path_leads_to_a_file(server: Server, path: str) -> None:
    status, _, body = _ask(server, path)
    assert status in (404, 414)
    assert "ceteris-store" not in body


def test_every_answer_forbids_framing_guessing_and_other_places(server: Server) -> None:
    for path in ("", "now", "search?by=uid&q=x", "runs/none"):
        _, headers, body = _ask(server, path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        if headers["Content-Type"].startswith("text/html"):
            assert "default-src &#39;none&#39;" in body
            assert "connect-src &#39;self&#39;" in body


def test_the_store_is_left_as_it_was(server: Server, hostile: Run) -> None:
    root = Path(hostile.store.address)

    def there() -> dict[str, tuple[int, int]]:
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}

    before = there()
    for path in ("", "now", "scores", f"runs/{hostile.folder.removeprefix('runs/')}", "search?by=text&q=picture"):
        _ask(server, path)
    assert there() == before


def test_a_head_is_an_answer_without_its_body(server: Server) -> None:
    status, headers, body = _ask(server, "", method="HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 1000


def test_a_port_that_is_taken_is_said(server: Server) -> None:
    with pytest.raises(CeterisError, match=f"port {server.port} cannot be had"):
        Server(server.pages.store.address, server.port)


def test_a_store_without_a_run_is_shown(tmp_path: Path) -> None:
    Store.open(tmp_path / "store")
    with Server(str(tmp_path / "store")) as served:
        body = served.answer("GET", f"/{served.token}/", f"127.0.0.1:{served.port}").body
    assert "No run has finished in this store" in body


def test_many_who_ask_at_once_get_one_drawing(hostile: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = Pages(hostile.store, "/")
    name = hostile.folder.removeprefix("runs/")
    drawn, go = list[str](), threading.Event()
    monkeypatch.setattr("pipelines.report.store_pages.PATIENCE", 0.01)
    monkeypatch.setattr(pages, "_report", lambda run: drawn.append(run.folder) or (go.wait(60) and "the page"))  # type: ignore[func-returns-value]
    with ThreadPoolExecutor(16) as readers:
        told = list(readers.map(lambda _: pages.run(name), range(64)))
    assert all("is being drawn" in page for page in told)
    go.set()
    monkeypatch.setattr("pipelines.report.store_pages.PATIENCE", 60)
    assert pages.run(name) == "the page"
    assert drawn == [hostile.folder]


def test_trainings_that_end_faster_than_a_report_is_drawn_begin_no_second_drawing(hostile: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would wait for those before it, and no reader would see a page; but who asks after a take-down gets none of before."""
    pages, name, state = Pages(hostile.store, "/"), hostile.folder.removeprefix("runs/"), [0, 0, 0]
    begun, go = list[list[int]](), threading.Event()
    monkeypatch.setattr("pipelines.report.store_pages.PATIENCE", 0.01)
    monkeypatch.setattr(pages, "_state", lambda: tuple(state))
    monkeypatch.setattr(pages, "_report", lambda _: begun.append([*state]) or (go.wait(60) and f"the page of {state}"))  # type: ignore[func-returns-value]
    before = threading.active_count()
    for _ in range(20):
        assert "is being drawn" in pages.run(name)
        state[1] += 1
    assert threading.active_count() - before == 1
    state[2] += 1
    assert "is being drawn" in pages.run(name)
    assert threading.active_count() - before == 2
    go.set()
    monkeypatch.setattr("pipelines.report.store_pages.PATIENCE", 60)
    assert pages.run(name) == "the page of [0, 20, 1]"
    state[1] += 1
    assert pages.run(name) == "the page of [0, 21, 1]"
    assert len(begun) == 3


def test_a_search_that_would_wait_too_long_is_told_so(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.report.store_pages.QUEUE", 0.01)
    with server.pages.reading:
        for path in ("search?by=text&q=picture", "scores"):
            assert _ask(server, path)[0::2] == (503, "earlier searches are still going on\n")
        assert _ask(server, "now")[0] == 200
    assert _ask(server, "search?by=text&q=picture")[0] == 200


HOSTILE_QUERIES = (
    "%00",
    "%ff%fe",
    "\u0661" * 32,
    "x" * 3000,
    "(((((",
    ".*+?[",
    "%",
    "' or 1=1 --",
    "\u202e",
    "\ud7ff",
    "../../FORMAT",
    " ",
    "1e999",
    "-1",
    "f" * 33,
)


@pytest.mark.parametrize("by", ["uid", "url", "text", "image", "<b>", ""])
def test_no_search_breaks_the_server(server: Server, by: str, capfd: pytest.CaptureFixture[str]) -> None:
    for asked in HOSTILE_QUERIES:
        text = asked if asked.startswith("%") else quote(asked)
        status, _, body = _ask(server, f"search?by={quote(by)}&q={text}")
        assert status == (200 if by in ("uid", "url", "text", "") else 404), asked
        assert "<b>" not in body.replace("<b>Ceteris</b>", "")
    assert capfd.readouterr().err == ""


def test_a_store_that_is_gone_is_said_until_it_is_back(hostile: Run, tmp_path: Path) -> None:
    store = Path(shutil.copytree(hostile.store.address, tmp_path / "store"))
    with Server(str(store)) as served:
        paths = ("", "now", "scores", "search?by=text&q=picture", f"runs/{hostile.folder.removeprefix('runs/')}")
        ask = {path: lambda path=path: served.answer("GET", f"/{served.token}/{path}", f"127.0.0.1:{served.port}") for path in paths}
        store.rename(tmp_path / "away")
        for path in paths:
            answer = ask[path]()
            assert (answer.status, "any more" in answer.body) == (503, True), path
        (tmp_path / "away").rename(store)
        assert ask[""]().status == 200
        shutil.rmtree(store / "pools")
        shutil.rmtree(store / "decisions")
        assert {ask[path]().status for path in paths} <= {200, 404, 503}
    assert not (tmp_path / "away").exists()
