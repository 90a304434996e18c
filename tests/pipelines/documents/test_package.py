"""Subset packages: the same bytes from the same run, made again elsewhere to the same digest, and every difference named."""

import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.ledger import Ledger
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from pipelines import verbs
from pipelines.cli import app
from pipelines.documents import recipient
from pipelines.documents.opened import opened
from pipelines.documents.package import package
from pipelines.documents.remake import Verified, verify_package
from pipelines.provenance.revoke import revoke
from tests.pipelines.documents.conftest import write_filter


@pytest.fixture(scope="module")
def packed(texts: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package(texts, "often", tmp_path_factory.mktemp("packed") / "often").path


@pytest.fixture(scope="module")
def elsewhere(texts: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the pool and the filter under another path."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(texts.pool.root, folder / "rows")
    write_filter(folder / "filters")
    return folder


def parts(found: Verified, kind: str) -> list[str]:
    return [one.part for one in found.findings if one.kind == kind]


def resealed(packed: Path, folder: Path, files: dict[str, str | bytes], *, pages: bool = False, **says: object) -> Path:
    """A copy with other files under these names, their digests in the manifest, which `says` this besides; `pages`: README and NOTICE are
    written anew from them, as somebody would who wants to be believed."""
    shutil.copytree(packed, folder)
    for name, data in files.items():
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    told = json.loads((folder / "manifest.json").read_text(encoding="utf-8")) | says
    (folder / "manifest.json").write_text(json.dumps(told), encoding="utf-8")
    if pages:
        received = recipient.Received(folder)
        (folder / "README.md").write_text(recipient.readme(received), encoding="utf-8")
        (folder / "NOTICE.txt").write_text(recipient.notice(received).text(), encoding="utf-8")
    told["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in told["files"]}
    (folder / "manifest.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def rechained(packed: Path, change: Callable[[dict[str, Any]], None]) -> dict[str, str | bytes]:
    """The ledger with every fact changed, its chain made anew, and the funnel that it then tells."""
    chain = Ledger()
    for line in (packed / "ledger.jsonl").read_text(encoding="utf-8").splitlines():
        fact = json.loads(line)
        change(fact)
        chain.record(fact.pop("what"), **{key: value for key, value in fact.items() if key not in ("n", "previous")})
    lines = recipient.funnel_of([json.loads(line) for line in chain.lines])
    return {"ledger.jsonl": chain.text(), "funnel.json": json.dumps(lines)}


def test_the_same_run_gives_the_same_bytes(texts: Run, packed: Path, tmp_path: Path) -> None:
    files = [package(texts, "often", tmp_path / f"{n}.tar.zst").path for n in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()
    with opened(files[0]) as one:
        assert one.manifest == json.loads((packed / "manifest.json").read_text(encoding="utf-8"))
        assert (one.subset.hex, one.subset.copies.tolist()) == (texts.subset("often").hex, [3] * 20)
    digest = texts.facts["subsets"]["often"]
    assert hashlib.sha256((packed / "subset.bin").read_bytes()).hexdigest() == digest
    assert str(texts.pool.root) not in "".join(one.read_text(errors="replace") for one in packed.iterdir())
    with pytest.raises(CeterisError, match="there already"):
        package(texts, "often", files[0])


def test_the_command_packs_and_checks(texts: Run, tmp_path: Path) -> None:
    path = tmp_path / "often.tar.zst"
    done = CliRunner().invoke(app, ["package", "often", str(path), "--store", texts.store.address])
    assert done.exit_code == 0
    assert "identity" in done.stdout
    assert "elsewhere: curate package --verify often.tar.zst --pool POOL --remake" in done.stdout.replace("\n", " ")
    done = CliRunner().invoke(app, ["package", "--verify", str(path)])
    assert done.exit_code == 0
    assert "what was asked holds" in done.stdout
    assert "60 rows in 2 shards" in done.stdout
    assert "that its recipe selects these rows, --pool POOL --remake shows" in done.stdout.replace("\n", " ")
    (tmp_path / "cut.tar.zst").write_bytes(path.read_bytes()[:-40])
    assert isinstance(CliRunner().invoke(app, ["package", "--verify", str(tmp_path / "cut.tar.zst")]).exception, CeterisError)
    for call in (["package"], ["package", "often"], ["package", "often", "x", "--verify", str(path)]):
        assert isinstance(CliRunner().invoke(app, call).exception, CeterisError)
    with pytest.raises(CeterisError, match="without the pool"):
        verify_package(path, remake=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_another_process_makes_it_again_on_a_copy_of_the_pool(packed: Path, elsewhere: Path, tmp_path: Path, workers: int) -> None:
    call = [sys.executable, "-m", "pipelines.cli", "package", "--verify", str(packed), "--pool", str(elsewhere / "rows"), "--remake"]
    call += ["--filters", str(elsewhere / "filters"), "--workers", str(workers), "--store", str(tmp_path / "s"), "--json"]
    done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["same"]
    assert told["remade"] == told["digest"]
    assert told["findings"] == []


def test_a_trained_filter_network_is_trained_again_or_taken_along(done: Run, place: Path, tmp_path: Path) -> None:
    made = package(done, "best", tmp_path / "best.tar.zst")
    assert made.left_out == {}
    shutil.copytree(place / "shards", tmp_path / "rows")
    shutil.copytree(place / "trusted", tmp_path / "good")
    where = [f"models.matcher.filter_network.trusted={tmp_path / 'good'}"]
    lost = verify_package(made.path, tmp_path / "rows", remake=True, executor=InProcess())
    assert parts(lost, "missing") == ["model matcher"]
    assert not lost.same
    again = verify_package(made.path, tmp_path / "rows", remake=True, sets=where, executor=InProcess(), store=tmp_path / "s")
    assert again.same
    assert again.findings == ()
    kept = verify_package(
        made.path, tmp_path / "rows", remake=True, sets=where, with_weights=True, executor=InProcess(), store=tmp_path / "t"
    )
    assert kept.same
    ledgers = [(tmp_path / store / str(one.run) / "ledger.jsonl").read_text(encoding="utf-8") for store, one in (("s", again), ("t", kept))]
    assert ['"made":["matcher"]' in text for text in ledgers] == [True, False]
    pl.read_parquet(tmp_path / "good" / "*.parquet").head(1000).write_parquet(next((tmp_path / "good").glob("*.parquet")))
    other = verify_package(made.path, tmp_path / "rows", remake=True, sets=where, with_weights=True, executor=InProcess())
    assert {"training rows of matcher", "model matcher"} <= set(parts(other, "differs"))
    assert parts(other, "missing") == ["model matcher"]
    assert other.remade is None


@pytest.mark.parametrize("name", ["subset.bin", "recipe.yaml", "ledger.jsonl", "pools.json", "signals.json", "funnel.json", "README.md"])
def test_a_changed_file_is_named(packed: Path, tmp_path: Path, name: str) -> None:
    for change in ("flip", "truncate", "remove"):
        folder = tmp_path / change
        shutil.copytree(packed, folder)
        data = bytearray((folder / name).read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(data if change == "flip" else data[:-1])
        if change == "remove":
            (folder / name).unlink()
        found = verify_package(folder)
        assert parts(found, "broken") == [name]
        assert not found.same


def test_files_that_contradict_each_other_are_named(packed: Path, tmp_path: Path) -> None:
    ledger = (packed / "ledger.jsonl").read_text(encoding="utf-8")
    recipe = (packed / "recipe.yaml").read_text(encoding="utf-8")
    pools = json.loads((packed / "pools.json").read_text(encoding="utf-8"))
    pools["pool"]["shards"].reverse()
    changed = {
        "ledger.jsonl": ledger[: ledger[:-1].rindex("\n") + 1],
        "recipe.yaml": recipe.replace("20", "21"),
        "pools.json": json.dumps(pools),
    }
    for name, text in changed.items():
        found = verify_package(resealed(packed, tmp_path / name, {name: text}))
        assert set(parts(found, "broken")) == {name}
    told = json.loads((packed / "manifest.json").read_text(encoding="utf-8"))
    shutil.copytree(packed, tmp_path / "m")
    (tmp_path / "m" / "manifest.json").write_text(json.dumps({**told, "rows": 19}), encoding="utf-8")
    assert set(parts(verify_package(tmp_path / "m"), "broken")) == {"manifest.json", "subset.bin", "card.json"}
    (tmp_path / "m" / "more.txt").write_text("more", encoding="utf-8")
    assert "more.txt" in parts(verify_package(tmp_path / "m"), "broken")


def test_what_one_file_says_is_held_against_the_others(packed: Path, tmp_path: Path) -> None:
    told = {name: json.loads((packed / name).read_text(encoding="utf-8")) for name in ("funnel.json", "card.json", "signals.json")}
    told["funnel.json"][-1]["kept"] -= 1
    told["card.json"]["mixes"][0]["rows"][0]["rows"] += 1
    told["signals.json"]["sources"]["mine"] = "0" * 64
    texts = {name: (packed / name).read_text(encoding="utf-8") for name in ("README.md", "NOTICE.txt")}
    changed = {
        "README.md": (texts["README.md"].replace("| rows | 20,", "| rows | 21,"), "README.md line "),
        "NOTICE.txt": (texts["NOTICE.txt"].replace("licence: CC-BY-4.0", "licence: CC0-1.0"), "NOTICE.txt line "),
        "funnel.json": (json.dumps(told["funnel.json"]), "funnel.json is not the funnel that the ledger tells, at often"),
        "card.json": (json.dumps(told["card.json"]), "README.md line "),
        "signals.json": (json.dumps(told["signals.json"]), "signals.json names other filters or sources"),
    }
    for name, (text, what) in changed.items():
        assert text != texts.get(name)
        found = verify_package(resealed(packed, tmp_path / name, {name: text}))
        assert not found.same
        assert [one.kind for one in found.findings] == ["broken"]
        assert f"{found.findings[0].part} {found.findings[0].what}".startswith(what)


def test_a_funnel_that_ledger_and_pages_confirm_is_held_against_the_run_made_again(packed: Path, elsewhere: Path, tmp_path: Path) -> None:
    def fewer(fact: dict[str, Any]) -> None:
        if fact.get("stage") == "longest" and fact["what"] == "stage":
            fact["in"] += 1
            fact["reasons"][0]["rows"] += 1

    card = json.loads((packed / "card.json").read_text(encoding="utf-8"))
    card["mixes"][0]["rows"][0]["rows"] += 1
    files = rechained(packed, fewer)
    head = hashlib.sha256(str(files["ledger.jsonl"]).splitlines()[-1].encode()).hexdigest()
    forged = resealed(packed, tmp_path / "p", {**files, "card.json": json.dumps(card)}, pages=True, head=head)
    assert verify_package(forged).same  # nothing in it contradicts anything in it
    found = verify_package(forged, elsewhere / "rows", remake=True, filters=[elsewhere / "filters"], executor=InProcess())
    assert found.remade == found.digest
    assert not found.same
    assert parts(found, "differs") == ["funnel.json", "card.json"]


def malformed(whole: str) -> list[str | bytes]:
    """What is no such file any more, or one with another value in one place."""
    forms: list[str | bytes] = [
        whole[: len(whole) // 2],
        "",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        '{"a": NaN}',
        '"\\ud800"',
        "1e999",
        b"\xff\xfe",
    ]
    told = json.loads(whole) if whole.startswith("{\n") else {}
    return forms + [json.dumps({**told, key: value}) for key in told for value in ([1], {"a": {}}, None)]


@pytest.mark.parametrize("name", ["funnel.json", "pools.json", "signals.json", "card.json", "recipe.yaml", "ledger.jsonl"])
def test_a_malformed_file_is_named_with_the_place_whatever_the_manifest_says(packed: Path, tmp_path: Path, name: str) -> None:
    forms = malformed((packed / name).read_text(encoding="utf-8"))
    for number, data in enumerate(forms):
        found = verify_package(resealed(packed, tmp_path / str(number), {name: data}))
        assert not found.same, data[:80]
        assert name in parts(found, "broken"), (data[:80], found.findings)


def test_a_malformed_manifest_is_named_with_the_place(packed: Path, tmp_path: Path) -> None:
    for number, data in enumerate(malformed((packed / "manifest.json").read_text(encoding="utf-8"))):
        shutil.copytree(packed, tmp_path / str(number))
        (tmp_path / str(number) / "manifest.json").write_bytes(data if isinstance(data, bytes) else data.encode())
        with pytest.raises(CeterisError, match=r"manifest\.json") as raised:
            verify_package(tmp_path / str(number))
        assert raised.value.fix


def test_a_flipped_byte_anywhere_in_an_archive_is_found(texts: Run, tmp_path: Path) -> None:
    path, draw = package(texts, "often", tmp_path / "p.tar.zst").path, random.Random(3)
    whole = path.read_bytes()
    content = pa.CompressedInputStream(pa.BufferReader(whole), "zstd").read()
    for _ in range(60):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        try:
            found = verify_package(path).same
        except CeterisError:
            continue
        # a bit of a frame's header that no decompressor asks for changes nothing
        assert not found or pa.CompressedInputStream(pa.BufferReader(bytes(data)), "zstd").read() == content
    with pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd") as stream:
        stream.write(content + b"hidden")
    assert parts(verify_package(path), "broken") == ["the archive"]


def test_links_and_other_things_that_are_no_files_are_named(packed: Path, tmp_path: Path) -> None:
    shutil.copytree(packed, tmp_path / "p")
    (tmp_path / "p" / "card.json").unlink()
    (tmp_path / "p" / "card.json").symlink_to(packed / "card.json")
    os.mkfifo(tmp_path / "p" / "pipe")
    assert parts(verify_package(tmp_path / "p"), "broken") == ["card.json", "pipe"]
    (tmp_path / "p" / "manifest.json").unlink()
    (tmp_path / "p" / "manifest.json").symlink_to(packed / "manifest.json")
    with pytest.raises(CeterisError, match="no manifest"):
        verify_package(tmp_path / "p")


def test_another_pool_is_named_shard_by_shard_and_nothing_is_made(packed: Path, elsewhere: Path, tmp_path: Path) -> None:
    def on(folder: Path) -> Verified:
        return verify_package(packed, folder, remake=True, executor=InProcess())

    shutil.copytree(elsewhere / "rows", tmp_path / "changed")
    frame = pl.read_parquet(tmp_path / "changed" / "1.parquet")
    frame.head(29).write_parquet(tmp_path / "changed" / "1.parquet")
    found = on(tmp_path / "changed")
    assert [one.what for one in found.findings] == ["the shard 1.parquet holds other content: 29 rows, in the package 30"]
    shutil.copytree(elsewhere / "rows", tmp_path / "fewer")
    (tmp_path / "fewer" / "1.parquet").unlink()
    shutil.copyfile(tmp_path / "changed" / "1.parquet", tmp_path / "fewer" / "2.parquet")
    gone = on(tmp_path / "fewer")
    assert [one.kind for one in gone.findings] == ["missing", "differs"]
    shutil.copytree(elsewhere / "rows", tmp_path / "turned")
    (tmp_path / "turned" / "0.parquet").rename(tmp_path / "turned" / "2.parquet")
    assert "another order" in on(tmp_path / "turned").findings[0].what
    assert not any(one.same or one.remade for one in (found, gone))
    shutil.copytree(elsewhere / "rows", tmp_path / "named")
    (tmp_path / "named" / "1.parquet").rename(tmp_path / "named" / "7.parquet")
    assert verify_package(packed, tmp_path / "named").same  # the same shards in the same order


def test_other_filters_and_libraries_are_named(packed: Path, elsewhere: Path, tmp_path: Path) -> None:
    missing = verify_package(packed, elsewhere / "rows", remake=True, executor=InProcess())
    assert parts(missing, "missing") == ["filter mine"]
    told = json.loads((packed / "signals.json").read_text(encoding="utf-8"))
    told["signals"]["mine"]["code"]["versions"] = {"xxhash": "0.0.1"}
    told["signals"]["mine"]["version"] = 7
    folder = resealed(packed, tmp_path / "p", {"signals.json": json.dumps(told)}, pages=True)
    other = verify_package(folder, elsewhere / "rows", remake=True, filters=[elsewhere / "filters"], executor=InProcess())
    assert (parts(other, "differs"), parts(other, "note")) == (["filter mine"], ["library xxhash"])
    assert other.same  # which changed nothing


def test_a_filter_that_measures_otherwise_is_where_the_rows_part(packed: Path, elsewhere: Path, tmp_path: Path) -> None:
    write_filter(tmp_path / "filters", 2, " % 7")
    call = [sys.executable, "-m", "pipelines.cli", "package", "--verify", str(packed), "--pool", str(elsewhere / "rows"), "--remake"]
    call += ["--filters", str(tmp_path / "filters"), "--workers", "1", "--json"]  # a process of its own: a filter is imported once
    done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["remade"] not in (None, told["digest"])
    assert [(one["kind"], one["part"]) for one in told["findings"]] == [
        ("note", "filter mine"),
        ("differs", "filter mine"),
        ("differs", "evidence mine"),
        ("differs", "subset"),
    ]


def test_a_run_without_rows_that_were_taken_down_is_made_again_where_they_are_refused(texts: Run, elsewhere: Path, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s")
    recipe = Recipe.parse("stages: {a: {keep: text_length.words > 2}}\nsubsets: [a]")
    first = verbs.run(recipe, elsewhere / "rows", store=store, executor=InProcess())
    revoke([f"uid:{first.subset('a').hex[0]}"], store=store, copies=False, yes=True, who="a test")
    run = verbs.run(recipe.set("stages.a.keep", "text_length.words > 3"), elsewhere / "rows", store=store, executor=InProcess())
    made = package(run, "a", tmp_path / "p")
    found = verify_package(made.path, elsewhere / "rows", remake=True, executor=InProcess())
    assert not found.same
    assert parts(found, "note") == ["revoked"]
    assert found.findings[-1].what == "1 rows are new, 0 are missing"
    refused = verify_package(made.path, elsewhere / "rows", remake=True, executor=InProcess(), store=store)
    assert refused.same
    assert parts(refused, "note") == []
    exports = [store.json(key) for key in store.storage.list("exports/")]
    assert [(one["layout"], one["folder"]) for one in exports] == [("package", str(tmp_path / "p"))]


def test_a_remake_stays_out_of_the_store_at_hand_and_names_the_one_given(
    texts: Run, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path / "s")
    recipe = Recipe.parse("stages: {a: {keep: text_length.words > 2}}\nsubsets: [a]")
    first = verbs.run(recipe, elsewhere / "rows", store=store, executor=InProcess())
    made = package(first, "a", tmp_path / "p")
    revoke([f"uid:{first.subset('a').hex[0]}"], store=store, copies=False, yes=True, who="a test")
    monkeypatch.setenv("CETERIS_STORE", str(store.address))
    call = ["package", "--verify", str(made.path), "--pool", str(elsewhere / "rows"), "--remake", "--workers", "1"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    said = done.stdout.replace("\n", " ")
    assert f"1 rows of this pool were taken down in {store.address}, and are not refused in a temporary store" in said
    assert "in a temporary store, which is gone again" in said
    assert Run.latest(store).folder == first.folder
    done = CliRunner().invoke(app, [*call, "--store", str(store.address)])
    assert done.exit_code == 1
    assert Run.latest(store).folder != first.folder
    assert (
        f"its run {Run.latest(store).folder.removeprefix('runs/')} is now the latest of the store {store.address}"
        in done.stdout.replace("\n", " ")
    )


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_no_package(tmp_path: Path) -> None:
    path, info = tmp_path / "bomb.tar.zst", tarfile.TarInfo("subset.bin")
    info.size = 70 << 20
    with pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd") as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(CeterisError, match="far more than its own size"):
        verify_package(path)


def test_a_manifest_says_all_that_a_manifest_says(packed: Path, tmp_path: Path) -> None:
    with opened(packed) as package:
        told = package.manifest
    (tmp_path / "f").mkdir()
    for name in ("files", "rows", "subset", "models"):
        (tmp_path / "f" / "manifest.json").write_text(json.dumps({**told, name: None}), encoding="utf-8")
        with pytest.raises(CeterisError, match=f"manifest.json: {name}: "):
            verify_package(tmp_path / "f")


def test_an_archive_writes_nothing_outside_its_folder(tmp_path: Path) -> None:
    for name, kind in {"../evil": tarfile.REGTYPE, "/evil": tarfile.REGTYPE, "link": tarfile.SYMTYPE}.items():
        path = tmp_path / "evil.tar.zst"
        with pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd") as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, 4 if kind == tarfile.REGTYPE else 0, "/etc/passwd"
            tar.addfile(info, io.BytesIO(b"evil"))
        with pytest.raises(CeterisError, match="a member that no package has"):
            verify_package(path)
    (tmp_path / "no.tar.zst").write_bytes(b"no")
    with pytest.raises(CeterisError, match="is no package"):
        verify_package(tmp_path / "no.tar.zst")
    (tmp_path / "f").mkdir()
    with pytest.raises(CeterisError, match="no manifest"):
        verify_package(tmp_path / "f")
    (tmp_path / "f" / "manifest.json").write_text('{"format": "ceteris-package 9"}', encoding="utf-8")
    with pytest.raises(CeterisError, match="ceteris-package 9"):
        verify_package(tmp_path / "f")
