from pathlib import Path

import numpy as np
import pytest
import torch

from curate.errors import CeterisError
from eval_fixed_model.models.decoders import build
from eval_fixed_model.training.checkpoint import Keep
from eval_fixed_model.training.place import Place
from eval_fixed_model.training.steps import weights_digest
from eval_fixed_model.training.texts import next_token, train
from tests.eval_fixed_model.texts import documents, file_scale, sentences, small_scale, uids_of


def test_the_record_says_what_was_shown(tmp_path: Path) -> None:
    scale, told = small_scale(), []
    texts = ["abc", "defg", *sentences(20)]
    rows = documents(tmp_path, texts)
    members = np.array([0, 0, 1, 1, 1])  # an epoch is 2 x 4 + 3 x 5 = 23 tokens, so 2560 tokens are 111 epochs and 7 tokens
    network, record = train(scale, rows, members, 0, told.append)
    assert (record["samples"], record["tokens"], record["rows"], record["copies"]) == (80, 2560, 2, 5)
    begun = {int(times): count for times, count in record["repeats"].items()}
    assert sum(begun.values()) == 2
    assert all(222 <= times <= 224 or 333 <= times <= 336 for times in begun)
    assert record["distinct tokens"] == 7
    assert len(record["loss"]) == 10
    assert record["loss"][0] > 4
    assert record["loss"][-1] < record["loss"][0] - 0.5
    assert told[-1] == 80
    assert not network.training


def test_where_a_document_lies_changes_no_bit(tmp_path: Path) -> None:
    scale, texts, uids, turned = small_scale(), sentences(60), uids_of(60), np.arange(60)[::-1]
    rows = documents(tmp_path / "one", texts, uids=uids)
    other = documents(tmp_path / "two", [texts[i] for i in turned], uids=uids[turned])
    arm = uids[10:50]
    digests = {weights_digest(train(scale, r, r.indices(a), 0)[0]) for r, a in ((rows, arm), (other, arm[::-1]))}
    assert len(digests) == 1
    others = {weights_digest(train(scale, rows, rows.indices(uids[:n]), seed)[0]) for n, seed in ((50, 1), (40, 0))}
    assert len(others | digests) == 3


def test_training_starts_from_the_seeds_weights(tmp_path: Path) -> None:
    scale = small_scale(optimiser__weight_decay=0.0)
    rows = documents(tmp_path, sentences(60), scale)
    for seed in (0, 1):
        network = train(scale, rows, np.arange(60), seed)[0]
        start = build(scale, seed).bytes.weight
        assert torch.equal(network.bytes.weight[0x80:0x100], start[0x80:0x100]), "bytes that were never shown stay"
        assert not torch.equal(network.bytes.weight[0x61], start[0x61])


def test_one_that_was_ended_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    class Ended(Exception):
        pass

    def end(sequences: int) -> None:
        if sequences >= 40:
            raise Ended("stopped here")

    scale, rows = small_scale(), documents(tmp_path, sentences(60))
    whole = train(scale, rows, np.arange(60), 0)
    keep = Keep(tmp_path / "kept", steps=3)
    with pytest.raises(Ended, match="stopped here"):
        train(scale, rows, np.arange(60), 0, end, keep=keep)
    network, record = train(scale, rows, np.arange(60), 0, keep=keep)
    assert 0 < record["resumed at"] < 20
    assert weights_digest(network) == weights_digest(whole[0])
    assert record["loss"] == whole[1]["loss"]


def test_pieces_of_a_batch_are_the_batch(tmp_path: Path) -> None:
    scale, rows = small_scale(), documents(tmp_path, sentences(60))
    whole, pieces = (train(scale, rows, np.arange(60), 0, place=Place(micro=micro))[1] for micro in (None, 1))
    assert pieces["rows at once"] == 1
    assert np.allclose(whole["loss"], pieces["loss"], atol=1e-3)


def test_a_llama_learns_tokens_of_a_file(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    scale = file_scale(tmp_path, precision="bfloat16")
    rows = documents(tmp_path / "rows", sentences(60), scale)
    assert rows.tokens.dtype == np.uint16
    network, record = train(scale, rows, np.arange(60), 0)
    assert record["loss"][-1] < record["loss"][0] - 0.2
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_the_loss_is_of_the_next_token_and_of_the_logits_size() -> None:
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    tokens = torch.arange(12).view(2, 6) % 7
    (plain,) = next_token(0.0).outputs(lambda read: logits if torch.equal(read, tokens[:, :-1]) else None, tokens)
    (with_z,) = next_token(0.5).outputs(lambda _: logits, tokens)
    expected = [-torch.log_softmax(logits[i, j].double(), -1)[tokens[i, j + 1]] for i in range(2) for j in range(5)]
    assert float(plain) == pytest.approx(float(sum(expected)) / 10, rel=1e-5)
    sizes = [float(torch.log(logits[i, j].double().exp().sum()) ** 2) for i in range(2) for j in range(5)]
    assert float(with_z - plain) == pytest.approx(0.5 * sum(sizes) / 10, rel=1e-4)


def test_documents_of_another_scale_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CeterisError, match="made for another scale"):
        train(small_scale(batch=8, tokens_seen=20 * 8 * 32), documents(tmp_path, ["a"]), np.arange(1), 0)
