"""The judge of the tiny text scale: a small decoder of bytes whose input is mostly hashed n-grams and words."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eval_fixed_model.records import ByteNgrams, Tokens

_ORDER, _WORD, _BEFORE, _MIX = 0x2545F4914F6CDD1D, 0x27D4EB2F165667C5, 0x632BE5AB, 0x369DEA0F31A53F85  # odd, and otherwise any
_BASE = 0x9E3779B97F4A7C15  # of the polynomial in a word's letters: odd, so it has an inverse modulo 2^64
_ROTARY = 1000.0
_BYTES, _TABLE = 0.02, 0.005  # deviations of initial weights


class Layer(nn.Module):
    """Causal attention with rotary positions, and a feed-forward part with squared ReLU (arXiv 2109.08668), each after a norm."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        """Both parts add nothing at first."""
        super().__init__()
        self.heads = heads
        self.attention_norm, self.inner_norm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.attended = nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, inner, bias=False), nn.Linear(inner, width, bias=False)
        nn.init.zeros_(self.attended.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(n, t, width) to the same; `cos` and `sin` (t, width / heads / 2)."""
        n, t, width = x.shape
        parts = self.query_key_value(self.attention_norm(x)).view(n, t, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(_turned(query, cos, sin), _turned(key, cos, sin), value, is_causal=True)
        x = x + self.attended(attended.transpose(1, 2).reshape(n, t, width))
        inner: Tensor = F.relu(self.up(self.inner_norm(x))).square()
        out: Tensor = x + self.down(inner)
        return out


class ByteNgramModel(nn.Module):
    """Tokens (n, t), t <= context, to logits (n, t, vocabulary) of the one after each."""

    cos: Tensor
    sin: Tensor
    powers: Tensor
    inverses: Tensor

    def __init__(self, model: ByteNgrams, tokens: Tokens) -> None:
        """Random weights from torch's current random state."""
        super().__init__()
        self.orders, self.words, self.rows = model.orders, model.words, model.rows
        self.bytes = nn.Embedding(tokens.vocabulary, model.width)
        self.table = nn.Embedding(model.rows, model.width)
        self.layers = nn.ModuleList([Layer(model.width, model.heads, model.inner) for _ in range(model.layers)])
        self.norm = nn.RMSNorm(model.width)
        self.head = nn.Linear(model.width, tokens.vocabulary)
        nn.init.normal_(self.bytes.weight, std=_BYTES)
        nn.init.normal_(self.table.weight, std=_TABLE)
        nn.init.normal_(self.head.weight, std=_BYTES)
        nn.init.zeros_(self.head.bias)
        half = model.width // model.heads // 2
        angles = torch.arange(tokens.context)[:, None] / _ROTARY ** (torch.arange(half) / half)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.register_buffer("powers", _powers(_BASE, tokens.context + 1), persistent=False)
        self.register_buffer("inverses", _powers(pow(_BASE, -1, 1 << 64), tokens.context + 1), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Nothing is known of what stands before the first."""
        t = tokens.shape[1]
        x = self.bytes(tokens) + self.table(self.places(tokens)).sum(2)
        for layer in self.layers:
            x = layer(x, self.cos[:t], self.sin[:t])
        logits: Tensor = self.head(self.norm(x))
        return logits

    def places(self, tokens: Tensor) -> Tensor:
        """(n, t, features) rows of the table: hashes of the n-gram that ends at each token, for each order, and of the words there.

        `words` 1: the letters of the word so far and the byte before it; 2: these, and the word right before that byte, too. Letters are
        ASCII ones without their case, and all bytes of other scripts. Arithmetic is modulo 2^64.
        """
        hashes = [*self._ngrams(tokens), *self._words(tokens)]
        mixed = (torch.stack(hashes, 2) + torch.arange(len(hashes), device=tokens.device) * _BEFORE) * _MIX
        mixed = (mixed ^ (mixed >> 32)) * _MIX  # the high half, which depends on every bit, decides
        return ((mixed >> 32) & 0xFFFFFFFF) * self.rows >> 32

    def _ngrams(self, tokens: Tensor) -> list[Tensor]:
        found, h = {}, tokens + 1
        for n in range(1, max(self.orders, default=1) + 1):
            if n > 1:
                h = h * _ORDER + F.pad(tokens + 1, (n - 1, 0))[:, : tokens.shape[1]]
            found[n] = h
        return [found[n] for n in self.orders]

    def _words(self, tokens: Tensor) -> list[Tensor]:
        if not self.words:
            return []
        t = tokens.shape[1]
        upper = (tokens >= 65) & (tokens <= 90)
        letter = upper | ((tokens >= 97) & (tokens <= 122)) | ((tokens >= 128) & (tokens <= 255))
        sums = ((tokens + 32 * upper + 1) * _WORD * self.powers[:t]).cumsum(1)
        last = torch.where(letter, -1, torch.arange(t, device=tokens.device)).cummax(1).values  # the last place of no letter; -1: none
        at, known = last.clamp(min=0), last >= 0
        word = (sums - sums.gather(1, at) * known) * self.inverses[last + 1]
        first = word + (tokens.gather(1, at) + 1) * known * _BEFORE
        before = word.gather(1, (last - 1).clamp(min=0)) * (last > 0)
        return [first, first * _ORDER + before][: self.words]


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (arXiv 2104.09864)."""
    left, right = x.chunk(2, -1)
    return torch.cat([left * cos - right * sin, left * sin + right * cos], -1)


def _powers(base: int, count: int) -> Tensor:
    """base^0, base^1, ... modulo 2^64, as signed words."""
    made, power = [], 1
    for _ in range(count):
        made.append(power - (1 << 64) if power >> 63 else power)
        power = power * base % (1 << 64)
    return torch.tensor(made)
