from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from curate.digest import h
from curate.errors import CeterisError
from eval_fixed_model.rows.documents import Documents
from eval_fixed_model.rows.packing import Packed
from tests.eval_fixed_model.texts import documents, sentences, uids_of

END = 256
MEMBERS = np.array([3, 8, 8, 1, 20, 8, 31, 14], np.int64)


def _stream(rows: Documents, members: np.ndarray, seed: int, epochs: int) -> list[tuple[int, int]]:
    """(token, position of its document), epoch after epoch, by the definition."""
    out = []
    for epoch in range(epochs):
        shown = []
        for place, copies in sorted(Counter(members.tolist()).items()):
            for copy in range(copies):
                (key,) = h("order", seed, rows.uids[[place]], epoch, copy).tolist()
                shown.append((key, place))
        for _, place in sorted(shown):
            text = rows.tokens[rows.offsets[place] : rows.offsets[place + 1]].tolist()
            out += [(token, place) for token in [*text, END]]
    return out


@pytest.mark.parametrize(("seed", "context"), [(0, 16), (1, 7), (2, 200)])
def test_any_sequence_is_cut_from_documents_in_hash_order(tmp_path: Path, seed: int, context: int) -> None:
    rows = documents(tmp_path, sentences(40))
    stream = np.array([token for token, _ in _stream(rows, MEMBERS, seed, 12)])
    packed = Packed(rows, MEMBERS, seed, END)
    assert packed.epoch == len(stream) / 12
    count = (len(stream) - 1) // context
    expected = np.stack([stream[i * context : (i + 1) * context + 1] for i in range(count)])
    assert (packed.sequences(0, count, context) == expected).all()
    for first in np.random.default_rng(0).permutation(count - 2)[:20]:
        assert (packed.sequences(int(first), 3, context) == expected[first : first + 3]).all()


def test_where_a_row_lies_changes_nothing(tmp_path: Path) -> None:
    texts, uids, turned = sentences(40), uids_of(40), np.arange(40)[::-1]
    rows = documents(tmp_path / "one", texts, uids=uids)
    other = documents(tmp_path / "two", [texts[i] for i in turned], uids=uids[turned])
    arm = uids[5:30]
    one, two = (Packed(r, r.indices(a), 3, END).sequences(0, 50, 16) for r, a in ((rows, arm), (other, arm[::-1])))
    assert (one == two).all()


@pytest.mark.parametrize("tokens", [1, 50, 333, 1000, 5000])
def test_what_is_shown_is_counted(tmp_path: Path, tokens: int) -> None:
    rows = documents(tmp_path, sentences(40))
    packed = Packed(rows, MEMBERS, 0, END)
    stream = _stream(rows, MEMBERS, 0, 1 + tokens // packed.epoch)
    begun: Counter[int] = Counter({int(place): 0 for place in MEMBERS})
    seen, at = set(), 0
    for number, (token, place) in enumerate(stream[:tokens]):
        begun[place] += at == 0
        if token != END:
            seen.add((place, at))
        at = 0 if stream[number][0] == END else at + 1
    shown = packed.shown(tokens)
    assert shown.repeats == Counter(begun.values())
    assert shown.distinct == len(seen)


def test_every_epoch_and_every_seed_has_its_order(tmp_path: Path) -> None:
    rows = documents(tmp_path, sentences(40))
    epochs = {packed.span(e * packed.epoch, (e + 1) * packed.epoch).tobytes() for packed in _packed(rows) for e in range(3)}
    assert len(epochs) == 6
    assert len({bytes(np.sort(np.frombuffer(epoch, np.int64))) for epoch in epochs}) == 1


def _packed(rows: Documents) -> list[Packed]:
    return [Packed(rows, np.arange(40), seed, END) for seed in (0, 1)]


def test_an_arm_without_documents_is_refused(tmp_path: Path) -> None:
    rows = documents(tmp_path, sentences(3))
    with pytest.raises(CeterisError, match="an arm without rows cannot be trained"):
        Packed(rows, np.empty(0, np.int64), 0, END)
