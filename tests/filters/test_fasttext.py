import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.errors import CeterisError, RecipeError
from curate.model import digest_of_model
from filters import fasttext

BINDING = "fasttext"


@pytest.fixture
def binding() -> None:
    """The binding, which is optional."""
    pytest.importorskip(BINDING, reason="needs the extra `languages`: fasttext-predict")


@pytest.mark.usefixtures("binding")
def test_a_file_is_frozen_whole_and_read_back(fasttext_file: Path) -> None:
    made = fasttext.fasttext(file=str(fasttext_file))
    assert made.weights["file"].tobytes() == fasttext_file.read_bytes()
    assert made.card == {"architecture": {"format": "fastText"}, "source": "tiny.bin", "licence": "not stated in the file"}
    labels, likely = fasttext.load(made.weights, made.card).predict("the house", k=1)
    assert (labels, round(float(likely[0]), 4)) == (("__label__en",), 0.999)


@pytest.mark.usefixtures("binding")
def test_the_digest_is_of_the_content_not_of_the_name(fasttext_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.ftz"
    other.write_bytes(fasttext_file.read_bytes())
    one, two = (fasttext.fasttext(file=str(path)) for path in (fasttext_file, other))
    assert digest_of_model(one.weights, one.card) == digest_of_model(two.weights, two.card)


@pytest.mark.usefixtures("binding")
@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda data: data[:0], "no fastText model"),
        (lambda data: b"PK\3\4" + data[4:], "no fastText model"),
        (lambda data: data[:4] + b"\x63" + data[5:], "fastText cannot read this model"),
    ],
    ids=["empty", "another format", "a version to come"],
)
def test_what_is_no_model_is_refused(fasttext_file: Path, tmp_path: Path, harm: Callable[[bytes], bytes], what: str) -> None:
    bad = tmp_path / "bad.bin"
    bad.write_bytes(harm(fasttext_file.read_bytes()))
    with pytest.raises(RecipeError, match=what) as raised:
        fasttext.fasttext(file=str(bad))
    assert raised.value.where == str(bad)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the model cannot be read: No such file"):
        fasttext.fasttext(file=str(tmp_path / "none.bin"))


def test_without_the_binding_the_extra_is_named(fasttext_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, BINDING, None)
    with pytest.raises(CeterisError, match="fasttext-predict is not installed") as raised:
        fasttext.fasttext(file=str(fasttext_file))
    assert raised.value.fix == "pip install 'ceteris[languages]'"
