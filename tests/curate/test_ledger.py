import pytest

from curate.digest import sha256
from curate.errors import StoreError
from curate.ledger import START, Ledger, append_head, check
from curate.store import Store

FACTS = [
    ("pool", {"rows": 3}),
    ("stage", {"stage": "basic", "kept": 2}),
    ("stage", {"stage": "best", "kept": 1}),
    ("subset", {"n_rows": 1}),
]


@pytest.fixture
def ledger():
    made = Ledger()
    for what, facts in FACTS:
        made.record(what, **facts)
    return made


def test_a_whole_ledger_leads_to_its_head(ledger):
    assert check(ledger.text(), where="x") == ledger.head != START
    assert check("", where="x") == START


def test_text_of_any_script_stays_one_line():
    made = Ledger()
    for text in ("a\u2028b", "a\u0085b", "a\nb\x0cc\x1cd", 'quoted "previous":"0"'):
        made.record("stage", rule=text)
    assert check(made.text(), where="x") == made.head


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (lambda lines: [lines[0], lines[1].replace('"kept":2', '"kept":3'), *lines[2:]], 3),
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], 2),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], 3),
        (lambda lines: [*lines, "no JSON"], 5),
        (lambda lines: [*lines, "[]"], 5),
        (lambda lines: [*lines[:3], lines[3].replace('"n":3', '"n":30')], 4),
        (lambda lines: [*lines, ""], 5),
    ],
)
def test_edited_deleted_reordered_and_foreign_lines_break_the_chain(ledger, harm, line):
    text = "".join(f"{one}\n" for one in harm(ledger.lines))
    with pytest.raises(StoreError, match="the ledger's chain is broken") as raised:
        check(text, where="ledger.jsonl")
    assert raised.value.where == f"ledger.jsonl, line {line}"


def test_a_torn_last_line_breaks_the_chain(ledger):
    for cut in (1, 5, len(ledger.lines[-1])):
        with pytest.raises(StoreError, match="the ledger's chain is broken") as raised:
            check(ledger.text()[:-cut], where="ledger.jsonl")
        assert raised.value.where == "ledger.jsonl, line 4"


def test_an_edited_or_missing_end_shows_in_the_head(ledger):
    edited = ledger.text().replace('"n_rows":1', '"n_rows":2')
    shorter = "".join(f"{line}\n" for line in ledger.lines[:-1])
    assert ledger.head not in (check(edited, where="x"), check(shorter, where="x"))


def test_heads_of_runs_are_a_chain_of_their_own(tmp_path):
    store = Store.open(tmp_path)
    for number in range(3):
        append_head(store, f"runs/{number}", f"{number}" * 64)
    keys = store.storage.list("ledger/")
    assert [store.json(key)["run"] for key in keys] == ["runs/0", "runs/1", "runs/2"]
    assert [store.json(key)["previous"] for key in keys] == [START, *[sha256(store.storage.get(key)) for key in keys[:-1]]]
