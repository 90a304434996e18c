"""The demo's pool as webdataset and as img2dataset writes it: the same rows are selected, and trained on."""

import io
import json
import tarfile

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.digest import hex_of
from curate.executor import InProcess
from curate.pool import Pool
from curate.recipe import Recipe
from pipelines import verbs
from pipelines.training import evaluate


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
