from pathlib import Path

import numpy as np
import polars as pl
import pytest

from curate.digest import hex_of
from curate.errors import CeterisError, PoolError
from eval_fixed_model.rows import documents as module
from eval_fixed_model.rows.documents import Documents, materialise
from tests.eval_fixed_model.texts import documents, sentences, small_scale, uids_of

TEXTS = sentences(200)
UIDS = uids_of(200)


def _text(rows: Documents, place: int) -> str:
    return bytes(rows.tokens[rows.offsets[place] : rows.offsets[place + 1]].tolist()).decode()


def test_documents_come_back_as_they_were_read(tmp_path: Path) -> None:
    documents(tmp_path, TEXTS)
    rows = Documents.open(tmp_path)
    assert isinstance(rows.tokens, np.memmap)
    assert rows.tokens.dtype == np.uint8
    assert [_text(rows, place) for place in range(200)] == TEXTS
    assert (rows.uids == UIDS).all()
    assert rows.scale_digest == small_scale().digest
    assert rows.rejected.is_empty()
    assert list(rows.indices(UIDS[[7, 3, 7]])) == [7, 3, 7]


def test_batches_of_reading_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents(tmp_path / "one", TEXTS)
    monkeypatch.setattr(module, "_ROWS", 4)
    reads = ((UIDS[i : i + 7], pl.DataFrame({"text": TEXTS[i : i + 7]})) for i in range(0, 200, 7))
    materialise(reads, small_scale(), tmp_path / "many")
    for name in ("tokens.npy", "offsets.npy", "uids.npy"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()


def test_what_has_no_text_leaves_every_arm_alike(tmp_path: Path) -> None:
    texts: list[str | None] = list(TEXTS)
    texts[3], texts[5], texts[199] = None, "", None
    rows = materialise([(UIDS, pl.DataFrame({"text": texts}))], small_scale(), tmp_path)
    codes = dict(zip(hex_of(UIDS[[3, 5, 199]]), ["no_text", "empty_text", "no_text"], strict=True))
    assert dict(rows.rejected.rows()) == codes
    assert [_text(rows, place) for place in range(197)] == [text for text in texts if text]
    assert len(rows.indices(UIDS)) == 197
    none = materialise([(UIDS[:2], pl.DataFrame({"text": [None, None]}, schema={"text": pl.String}))], small_scale(), tmp_path)
    assert len(none.uids) == len(none.tokens) == 0


def test_a_pool_without_rows_opens(tmp_path: Path) -> None:
    rows = materialise([], small_scale(), tmp_path)
    assert len(rows.tokens) == len(rows.indices(UIDS)) == 0


def test_a_uid_read_twice_is_refused(tmp_path: Path) -> None:
    twice = (UIDS[:2], pl.DataFrame({"text": TEXTS[:2]}))
    with pytest.raises(PoolError, match="a uid was read twice"):
        materialise([twice, twice], small_scale(), tmp_path)


def test_an_interrupted_folder_does_not_open(tmp_path: Path) -> None:
    documents(tmp_path, TEXTS)

    def broken():
        yield UIDS[:2], pl.DataFrame({"text": TEXTS[:2]})
        raise KeyboardInterrupt("stopped here")

    with pytest.raises(KeyboardInterrupt, match="stopped here"):
        materialise(broken(), small_scale(), tmp_path)
    with pytest.raises(CeterisError, match="no finished documents lie here"):
        Documents.open(tmp_path)


def test_another_array_is_refused(tmp_path: Path) -> None:
    documents(tmp_path, TEXTS)
    np.save(tmp_path / "tokens.npy", np.zeros(3, np.uint8))
    with pytest.raises(CeterisError, match="not the ones that were written"):
        Documents.open(tmp_path)
