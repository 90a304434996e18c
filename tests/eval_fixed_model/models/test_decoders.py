from pathlib import Path

import pytest

from eval_fixed_model.models.byte_ngrams import ByteNgramModel
from eval_fixed_model.models.decoders import build
from tests.eval_fixed_model.texts import file_scale, small_scale


def test_a_scale_names_its_decoder(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from eval_fixed_model.models.llama import LlamaModel

    assert isinstance(build(small_scale(), 0), ByteNgramModel)
    assert isinstance(build(file_scale(tmp_path), 0), LlamaModel)
