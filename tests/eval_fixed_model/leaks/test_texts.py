import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from eval_fixed_model.leaks import texts as leaks_text
from eval_fixed_model.leaks.texts import THRESHOLD, leaked_items, leaked_pairs
from eval_fixed_model.scale import TextScale
from eval_fixed_model.tasks.text_items import COLUMNS
from tests.eval_fixed_model.texts import documents, file_scale, small_scale

LONG = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it was the epoch"
SHORT = "Call me Ishmael. Some years ago, never mind how long"
TINY = "Stately, plump Buck Mulligan came"
QUESTION, RIGHT = "All happy families are alike; each unhappy family is unhappy", "in its own way"
SCRIPT = "吾輩は猫である。名前はまだ無い。どこで生れたか"


def _item(text: str, split: str = "test", **more: object) -> dict[str, object]:
    return {"task": "held_out", "split": split, "kind": "likelihood", "text": text, **more}


def _scale(folder: Path, scale: TextScale | None = None) -> TextScale:
    """A scale that asks these items; the number of each is its place here."""
    choice = {"task": "cloze", "kind": "multiple_choice", "choices": ["in the same way", RIGHT, "in no way", "in another way"], "label": 1}
    items = [_item(LONG, "validation"), _item(LONG), _item(SHORT), _item(TINY), _item(QUESTION, **choice), _item(SCRIPT)]
    pl.DataFrame(items, schema=COLUMNS).write_parquet(folder / "items.parquet")
    made = (scale or small_scale(folder)).model_dump(mode="json")
    found = TextScale.model_validate({**made, "items": {"file": "items.parquet"}})
    found._folder = folder
    return found


def test_what_is_copied_is_found_whatever_is_around_it(tmp_path: Path) -> None:
    scale = _scale(tmp_path)
    shouted = re.sub(r"\W+", " -- ", LONG.upper())
    texts = [f"before. {LONG} and after", "nothing here", shouted, f"x\n{SHORT}\ny", f"{QUESTION} {RIGHT}", f"{TINY} from", f"「{SCRIPT}」"]
    found = leaked_pairs(documents(tmp_path / "rows", texts, scale), scale)
    assert found.schema == {"item": pl.UInt32, "row": pl.Int64, "distance": pl.Float32}
    assert found.rows() == [(1, 0, 0.0), (1, 2, 0.0), (2, 3, 0.0), (4, 4, 0.0), (5, 6, 0.0)]
    assert leaked_items(documents(tmp_path / "rows", texts, scale), scale, "validation") == {0}


def test_a_part_is_as_far_as_what_is_missing(tmp_path: Path) -> None:
    scale, words = _scale(tmp_path), LONG.split()
    grams = len(words) - 12
    texts = [" ".join(words[:kept]) for kept in range(12, len(words) + 1)]
    found = leaked_pairs(documents(tmp_path / "rows", texts, scale), scale)
    expected = {row: 1 - shared / grams for row, shared in enumerate(range(grams + 1)) if 1 - shared / grams <= THRESHOLD}
    assert found["row"].to_list() == list(expected)
    assert found["distance"].to_numpy() == pytest.approx(np.array(list(expected.values())), abs=1e-6)


def test_documents_that_follow_each_other_are_two(tmp_path: Path) -> None:
    scale, middle = _scale(tmp_path), len(LONG) // 2
    assert leaked_items(documents(tmp_path / "rows", [LONG[:middle], LONG[middle:]], scale), scale) == frozenset()
    assert leaked_items(documents(tmp_path / "none", [], scale), scale) == frozenset()


def test_chunks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scale = _scale(tmp_path)
    rows = documents(tmp_path / "rows", ["one", LONG, "two words", SHORT, LONG + SHORT, "three"], scale)
    whole = leaked_pairs(rows, scale)
    assert whole["row"].to_list() == [1, 4, 3, 4]
    for chunk in (1, 10, 200):
        monkeypatch.setattr(leaks_text, "CHUNK", chunk)
        assert leaked_pairs(rows, scale).equals(whole)


def test_tokens_of_a_file_are_texts_again(tmp_path: Path) -> None:
    scale = _scale(tmp_path, file_scale(tmp_path))
    rows = documents(tmp_path / "rows", ["no", f"a {LONG} b", SCRIPT], scale)
    assert leaked_pairs(rows, scale).rows() == [(1, 1, 0.0), (5, 2, 0.0)]


def test_words_are_those_that_a_slower_reader_finds() -> None:
    rng = np.random.default_rng(0)
    alphabet = list("abcAB01 .,-_\n\té漢字か–“”🙂Ж")
    texts = ["".join(rng.choice(alphabet, rng.integers(0, 40))) for _ in range(300)]
    hashes, owners = leaks_text._words(leaks_text.ByteTokenizer().encode(texts))
    alone = r"[\u3000-\udfff\U00010000-\U0010ffff][a-zA-Z0-9\u0080-\u1fff]*"
    expected = [
        (number, re.sub("[A-Z]", lambda letter: letter[0].lower(), word))
        for number, text in enumerate(texts)
        for word in re.findall(rf"{alone}|[a-zA-Z0-9\u0080-\u1fff]+", text)
    ]
    assert owners.tolist() == [number for number, _ in expected]
    words = [word for _, word in expected]
    assert len(set(zip(words, hashes.tolist(), strict=True))) == len(set(words)) == len(set(hashes.tolist()))
