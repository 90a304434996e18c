import itertools
import json
from pathlib import Path

import pytest

from curate.errors import CeterisError
from eval_fixed_model.rows.tokens import ByteTokenizer, FileTokenizer, tokenizer_of
from eval_fixed_model.tasks._language_model import Bytes
from tests.eval_fixed_model.texts import file_scale, sentences, small_scale, tokenizer_file

LLAMA = {"name": "llama", "width": 32, "inner": 64, "layers": 1, "heads": 2, "key_value_heads": 1, "tied": False}

TEXTS = ["plain", "", "naïve 日本語 \x00🙂", "<|endoftext| >", "the cat sat on the mat " * 20]


def test_bytes_are_numbered_as_they_are() -> None:
    numbers, offsets = tokenizer_of(small_scale()).encode(TEXTS)
    assert [bytes(numbers[a:b].tolist()).decode() for a, b in itertools.pairwise(offsets)] == TEXTS
    assert Bytes.prefix == ByteTokenizer.separator == 256


def test_a_tokenizer_file_neither_cuts_nor_pads(tmp_path: Path) -> None:
    tokenizer = tokenizer_of(file_scale(tmp_path))
    numbers, offsets = tokenizer.encode(TEXTS)
    assert offsets[1] < 10
    assert offsets[-1] - offsets[-2] > 20
    assert tokenizer.separator == 0
    assert 0 not in numbers
    spelled = tokenizer.utf8(tokenizer.encode(sentences(20)))
    assert (spelled.numbers == ByteTokenizer().encode(sentences(20)).numbers).all()
    assert (spelled.offsets == ByteTokenizer().encode(sentences(20)).offsets).all()


def test_every_tokenizer_file_has_a_digest_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = FileTokenizer(tokenizer_file(tmp_path / "a"), 304), FileTokenizer(tokenizer_file(tmp_path / "b", "</s>"), 304)
    assert one.digest != other.digest
    assert one.digest == FileTokenizer(tmp_path / "a" / "small.json", 1000).digest


def test_what_is_no_tokenizer_of_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CeterisError, match="needs the tokenizer gone"):
        tokenizer_of(small_scale(tmp_path, model=LLAMA, tokens__tokenizer="file", tokens__file="gone.json"))
    file = tokenizer_file(tmp_path)
    with pytest.raises(CeterisError, match="300 tokens, and the scale has 299"):
        FileTokenizer(file, 299)
    (tmp_path / "no.json").write_text(json.dumps({"model": 3}), encoding="utf-8")
    with pytest.raises(CeterisError, match="this is no tokenizer"):
        FileTokenizer(tmp_path / "no.json", 300)
    with pytest.raises(CeterisError, match="no token ends a document"):
        FileTokenizer(tokenizer_file(tmp_path, "<begin>"), 300)
