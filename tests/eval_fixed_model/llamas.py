"""A small network of transformers in its folder."""

from pathlib import Path

import pytest
import torch


def small_llama(folder: Path, opening: bool = False) -> Path:
    """Write a random Llama that reads 64 tokens, with a byte-pair tokenizer, and return the folder; skips without transformers.

    `opening`: the tokenizer puts a token before every text.
    """
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    pieces = tokenizers.Tokenizer(tokenizers.models.BPE())
    pieces.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    pieces.decoder = tokenizers.decoders.ByteLevel()
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False)
    pieces.train_from_iterator(["the cat sat on the mat and the dog ate the hat " * 20], trainer)
    if opening:
        pieces.post_processor = tokenizers.processors.TemplateProcessing(single="<end> $A", special_tokens=[("<end>", 0)])
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=pieces, bos_token="<end>", eos_token="<end>")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = transformers.LlamaConfig(
        vocab_size=400, max_position_embeddings=64, initializer_range=0.3, bos_token_id=0, eos_token_id=0, **sizes
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
