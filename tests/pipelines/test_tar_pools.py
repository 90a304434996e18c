"""The demo's pool as webdataset and as img2dataset writes it: the same rows are selected, and trained on."""

import io
import json
import tarfile

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from curate.digest import hex_of
from curate.errors import CeterisError
from curate.executor import InProcess
from curate.pool import Pool
from curate.recipe import Recipe
from pipelines import verbs
from pipelines.cli import app
from pipelines.scores.training import evaluate


def add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def about(row):
    return {"uid": row["uid"], "url": row["url"], "license": row["license"], "source": row["source"]}


def webdataset(rows, path):
    """Rows without a caption lack the member."""
    with tarfile.open(path.with_suffix(".tar"), "w") as archive:
        for n, row in enumerate(rows):
            ending = "png" if row["image"]["bytes"].startswith(b"\x89PNG") else "jpg"
            add(archive, f"{n:05d}.{ending}", row["image"]["bytes"])
            if row["text"] is not None:
                add(archive, f"{n:05d}.txt", row["text"].encode())
            add(archive, f"{n:05d}.json", json.dumps(about(row)).encode())


def img2dataset(rows, path):
    webdataset(rows, path)
    table = [{**about(row), "caption": row["text"], "key": f"{n:05d}", "status": "success"} for n, row in enumerate(rows)]
    pq.write_table(pa.Table.from_pylist(table), path.with_suffix(".parquet"), row_group_size=100)


@pytest.fixture(scope="module", params=[webdataset, img2dataset])
def same(request, place, tmp_path_factory):
    """The recipe run on the rows of the demo's pool in tars."""
    folder = tmp_path_factory.mktemp(request.param.__name__)
    (folder / "shards").mkdir()
    for path in sorted((place / "shards").glob("*.parquet")):
        request.param(pq.read_table(path).to_pylist(), folder / "shards" / path.stem)
    (folder / "trusted").symlink_to(place / "trusted")
    (folder / "small.yaml").write_text((place / "small.yaml").read_text())
    run = verbs.run(Recipe.load(folder / "small.yaml"), store=folder / ".ceteris", executor=InProcess())
    assert run.pool.layout == request.param.__name__
    return run


def test_the_same_rows_are_selected(done, same):
    for name in done.facts["subsets"]:
        assert same.subset(name).hex == done.subset(name).hex, name
    assert len(done.subset("best")) == 100


def test_a_row_leads_back_to_its_member(done, same):
    uid = done.subset("best").hex[0]
    found, known = verbs.why(same, uid), verbs.why(done, uid)
    assert [found[role] for role in ("text", "license", "url")] == [known[role] for role in ("text", "license", "url")]
    assert found["shard"].startswith(known["shard"].removesuffix(".parquet"))


def test_they_are_trained_on(done, same, judged, small_scale):
    if same.pool.layout == "img2dataset":
        pytest.skip("its images come through the same reader")
    found = evaluate(same, scale=str(small_scale), seeds=2, executor=InProcess())
    for arm in judged.arms:
        scores = [{**each.score(arm, 0).to_json(), "seconds": 0} for each in (found, judged)]
        assert scores[0] == scores[1], arm


def test_parquet_leaves_with_its_images(done, same, tmp_path):
    verbs.export(same.subset("best"), tmp_path / "out")
    pool = Pool.open(tmp_path / "out")
    words = np.concatenate([pool.uids(shard)[0] for shard in pool.shards])
    assert sorted(hex_of(words)) == done.subset("best").hex
    images = pl.concat([pool.read(shard, roles=["image", "uid"]).frame for shard in pool.shards])
    first = [done.pool.read(shard, roles=["image", "uid"]).frame for shard in done.pool.shards]
    assert images.join(pl.concat(first), on=["image", "uid"]).height == 100


def test_the_command_line_exports_tars_with_faces_blurred(place, tmp_path):
    folder = tmp_path / "pool"
    folder.mkdir()
    table = pq.read_table(place / "shards" / "part-00000.parquet").slice(0, 40)
    pq.write_table(table.append_column("face_bboxes", pa.array([[[0.1, 0.1, 0.5, 0.5]]] * 40)), folder / "a.parquet")
    (tmp_path / "r.yaml").write_text("{pool: {path: pool/}, stages: {a: {keep: pool.text is not None}}, subsets: [a]}")
    run = verbs.run(Recipe.load(tmp_path / "r.yaml"), store=tmp_path / "store", executor=InProcess())
    asked = ["export", "a", str(tmp_path / "out"), "--layout", "webdataset", "--blur", "faces", "--store", str(tmp_path / "store")]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    about = json.loads((tmp_path / "out" / "export.json").read_text())
    broken = sum(about["left_out"].values())
    kept = about["written"] - about["without_image"]
    assert (about["blurred_images"], kept + broken) == (kept, len(run.subset("a")))
    assert f"blurred {kept} faces in {kept} images" in shown.output
    pool = Pool.open(tmp_path / "out")
    after = pool.read(pool.shards[0], roles=["uid", "image"]).frame.drop_nulls()
    was = {row["uid"]: row["image"]["bytes"] for row in table.to_pylist()}
    assert after.height == kept
    for uid, image in after.rows():
        with Image.open(io.BytesIO(image)) as now, Image.open(io.BytesIO(was[uid])) as before:
            assert (now.format, now.size) == (before.format, before.size)
    with pytest.raises(CeterisError, match=r"nothing called eyes can be blurred"):
        verbs.export(run.subset("a"), tmp_path / "new", blur="eyes")


def test_the_command_line_says_how_many_copies_leave(place, tmp_path):
    (tmp_path / "pool").mkdir()
    pq.write_table(pq.read_table(place / "shards" / "part-00000.parquet").slice(0, 5), tmp_path / "pool" / "a.parquet")
    (tmp_path / "r.yaml").write_text("{pool: {path: pool/}, stages: {a: {keep: {repeat: 3}}}, subsets: [pool, a]}")
    verbs.run(Recipe.load(tmp_path / "r.yaml"), store=tmp_path / "store", executor=InProcess())
    for subset, said in (("a", "5 rows (15 with copies) in"), ("pool", "5 rows in")):
        for layout in ("webdataset", "parquet"):
            asked = ["export", subset, str(tmp_path / subset / layout), "--layout", layout, "--store", str(tmp_path / "store")]
            shown = CliRunner().invoke(app, asked)
            assert shown.exit_code == 0, shown.output
            assert said in " ".join(shown.output.split())


def test_vectors_are_shown_apart_from_what_rules_can_use(tmp_path):
    pq.write_table(pa.table({"uid": ["0" * 32], "text": ["a"], "url": ["b"], "original_width": [1]}), tmp_path / "0.parquet")
    np.savez(tmp_path / "0.npz", l14_img=np.zeros((1, 768), np.float16))
    shown = CliRunner().invoke(app, ["pool", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    said = " ".join(shown.output.split())
    assert "pool.original_width (Int64)" in said
    assert "columns for signals and models only: pool.l14_img (vector of 768)" in said
