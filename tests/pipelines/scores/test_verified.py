import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from curate.digest import digest_of
from curate.errors import CeterisError
from curate.seal import sealed, unsealed
from pipelines.scores.evaluations import Evaluation
from pipelines.scores.verified import Verified, verified


@pytest.fixture(scope="module")
def copied(scored: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("copied") / "store"
    shutil.copytree(scored.store.path(""), place)
    return place


@pytest.fixture
def store(copied: Path) -> Iterator[Path]:
    """A store to tamper with: the files that a test changes are as they were afterwards."""
    kept = {file: file.read_bytes() for file in copied.rglob("*") if file.is_file()}
    yield copied
    for file in [file for file in copied.rglob("*") if file.is_file() and file not in kept]:
        file.unlink()
    for file, data in kept.items():
        if not file.is_file() or file.read_bytes() != data:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)


def _score(store: Path, done: Evaluation, arm: str, seed: int = 0) -> Path:
    return store / done.arms[arm].scores[seed]


def _flip(file: Path, place: float = 0.5) -> None:
    data = bytearray(file.read_bytes())
    data[int(len(data) * place)] ^= 1
    file.write_bytes(data)


def _one(place: Path) -> Verified:
    (found,) = verified(place)
    return found


def _refused_for(found: Verified) -> dict[str, str]:
    return {one.arm: one.why for one in found.refused}


def test_a_sound_store_verifies_whole_and_its_numbers_are_those_of_its_answers(scored: Evaluation, store: Path) -> None:
    found = _one(store)
    assert found.refused == ()
    assert {arm.name for arm in found.arms} == set(scored.arms)
    assert all(arm.unchecked == () for arm in found.arms if arm.kind != "parent")
    for arm in found.arms:
        assert {seed: score.headline for seed, score in arm.scores.items()} == {
            seed: scored.score(arm.name, seed).headline for seed in scored.arms[arm.name].scores
        }


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_flipped_bit_in_the_answers_is_found(scored: Evaluation, store: Path, share: float) -> None:
    _flip(_score(store, scored, "long") / "items.parquet", share)
    found = _one(store)
    assert "items.parquet is not what its digest in train.json says" in _refused_for(found)["long"]
    assert "long" not in {arm.name for arm in found.arms}  # nor with the seed that is left
    assert "whole pool" in {arm.name for arm in found.arms}


def test_answers_that_are_cut_short_or_gone_are_found(scored: Evaluation, store: Path) -> None:
    file = _score(store, scored, "long") / "items.parquet"
    file.write_bytes(file.read_bytes()[:-50])
    (_score(store, scored, "unique", 1) / "items.parquet").unlink()
    why = _refused_for(_one(store))
    assert "items.parquet is not what" in why["long"]
    assert "not all of it" in why["unique"]


def test_every_flipped_bit_in_a_training_record_is_found(scored: Evaluation, store: Path) -> None:
    file = _score(store, scored, "long") / "train.json"
    sound = file.read_bytes()
    for number in np.random.default_rng(0).integers(0, len(sound), 3).tolist():
        _flip(file, number / len(sound))
        assert "train.json" in _refused_for(_one(store))["long"], number
        file.write_bytes(sound)


def test_a_record_that_was_written_anew_is_told_by_the_ledger(scored: Evaluation, store: Path) -> None:
    file = _score(store, scored, "long") / "train.json"
    about = json.loads(file.read_text())
    file.write_text(json.dumps({**about, "rows": about["rows"] + 1, "seconds": 0.1}, indent=1))
    assert _refused_for(_one(store))["long"] == "train.json is not what the ledger wrote down: rows, seconds"


def test_swapped_seeds_and_swapped_subsets_are_found(scored: Evaluation, store: Path) -> None:
    def swap(a: Path, b: Path) -> None:
        a.rename(store / "aside")
        b.rename(a)
        (store / "aside").rename(b)

    swap(_score(store, scored, "long", 0), _score(store, scored, "long", 1))
    assert _refused_for(_one(store))["long"] == "train.json is that of seed 0, and lies in seed-1"
    swap(_score(store, scored, "long", 0), _score(store, scored, "long", 1))
    swap(_score(store, scored, "long").parent, _score(store, scored, "whole pool").parent)
    why = _refused_for(_one(store))
    assert "train.json is not what the ledger wrote down" in why["long"]
    assert "train.json is not what the ledger wrote down" in why["whole pool"]
    swap(_score(store, scored, "long").parent, _score(store, scored, "whole pool").parent)
    answers = [_score(store, scored, "long", seed) / "items.parquet" for seed in (0, 1)]
    swap(*answers)
    assert "items.parquet is not what its digest" in _refused_for(_one(store))["long"]


def test_conditions_that_were_changed_refuse_all_under_them(store: Path) -> None:
    file = next(store.glob("scores/*/conditions.json"))
    held = unsealed(file.read_bytes(), where="")
    held["versions"]["torch"] = "0.0"
    file.write_bytes(sealed(held))
    found = _one(store)
    assert found.arms == ()
    assert "conditions.json has the digest" in _refused_for(found)[""]


def test_an_entry_is_held_against_its_name_its_ledger_and_the_stores_chain(store: Path) -> None:
    entry = next(store.glob("scores/*/entries/*.json"))
    sound = entry.read_bytes()
    value = unsealed(sound, where="")
    entry.write_bytes(sealed({**value, "leaked": [1, *value["leaked"]]}))
    assert "its name is the digest of" in _refused_for(_one(store))[""]
    entry.write_bytes(sound.replace(b'"leaked":[', b'"leaked":[1,', 1))
    assert "not what its seal says" in _refused_for(_one(store))[""]
    entry.write_bytes(sound)
    facts = entry.with_suffix(".jsonl")
    lines = facts.read_text().splitlines(keepends=True)
    facts.write_text("".join([lines[0], *lines[2:]]))
    assert "chain is broken" in _refused_for(_one(store))[""]
    facts.write_text("".join(lines[:-1]))  # a chain of its own, but not the one whose head the store knows
    assert "does not know its ledger" in _refused_for(_one(store))[""]
    facts.write_text("".join(lines))
    head = sorted((store / "ledger").glob("*.json"))[0]
    head.write_bytes(head.read_bytes().replace(b'"n":0', b'"n":7'))
    assert "chain of heads is broken" in _refused_for(_one(store))[""]


def test_an_entry_from_other_conditions_is_foreign(store: Path) -> None:
    entry = next(store.glob("scores/*/entries/*.json"))
    value = json.loads(json.dumps(unsealed(entry.read_bytes(), where="")).replace(entry.parent.parent.name, "0" * 16))
    foreign = entry.with_name(f"000009-{digest_of(value)[:16]}.json")
    foreign.write_bytes(sealed(value))
    found = _one(store)
    assert "scores of other conditions: scores/0000000000000000" in _refused_for(found)[""]
    assert found.arms  # of the sound entry


def test_what_was_taken_away_is_missed(scored: Evaluation, store: Path) -> None:
    entry = next(store.glob("scores/*/entries/*.json"))
    sound = entry.read_bytes()
    other = entry.with_name("000009-0.json")
    other.write_bytes(sound)
    entry.unlink()
    found = _one(store)
    assert found.arms == ()
    assert {Path(one.where).name: one.why for one in found.refused}[entry.name] == "the store's chain of heads knows it, and it is gone"
    other.unlink()
    entry.write_bytes(sound)
    held = entry.parent.parent / "conditions.json"
    held.unlink()
    assert "conditions.json cannot be read" in _refused_for(_one(store))[""]


def test_a_score_that_no_entry_lists_is_named(scored: Evaluation, store: Path) -> None:
    stray = _score(store, scored, "long").with_name("seed-7")
    shutil.copytree(_score(store, scored, "long"), stray)
    (refused,) = _one(store).refused
    assert refused.where == str(stray)
    assert "no entry lists it" in refused.why


def test_rows_that_are_not_those_of_the_digest_are_found(scored: Evaluation, store: Path) -> None:
    digest = scored.arms["long"].id
    file = next(store.glob(f"rows/*/members/{digest}.npy"))
    sound = file.read_bytes()
    _flip(file, 0.7)
    assert "not those of its digest" in _refused_for(_one(store))["long"]
    file.write_bytes(sound[:40])
    assert "damaged" in _refused_for(_one(store))["long"]


def test_a_damaged_subset_is_found_by_the_scores_that_were_trained_on_it(scored: Evaluation, store: Path) -> None:
    for file in store.glob("subsets/*.parquet"):
        _flip(file)
    assert "subset" in _refused_for(_one(store))["long"] or "damaged" in _refused_for(_one(store))["long"]
    for file in store.glob("subsets/*.parquet"):
        file.unlink()
    assert "the subset is gone" in _refused_for(_one(store))["long"]


def test_rows_that_are_not_at_hand_are_said_to_be_unchecked(scored: Evaluation, store: Path, tmp_path: Path) -> None:
    exported = tmp_path / next(store.glob("scores/*")).name
    shutil.copytree(next(store.glob("scores/*")), exported)
    found = _one(exported)
    assert found.refused == ()
    assert {arm.unchecked for arm in found.arms} == {("rows",)}
    shutil.copytree(exported, tmp_path / "renamed")
    assert "its folder is called renamed" in _refused_for(_one(tmp_path / "renamed"))[""]


def test_where_no_scores_are_is_said(tmp_path: Path) -> None:
    with pytest.raises(CeterisError, match="there are no scores here"):
        verified(tmp_path)
