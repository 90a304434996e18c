"""A standard decoder in Llama's layout, through transformers, and its folder as others load it."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from curate.errors import CeterisError
from eval_fixed_model.records import Llama, Tokens

_DEVIATION, _ROTARY, _EPSILON = 0.02, 10000.0, 1e-5
_SEPARATOR = "<|endoftext|>"


class LlamaModel(nn.Module):
    """Tokens (n, t) to logits (n, t, vocabulary). `decoder` is transformers' LlamaForCausalLM.

    What DCLM's decoder (open_lm) has and this layout cannot say: norms of queries and keys, and layer norms with a gain, which are root
    mean squares here. Its SwiGLU, rotary positions (base 10,000), untied head and lack of biases are the same. Initial weights are normal
    with deviation .02 and, of what is added to the residual stream, .02 / sqrt(2 layers) (GPT-2); open_lm draws truncated normals of
    deviation 1 / sqrt(width) and smaller ones in deeper layers.
    """

    def __init__(self, model: Llama, tokens: Tokens) -> None:
        """Random weights from torch's current random state. CeterisError without the package transformers."""
        super().__init__()
        try:
            from transformers import LlamaConfig, LlamaForCausalLM
        except ImportError as error:
            raise CeterisError(
                "the package transformers is not installed", where="model llama", fix="pip install 'ceteris[text]'"
            ) from error
        config = LlamaConfig(
            vocab_size=tokens.vocabulary,
            hidden_size=model.width,
            intermediate_size=model.inner,
            num_hidden_layers=model.layers,
            num_attention_heads=model.heads,
            num_key_value_heads=model.key_value_heads,
            max_position_embeddings=tokens.context,
            tie_word_embeddings=model.tied,
            rms_norm_eps=_EPSILON,
            rope_parameters={"rope_type": "default", "rope_theta": _ROTARY},
            initializer_range=_DEVIATION,
            bos_token_id=None,
            eos_token_id=None,
            use_cache=False,
            attn_implementation="sdpa",
        )
        self.decoder: Any = LlamaForCausalLM(config)
        for name, weights in self.decoder.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.normal_(weights, std=_DEVIATION / (2 * model.layers) ** 0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Nothing is known of what stands before the first."""
        # Without a mask, transformers looks at numbers (are documents packed?); on `meta`, where FLOPs are counted, there are none.
        seen = torch.ones(1, 1, tokens.shape[1], tokens.shape[1], dtype=torch.bool, device="meta") if tokens.is_meta else None
        logits: Tensor = self.decoder(input_ids=tokens, attention_mask=seen, use_cache=False).logits
        return logits


def save(network: LlamaModel, folder: Path, separator: int, tokenizer: Path | None = None) -> None:
    """Write a Hugging Face model folder that `AutoModelForCausalLM` and `AutoTokenizer` load unchanged, without code of ours.

    `tokenizer`: the tokenizer.json the model was trained with; None: it reads bytes, and the folder gets a byte-pair tokenizer without
    pairs, whose numbers are the bytes. `separator` is both its end and its beginning of text: before every text in training.
    """
    content = bytes_tokenizer(separator) if tokenizer is None else json.loads(tokenizer.read_text(encoding="utf-8"))
    named = {number: token for token, number in content["model"]["vocab"].items()} | {
        one["id"]: one["content"] for one in content["added_tokens"]
    }
    network.decoder.config.eos_token_id = network.decoder.config.bos_token_id = separator
    network.decoder.generation_config.eos_token_id = network.decoder.generation_config.bos_token_id = separator
    network.decoder.save_pretrained(folder)
    context = network.decoder.config.max_position_embeddings
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": context, "clean_up_tokenization_spaces": False}
    about |= {"eos_token": named[separator], "bos_token": named[separator]}
    for name, value in (("tokenizer.json", content), ("tokenizer_config.json", about)):
        (folder / name).write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")


def bytes_tokenizer(separator: int) -> dict[str, Any]:
    """A tokenizer.json that makes a text its UTF-8 bytes, 0 to 255: the byte-level alphabet of GPT-2 and no pairs. The one difference: a
    text that spells the separator's name is that token there."""
    end = {
        "id": separator,
        "content": _SEPARATOR,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    vocabulary = {character: byte for byte, character in enumerate(_alphabet())} | {_SEPARATOR: separator}
    model: dict[str, Any] = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
    }
    model |= {"fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocabulary, "merges": []}
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [end], "normalizer": None, "pre_tokenizer": level}
    return {**whole, "post_processor": None, "decoder": level, "model": model}


def _alphabet() -> list[str]:
    """The character that stands for each byte: itself where it is printable in Latin-1, else the next from U+0100 on (GPT-2's encoder)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]
