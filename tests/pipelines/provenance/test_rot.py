import hashlib
import io

import numpy as np
import polars as pl
import pytest
from PIL import Image
from typer.testing import CliRunner

from curate.errors import PoolError
from curate.pool import Pool
from pipelines.cli import app
from pipelines.provenance.rot import rot

SHAPE = (96, 128, 3)


def picture(seed):
    """Something with edges enough for a perceptual hash."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize(SHAPE[1::-1], Image.Resampling.BICUBIC)


def encoded(image, kind="PNG", **how):
    held = io.BytesIO()
    image.save(held, kind, **how)
    return held.getvalue()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


ORIGINAL = [encoded(picture(seed)) for seed in range(8)]
URLS = [f"https://{host}.example.org/{n}.png" for n, host in enumerate("aaabbbcc")]


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    """Eight addresses; fetched: two the same, one re-encoded, one replaced, one a flat placeholder, one failed, one is no row any more."""
    folder = tmp_path_factory.mktemp("rot")
    for name in ("earlier", "plain", "later"):
        (folder / name).mkdir()
    about = {"uid": [f"{n:032x}" for n in range(8)], "text": "a picture", "url": URLS, "source": ["x"] * 5 + ["y"] * 3}
    pl.DataFrame({**about, "image": ORIGINAL}).write_parquet(folder / "earlier" / "0.parquet")
    hashes = {"sha256": [sha256(data) for data in ORIGINAL], "original_width": 128}
    pl.DataFrame({**about, **hashes}).write_parquet(folder / "plain" / "0.parquet")
    got = {
        0: ORIGINAL[0],
        1: ORIGINAL[1],
        2: encoded(picture(2), "JPEG", quality=85),
        3: encoded(picture(99)),
        4: encoded(Image.new("RGB", (64, 64), "grey")),
        5: None,
        7: ORIGINAL[7],
    }
    numbers = [7, 4, 0, 2, 5, 1, 3]
    frame = pl.DataFrame(
        {
            "key": [f"{n:09d}" for n in numbers] + ["9"],
            "url": [URLS[n] for n in numbers] + ["https://new.example.org/"],
            "caption": "a picture",
            "status": ["success" if got[n] else "failed_to_download" for n in numbers] + ["success"],
            "error_message": [None if got[n] else "HTTP Error 404: Not Found" for n in numbers] + [None],
            "sha256": [sha256(got[n]) if got[n] else None for n in numbers] + [sha256(b"new")],
            "jpg": [got[n] for n in numbers] + [ORIGINAL[0]],
        }
    )
    frame[:4].write_parquet(folder / "later" / "00000.parquet")
    frame[4:].write_parquet(folder / "later" / "00001.parquet")
    return folder


def test_rows_are_counted_by_what_became_of_them(pools):
    found = rot(Pool.open(pools / "later"), Pool.open(pools / "earlier"))
    assert found.matched_by == "url"
    assert found.total == {
        **{"declared": 8, "there": 7, "obtained": 6},
        **{"same_file": 3, "same_picture": 1, "other_picture": 1, "other_file": 1, "unchecked": 0},
    }
    assert found.unexpected == 1
    assert found.lost == [{"said": "HTTP Error 404: Not Found", "rows": 1}]
    hosts = {one["host"]: one for one in found.by_host}
    assert hosts["a.example.org"]["same_file"] == 2
    assert hosts["b.example.org"]["obtained"] == 2
    assert hosts["c.example.org"]["there"] == 1
    assert [one["declared"] for one in found.by_source] == [5, 3]


def test_declared_hashes_are_enough_where_there_are_no_earlier_pictures(pools):
    found = rot(Pool.open(pools / "later"), Pool.open(pools / "plain"))
    assert found.total["same_file"] == 3
    assert found.total["other_file"] == 3
    assert found.compared == 0


def test_a_declared_perceptual_hash_tells_pictures_too(pools, tmp_path):
    from filters._pdq import pdq

    hashed = [pdq(np.asarray(picture(n)))[0].hex() for n in range(8)]
    (tmp_path / "p").mkdir()
    pl.read_parquet(pools / "plain" / "0.parquet").drop("sha256").with_columns(phash=pl.Series(hashed)).write_parquet(
        tmp_path / "p" / "0.parquet"
    )
    found = rot(Pool.open(pools / "later"), Pool.open(tmp_path / "p"), pdq="phash")
    assert found.total["same_picture"] == 4
    assert found.total["other_picture"] == 1
    assert found.total["unchecked"] == 1


def test_a_sample_bounds_what_is_looked_at(pools):
    found = rot(Pool.open(pools / "later"), Pool.open(pools / "earlier"), sample=1)
    assert found.left == 5
    assert found.total["unchecked"] == 5


def test_a_pool_alone_says_what_its_fetcher_said(pools):
    found = rot(Pool.open(pools / "later"))
    assert (found.total["declared"], found.total["obtained"], found.total["unchecked"]) == (8, 7, 7)
    assert found.unexpected == 0


def test_rows_of_one_address_meet_in_order(tmp_path):
    for name, hashes in (("one", ["aa", "bb"]), ("two", ["aa", "bb"])):
        (tmp_path / name).mkdir()
        pl.DataFrame(
            {"key": ["0", "1"], "url": "https://x.example.org/", "caption": "same", "status": "success", "sha256": hashes}
        ).write_parquet(tmp_path / name / "0.parquet")
    assert rot(Pool.open(tmp_path / "two"), Pool.open(tmp_path / "one")).total["same_file"] == 2


def test_what_cannot_be_met_or_was_never_fetched_is_refused(pools):
    with pytest.raises(PoolError, match="its rows cannot be met by uid"):
        rot(Pool.open(pools / "later"), Pool.open(pools / "earlier"), by="uid")
    with pytest.raises(PoolError, match="nothing says what was fetched"):
        rot(Pool.open(pools / "plain"), Pool.open(pools / "earlier"))
    with pytest.raises(PoolError, match="the pool has no column md5"):
        rot(Pool.open(pools / "later"), Pool.open(pools / "earlier"), hashes="md5")


def test_the_command_shows_hosts_and_reasons(pools):
    made = CliRunner().invoke(app, ["rot", str(pools / "later"), str(pools / "earlier")])
    assert made.exit_code == 0
    assert "a.example.org" in made.output
    assert "HTTP Error 404" in made.output
