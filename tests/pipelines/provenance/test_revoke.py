"""The verb revoke: how rows are named, what is said of them, and what rests on them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from curate.digest import hex_of, sha256, words_of_hex
from curate.errors import CeterisError
from curate.executor import InProcess
from curate.exports.export import export
from curate.record import Run
from curate.store import Store
from curate.takedown.revoked import must_be_made_again
from pipelines.cli import app
from pipelines.provenance.lineage import trace
from pipelines.provenance.revoke import names_in, plain_of, revoke
from pipelines.provenance.uses import uses
from pipelines.scores.arms import WHOLE
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.training import evaluate
from pipelines.scores.verdicts import compare
from pipelines.scores.verified import verified

UID, SHA = "0123456789abcdef" * 2, "ab" * 32


def test_names_say_their_kind_or_show_it(tmp_path: Path) -> None:
    (tmp_path / "list").write_text(
        f"# asked in May\n\nhttps://example.org/a:b\ndomain:Example.COM.\n{UID.upper()}\n  text:{SHA}  \n", encoding="utf-8"
    )
    plain = plain_of([*names_in(str(tmp_path / "list")), f"image:{SHA}", "uid:key 7", "url:not-an-address"])
    assert hex_of(plain.uids) == [UID]
    assert (plain.originals, plain.domains) == (frozenset(["key 7"]), frozenset(["example.com"]))
    assert plain.urls == frozenset(["https://example.org/a:b", "not-an-address"])
    assert plain.texts == plain.images == frozenset([bytes.fromhex(SHA)])
    assert plain_of(["a.org", "url:https://b.org/"], "domain").domains == frozenset(["a.org"])


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("example.org", None, "what is 'example.org'"),
        (SHA, None, "what is"),
        ("py:posix.forkpty", None, "such as uid:py:posix.forkpty, or"),
        ("example.org", None, "such as domain:example.org for a host or uid:example.org"),
        ("text:hello", None, "is no SHA-256"),
        ("domain:https://example.org/", None, "is no domain"),
        ("domain:example.org:80", None, "is no domain"),
        ("domain:*.example.org", None, "is no domain"),
        ("https://example.org/\udcff", None, "is no text in UTF-8"),
        ("x", "host", "no kind host"),
    ],
)
def test_what_says_nothing_clear_is_refused(name: str, kind: str | None, message: str) -> None:
    with pytest.raises(CeterisError, match=message):
        plain_of([name], kind)


def test_a_list_that_cannot_be_read_is_named() -> None:
    with pytest.raises(CeterisError, match="cannot be read"):
        names_in("/nowhere/list.txt")


@pytest.fixture
def store(scored: Evaluation, tmp_path: Path) -> Store:
    shutil.copytree(scored.store.address, tmp_path / "store")
    return Store.open(tmp_path / "store")


@pytest.fixture
def asked(scored: Evaluation) -> list[str]:
    """Three rows of the subset, as a request has them."""
    return Run(scored.store, scored.run).subset("long").hex[:3]


def test_without_yes_it_says_what_is_touched_and_writes_nothing(store: Store, scored: Evaluation, asked: list[str], tmp_path: Path) -> None:
    made = export(Run(store, scored.run), "long", tmp_path / "out", "uids")
    before = {key: store.storage.get(key) for key in store.storage.list("")}
    found = revoke(asked, store=store)
    assert {key: store.storage.get(key) for key in store.storage.list("")} == before
    told = found.to_json()
    assert (told["rows"], told["already"], told["done"]) == (3, 0, None)
    assert [one["folder"] for one in told["touched"]["exports"]] == [str(tmp_path / "out")]
    assert made["files"] == told["touched"]["exports"][0]["files"]
    arms = {key.rpartition("/")[0] for name in ("long", WHOLE) for key in scored.arms[name].scores.values()}
    assert arms <= set(told["touched"]["scores"])
    assert told["touched"]["trained rows"]
    left = {one["subset"]: one for one in told["subsets"]}
    assert left["long"]["left"] == 3
    assert sum(left["long"]["source"].values()) == 3
    assert sorted(found.rows["uid"]) == sorted(asked)
    assert json.loads(json.dumps(told))["rows"] == 3


def test_scores_that_rest_on_them_say_so_and_are_not_ranked(store: Store, scored: Evaluation, asked: list[str], two_tasks: Path) -> None:
    done = revoke(asked, store=store, yes=True, reason="asked", who="w").done
    assert done is not None
    store = Store.open(store.address)
    assert set(must_be_made_again(store).values()) == {1}
    assert not [key for key in store.storage.list("rows/") if not key.endswith("/")]
    run = Run(store, scored.run)
    judged = compare(run, scale=str(two_tasks))
    assert judged.taken_down["long"] == 1
    assert judged.to_json()["taken down"]["long"] == 1
    for words, rows in (["long", "seed", "0"], 3), ([WHOLE, "seed", "1"], 3):
        (traced,) = trace(store, words).lineages
        assert f"revoked: {rows} rows of this subset since it was trained on them ({rows} by request 1)" in traced.notes
    refused = {one.arm: one.why for one in verified(Path(store.address))[0].refused}
    assert "taken down (request 1)" in refused["long"]
    assert not {one.name for one in verified(Path(store.address))[0].arms} & {"long", WHOLE}


def _told(store: Store, uids: list[str]) -> list[dict[str, object]]:
    """For each of these rows, how many of them what used them is said to have held: by kind and name."""
    found = []
    for uid in uids:
        (used,) = uses(store, uid=uid).runs
        made = {f"{kind} {one[name]}": one for kind, name in _KINDS.items() for one in getattr(used, kind)}
        found.append({name: (one["rows"], one.get("at_least", 0)) for name, one in made.items()} | {"verdicts": bool(used.verdicts)})
    return found


_KINDS = {"subsets": "name", "exports": "folder", "scores": "key"}


def test_what_held_them_is_told_after_it_too(store: Store, scored: Evaluation, asked: list[str], tmp_path: Path) -> None:
    run = Run(store, scored.run)
    compare(replace(scored, store=store))
    export(run, "long", tmp_path / "out", "uids")
    out = hex_of(run.uids()[np.flatnonzero(run.codes("long"))[:1]])
    before = _told(store, asked)
    revoke(asked, store=store, yes=True)
    store = Store.open(store.address)
    after = _told(store, asked)
    export(Run(store, scored.run), "long", tmp_path / "later", "uids")
    for was, now in zip(before, after, strict=True):
        assert was.keys() <= now.keys()
        kept = {name: told for name, told in now.items() if told == (1, 1) or told == (1, 0)}
        assert {f"exports {tmp_path / 'out'}", "subsets long", "subsets pool"} <= kept.keys()
        sure = {f"scores {key}" for name in ("long", WHOLE, "unique") for key in scored.arms[name].scores.values()}
        assert sure <= kept.keys()
        drawn = {f"scores {key}" for key in scored.arms["random 120"].scores.values()} & now.keys()
        assert {now[name] for name in drawn} <= {(None, 0)}
        assert now["verdicts"]
    said = _called("trace", "--uid", asked[0], "--store", store.address)
    assert f"export of long: {tmp_path / 'out'} (uids: uids.txt)" in said
    assert _told(store, asked) == after  # what was exported later holds none

    revoke(out, store=store, yes=True)  # of two requests together less is sure
    store = Store.open(store.address)
    for was, now in zip(after, _told(store, [*asked, *out]), strict=False):
        assert was.keys() <= now.keys()
        assert now["subsets pool"] == (1, 0)


def test_an_evaluation_after_it_trains_on_none_of_them(store: Store, scored: Evaluation, asked: list[str], two_tasks: Path) -> None:
    revoke(asked, store=store, yes=True)
    run = Run(Store.open(store.address), scored.run)
    again = evaluate(run, scale=str(two_tasks), seeds=1, executor=InProcess(), only=["long", WHOLE])
    assert compare(run, "long", WHOLE, scale=str(two_tasks)).taken_down == {"long": 1, WHOLE: 1}  # the latest of all arms is older
    gone = {tuple(word) for word in words_of_hex(asked).tolist()}
    for key in run.store.storage.list("rows/"):
        if key.endswith(".npy") and (key.endswith("uids.npy") or "/members/" in key):
            words = np.load(run.store.path(key))
            assert not gone & set(map(tuple, words.tolist()))
    assert again.arms["long"].rows == scored.arms["long"].rows - 3
    assert not any("revoked: " in note for note in trace(run.store, [again.arms["long"].scores[0]]).lineages[0].notes)
    assert not set(must_be_made_again(run.store)) & {key.rpartition("/")[0] for arm in again.arms.values() for key in arm.scores.values()}


def test_near_takes_nearly_the_same_images(done: Run, tmp_path: Path) -> None:
    shutil.copytree(done.store.address, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    unique = done.decided("unique")
    assert unique.cut is not None
    dropped = done.store.frame(unique.cut.survivors)  # type: ignore[arg-type]
    alike = dropped.sort("similarity", descending=True).row(0, named=True)
    uids = hex_of(done.uids()[[alike["row"], alike["survivor"]]])
    found = revoke([uids[0]], store=store, near=True, executor=InProcess())
    assert found.found.kinds.get("near", 0) + found.found.kinds.get("copies", 0) >= 1
    assert set(uids) <= set(found.rows["uid"])
    assert revoke([uids[0]], store=store, copies=False).found.count == 1


def _called(*arguments: str) -> str:
    called = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert called.exit_code == 0, called.output
    return called.stdout


def test_the_command(store: Store, asked: list[str], tmp_path: Path) -> None:
    (tmp_path / "names").write_text("\n".join(f"uid:{uid}" for uid in asked), encoding="utf-8")
    command = ["revoke", "--from", str(tmp_path / "names"), "--store", store.address, "--workers", "1"]
    said = _called(*command, "--list", str(tmp_path / "rows.jsonl"))
    assert "3 rows (3 by uid)" in said
    assert "nothing was changed" in said
    assert sorted(json.loads(line)["uid"] for line in (tmp_path / "rows.jsonl").read_text().splitlines()) == sorted(asked)
    answer = _called(*command, "--yes", "--reason", "asked", "--json", "--list", str(tmp_path / "uids.txt"))
    told = json.loads(answer)
    assert told["done"]["number"] == 1
    assert sorted((tmp_path / "uids.txt").read_text().split()) == sorted(asked)
    assert not [uid for uid in asked if uid in answer]
    assert '"revoked"' in _called("why", asked[0], "--store", store.address, "--json")
    assert "no take-down was interrupted" in _called("revoke", "--resume", "--store", store.address)
    with pytest.raises(CeterisError, match="nothing is named"):
        _called("revoke", "--store", store.address)


def test_image_hashes_name_rows_by_the_bytes_of_their_images(done: Run) -> None:
    shard = done.pool.shards[0]
    image = done.pool.read(shard, roles=["image"], rows=[4]).frame.item()
    found = revoke([f"image:{sha256(image)}"], store=done.store)
    uid = hex_of(done.pool.uids(shard)[0][4:5])[0]
    assert uid in found.rows["uid"].to_list()
    images = [one for s in done.pool.shards for one in done.pool.read(s, roles=["image"]).frame["image"].to_list()]
    assert found.rows.filter(pool=done.facts["pool"]).height == images.count(image)
