import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.digest import words_of
from curate.errors import CeterisError, SignalBugError
from curate.executor import InProcess
from curate.grouping import LINK_SCHEMA, grouping
from curate.links import Gathered, Linking, numbered, survivors
from curate.pieces import Piece
from curate.plan import Groups, Measure
from curate.reduce import order_key
from curate.rule import OnePer
from curate.signal import signal
from curate.store import Store

UIDS = words_of(bytes([n]) * 16 for n in range(40))


@signal(version=1, reads=["text"], writes={"key": pl.Binary, "size": pl.UInt8})
def letter(batch):
    return batch.select(key=pl.col("text").cast(pl.Binary), size=pl.lit(1, pl.UInt8))


class Case:
    """A store, and a grouping whose links between keys are given."""

    def __init__(self, folder, alike=(), threshold=0.8, linked=True):
        self.store, self.calls, self.alike, self.evidence = Store.open(f"memory:{folder}"), [], dict(alike), []
        made = grouping("twins", version=1, sketch=letter, links=self.links if linked else None, threshold=threshold)
        self.measure = Measure("twins.sketch", "twins.sketch", letter, {}, "f" * 64)
        self.groups = Groups("twins", made, self.measure, {"floor": 0.5}, threshold, "links/twins")

    def links(self, sketches, *, floor: float = 0.5):
        keys = [key for _, frame in sketches.read(["key"]) for key in frame["key"]]
        self.calls.append((keys[: sketches.fresh], keys[sketches.fresh :], floor))
        pairs = [(i, j, self.alike.get((keys[i], keys[j]), self.alike.get((keys[j], keys[i])))) for j in range(len(keys)) for i in range(j)]
        found = [pair for pair in pairs if pair[2] is not None and pair[1] >= sketches.fresh]
        yield pl.DataFrame(found, schema=LINK_SCHEMA, orient="row")

    def gathered(self, keys, prefer=(), rows=None, reserved=False, offset=0, pieces=2):
        """Candidates and evidence of rows 0, 1, .. (uids alike) in the order `rows`, in pieces of a shard of their own."""
        rows = np.arange(len(keys)) if rows is None else np.array(rows)
        shard, made = f"shard {len(self.evidence)}", []
        columns = {f"k{n}": order_key(pl.Series(values), True)[rows] for n, values in enumerate(prefer or [[0] * len(keys)])}
        frame = pl.DataFrame({"row": rows.astype(np.uint64), **columns, "tie0": UIDS[rows, 0], "tie1": UIDS[rows, 1]}).with_columns(
            key=pl.Series([keys[row] for row in rows], dtype=pl.Binary)
        )
        evidence = frame.select("row", "key", size=pl.lit(1, pl.UInt8), error=pl.lit(None, pl.String))
        part = self.store.put_frame(self.measure.folder, shard, evidence, scope=shard, stop=len(keys))
        self.evidence.append(part)
        self.store.publish(self.measure.folder, [part], 1)
        edges = np.linspace(0, len(keys), pieces + 1).astype(int)
        for number, (start, stop) in enumerate(itertools.pairwise(edges)):
            part = self.store.put_frame("tmp/x", "c", frame[start:stop])
            made.append(Gathered(Piece(number, 0, 0, len(keys), 0), shard, self.measure, part, offset, reserved))
        return made

    def linking(self):
        return Linking(self.store, InProcess(), self.groups, 1, lambda *_: None)

    def dropped(self, gathered, keeper="direct"):
        found, _ = survivors(OnePer("twins", (("a.b", True),) * 10, keeper), self.linking(), gathered)
        return {row: (survivor, round(similarity, 4)) for row, survivor, similarity in found.rows()}


@pytest.fixture
def case(tmp_path):
    return lambda *given, **named: Case(tmp_path, *given, **named)


def test_rows_of_equal_keys_leave_for_the_preferred_one(case):
    twins = case()
    assert twins.dropped(twins.gathered([b"a", b"b", b"a", b"a"], [[2, 0, 1, None]] + [[0] * 4] * 9)) == {0: (2, 1.0), 3: (2, 1.0)}


def test_later_preferences_and_then_uids_break_ties(case):
    twins = case()
    prefer = [[1, 1, 1, 2], [3, 2, 2, 0]] + [[0] * 4] * 8
    assert twins.dropped(twins.gathered([b"a"] * 4, prefer)) == {0: (1, 1.0), 2: (1, 1.0), 3: (1, 1.0)}


def test_ten_preferences_are_weighed_in_order(case):
    twins = case()
    assert twins.dropped(twins.gathered([b"a", b"a"], [[0, 0]] * 2 + [[0, 1]] + [[0, 0]] * 6 + [[1, 0]])) == {1: (0, 1.0)}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([None, None, b"row 0", b"row 1", None], {}),
        ([None, None, None], {}),
        ([b"row 1", None, b"row 1"], {2: (0, 1.0)}),
        ([], {}),
    ],
)
def test_rows_without_a_key_stand_alone_whatever_keys_others_have(case, keys, expected):
    twins = case()
    assert twins.dropped(twins.gathered(keys, [[0] * len(keys)] * 10)) == expected


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(0.8, {1: (0, 0.9), 3: (0, 1.0)}), (0.95, {3: (0, 1.0)}), (0.5, {1: (0, 0.9), 2: (0, 0.7), 3: (0, 1.0)})],
)
def test_links_reach_rows_through_their_keys_and_only_rows_that_are_here(case, threshold, expected):
    links = {(b"a", b"c"): 0.9, (b"a", b"z"): 0.99, (b"b", b"c"): 0.7}
    twins = case(links, threshold)
    twins.dropped(twins.gathered([b"z", b"y"], [[0] * 2] * 10))
    assert twins.dropped(twins.gathered([b"c", b"a", b"b", b"c"], [[0] * 4] * 10)) == expected


def test_rows_without_a_key_need_none_of_the_links_known(case):
    twins = case({(b"a", b"b"): 0.9})
    assert twins.dropped(twins.gathered([b"a", b"b"], [[0] * 2] * 10)) == {1: (0, 0.9)}
    assert twins.dropped(twins.gathered([None, None], [[0] * 2] * 10)) == {}


def test_a_key_is_itself_beside_keys_of_any_length(case):
    twins, long = case(), b"sixteen bytes..."
    keys = [long, b"short", long, b"", b""]  # of three pieces the first holds a key of 16 bytes alone, the second two of several lengths
    assert twins.dropped(twins.gathered(keys, [[0] * 5] * 10, pieces=3)) == {2: (0, 1.0), 4: (3, 1.0)}


@given(st.permutations(range(6)), st.integers(1, 4))
def test_order_of_arrival_changes_nothing(order, pieces):
    twins = Case(f"{order}{pieces}", {(b"a", b"b"): 0.9, (b"b", b"c"): 0.85})
    keys, prefer = [b"a", b"b", b"c", b"a", None, b"b"], [[1, 0, 1, 0, 0, 0]] + [[0] * 6] * 9
    assert twins.dropped(twins.gathered(keys, prefer, order, pieces=pieces)) == {0: (1, 0.9), 2: (1, 0.85), 3: (1, 0.9), 5: (1, 1.0)}


def test_only_new_keys_are_linked_and_against_all_that_were(case):
    twins = case({(b"a", b"b"): 0.9, (b"a", b"c"): 0.9, (b"b", b"c"): 0.9})

    def linked(*keys):
        numbers, new = twins.linking().number(twins.gathered(list(keys)))
        return numbers.tolist(), new, [[round(float(x), 2) for x in column] for column in twins.linking().strong(numbers)]

    assert linked(b"b", b"a", b"a", None) == ([0, 1, 1, -1], 2, [[0], [1], [0.9]])
    assert linked(b"a", b"b") == ([1, 0], 0, [[0], [1], [0.9]])
    assert linked(b"c", b"a") == ([2, 1], 1, [[1], [2], [0.9]])
    assert linked(b"c", b"b", b"a") == ([2, 0, 1], 0, [[0, 0, 1], [1, 2, 2], [0.9, 0.9, 0.9]])
    assert twins.calls == [([], [b"b", b"a"], 0.5), ([b"b", b"a"], [b"c"], 0.5)]


def test_reserved_rows_stay_whatever_they_are_like_and_come_before_all_others(case):
    twins = case({(b"a", b"b"): 0.9, (b"b", b"c"): 0.85})
    mine = twins.gathered([b"c", b"b", b"d"], [[0] * 3] * 10)
    held = twins.gathered([b"a", b"b", b"b"], rows=[0, 1, 2], reserved=True, offset=100)
    assert twins.dropped([*mine, *held]) == {0: (101, 0.85), 1: (101, 1.0)}


@pytest.mark.parametrize(("at_once", "files"), [(1, 3), (2, 2), (10, 1)])
def test_links_are_gathered_into_files(case, monkeypatch, at_once, files):
    monkeypatch.setattr("curate.links.LINKS_A_FILE", at_once)
    twins = case()
    frames = [pl.DataFrame([(0, j, 0.9)], schema=LINK_SCHEMA, orient="row") for j in (1, 2, 3)]
    object.__setattr__(twins.groups.grouping, "links", lambda *_, **__: iter(frames))
    numbers, _ = twins.linking().number(twins.gathered([b"a", b"b", b"c", b"d"]))
    assert len(twins.store.parts("links/twins")["pairs"]) == files
    assert [column.tolist() for column in twins.linking().strong(numbers)[:2]] == [[0, 0, 0], [1, 2, 3]]


KEYS = [bytes([letter]) for letter in b"abcdefgh"]
NUMBERED = itertools.count()
PAIRS = st.dictionaries(st.sampled_from(list(itertools.combinations(KEYS, 2))), st.sampled_from([0.7, 0.8, 0.9, 0.95]), max_size=28)


@given(PAIRS, st.lists(st.sampled_from([*KEYS, None]), min_size=1, max_size=14), st.lists(st.sampled_from(KEYS), max_size=4), st.data())
def test_leaving_out_links_that_change_nothing_changes_nothing(alike, keys, held, data):
    prefer = [data.draw(st.lists(st.integers(0, 3), min_size=len(keys), max_size=len(keys)))] + [[0] * len(keys)] * 9
    answers = []
    for least, keeper in itertools.product((-1, 1 << 22), ("direct", "components")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("curate.links.LINKS_HELD", least)
            twins = Case(f"links {next(NUMBERED)}", alike)
            reserved = twins.gathered(held, reserved=True, offset=100) if held and keeper == "direct" else []
            answers.append(twins.dropped([*twins.gathered(keys, prefer), *reserved], keeper))
    assert answers[:2] == answers[2:]


def test_of_a_crowd_only_the_links_of_its_survivor_are_held(case, monkeypatch):
    monkeypatch.setattr("curate.links.LINKS_HELD", 0)
    twins = case(dict.fromkeys(itertools.combinations(KEYS, 2), 0.9))
    numbers, _ = twins.linking().number(twins.gathered(KEYS))
    i, j, _ = twins.linking().strong(numbers, np.array([3, 1, 0, 2, 4, 5, 6, 7]))
    assert (len(i), {*i.tolist(), *j.tolist()} - {2}) == (7, {0, 1, 3, 4, 5, 6, 7})
    assert set(zip(i.tolist(), j.tolist(), strict=True)) == {(min(2, one), max(2, one)) for one in range(8) if one != 2}


def test_more_sketches_than_there_are_numbers_are_refused(case, monkeypatch):
    monkeypatch.setattr("curate.links.NUMBERS", 3)
    twins = case()
    twins.linking().number(twins.gathered([b"a", b"b", b"c"]))
    with pytest.raises(CeterisError, match="4 different sketches were linked here together; 3 can be") as raised:
        twins.linking().number(twins.gathered([b"a", b"d"]))
    assert raised.value.where.endswith("links/twins")


@pytest.mark.parametrize("made", [[(1, 0, 0.9)], [(0, 0, 1.0)], pl.DataFrame(schema={"i": pl.UInt32, "j": pl.UInt32, "alike": pl.Float32})])
def test_links_of_another_form_are_a_bug_of_the_grouping(case, made, monkeypatch):
    twins = case()
    frame = made if isinstance(made, pl.DataFrame) else pl.DataFrame(made, schema=LINK_SCHEMA, orient="row")
    object.__setattr__(twins.groups.grouping, "links", lambda *_, **__: iter([frame]))
    with pytest.raises(SignalBugError, match="links must yield pairs i < j") as raised:
        twins.linking().number(twins.gathered([b"a", b"b"]))
    assert raised.value.where == "links/twins"
    assert twins.store.parts("links/twins") == {}


def test_a_grouping_without_links_stores_keys_alone(case):
    twins = case(linked=False)
    assert twins.dropped(twins.gathered([b"a", b"b", b"a"], [[0] * 3] * 10)) == {2: (0, 1.0)}
    assert set(twins.store.parts("links/twins")) == {"keys"}


WORDS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12)


@given(WORDS, WORDS)
def test_keys_are_numbered_in_the_order_in_which_they_first_come(known, keys):
    known = list(dict.fromkeys(known))
    as_words = [np.array(some, np.uint64).reshape(-1, 2) for some in (known, keys)]
    numbers, fresh = numbered(*as_words)
    every = list(dict.fromkeys([*known, *keys]))
    assert numbers.tolist() == [every.index(key) for key in keys]
    assert [keys[place] for place in fresh] == every[len(known) :]
