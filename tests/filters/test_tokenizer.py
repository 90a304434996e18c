import json
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from curate.errors import CeterisError, NondeterminismError, RecipeError
from curate.model import digest_of_model
from filters.token_count import token_count
from filters.tokenizer import load, tokenizer

TEXTS = ["low lower lowest", "The newest cat's wide, wider\n", "", None, "日本語 🙂", "low " * 3000]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A byte-level encoding learned from a few words, saved with truncation, padding and a start: none of them may count."""
    library = pytest.importorskip("tokenizers", reason="the extra `tokenizers` is not installed")
    made = library.Tokenizer(library.models.BPE())
    made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = library.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>"], initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator(["low lower lowest newest wide wider"] * 5, trainer)
    made.post_processor = library.processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    made.enable_truncation(4)
    made.enable_padding(length=9)
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    return path


def test_texts_are_counted_as_by_the_package_itself(file: Path, frozen: Callable[..., str]) -> None:
    import tokenizers

    made = tokenizer(file=str(file))
    plain = tokenizers.Tokenizer.from_file(str(file))
    plain.no_truncation()
    plain.no_padding()
    expected = [None if text is None else len(plain.encode(text, add_special_tokens=False).ids) for text in TEXTS]
    assert load(made.weights, made.card)(pl.Series(TEXTS)).to_list() == expected
    assert expected[0] == 3
    assert token_count(pl.DataFrame({"text": TEXTS}), tokenizer=frozen(tokenizer, file=str(file)))["tokens"].to_list() == expected


def test_its_digest_is_of_the_files_content(file: Path, tmp_path: Path) -> None:
    one = tokenizer(file=str(file))
    content = json.loads(file.read_text(encoding="utf-8"))
    content["model"]["merges"].pop()
    other = tmp_path / "other.json"
    other.write_text(json.dumps(content), encoding="utf-8")
    two = tokenizer(file=str(other))
    assert digest_of_model(one.weights, one.card) != digest_of_model(two.weights, two.card)
    assert one.card["vocabulary"] == len(content["model"]["vocab"]) > 256


def test_a_library_that_cuts_otherwise_is_refused(file: Path) -> None:
    made = tokenizer(file=str(file))
    made.card["architecture"]["probe"].pop()
    with pytest.raises(NondeterminismError, match="cuts texts otherwise") as raised:
        load(made.weights, made.card)
    assert raised.value.fix


@pytest.mark.parametrize("content", ["{}", "[]", "no json", '{"model": {"type": "BPE"}}', None])
def test_what_is_no_tokenizer_is_refused(content: str | None, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra `tokenizers` is not installed")
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(RecipeError, match="this is no tokenizer") as raised:
        tokenizer(file=str(path))
    assert raised.value.where == str(path)


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CeterisError, match="the package tokenizers is not installed") as raised:
        tokenizer(file=str(tmp_path / "tokenizer.json"))
    assert raised.value.fix == "pip install 'ceteris[tokenizers]'"
