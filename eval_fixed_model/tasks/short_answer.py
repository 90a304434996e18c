"""Questions answered in a few words: what the network goes on to say, compared with the right answer by its quasi-exact normal form."""

import math
import re
import string

import numpy as np
import polars as pl

from eval_fixed_model.tasks._language_model import LanguageModel
from eval_fixed_model.tasks.text_items import DELIMITER, TextItems

STOPS = ("\n",)
_SIGNS = str.maketrans("", "", "$€£¥%,")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_THOUSANDS = re.compile(r"[^\d,;]*\d{1,3}(,\d{3})+(\.\d*)?[^\d,;]*", re.ASCII)


def short_answer(model: LanguageModel, items: TextItems, most_tokens: int = 64) -> pl.DataFrame:
    """Per item: right (rank 1, answer 0) where what the likeliest tokens say up to the line's end is one of the answers; else rank 2, -1.

    `sure` is the probability of what was said, `nats` the log-probability of the first of the right answers after the question and a space.
    """
    rights = items.frame["choices"]
    known = model.continuations([(prompt, DELIMITER + right[0]) for prompt, right in zip(items.prompts, rights, strict=True)])
    said = [model.greedy(prompt, most_tokens, STOPS) for prompt in items.prompts]
    correct = [any(same_answer(one.text, accepted) for accepted in right) for one, right in zip(said, rights, strict=True)]
    return items.answers(
        rank=[1 if one else 2 for one in correct],
        label=[0] * len(correct),
        answer=[0 if one else -1 for one in correct],
        sure=[math.exp(one.nats) for one in said],
        nats=[float(one.nats.sum(dtype=np.float64)) for one in known],
    )


def same_answer(given: str, right: str) -> bool:
    """Whether two answers are the same up to how they are written: GAIA's quasi-exact match (Mialon et al. 2023, arXiv 2311.12983).

    What is right says how to compare. A number: equal after $, %, thousands' commas and spaces at the ends are taken away. With commas or
    semicolons: as many elements, in order, each a number or equal but for case and white space. Else equal but for case, white space and
    ASCII punctuation.

    Where this differs from the leaderboard's scorer: a right answer with signs ("$1,000") is a number too, and "1,000" may also be met as
    the list it is there; the signs of euro, pound and yen count as the dollar's; what is no number never equals one (there it is infinite),
    and "inf", "nan" and "1_000", which Python reads as numbers, are words.
    """
    expected = _number(right)
    if expected is not None and "," not in right:
        return _number(given) == expected
    if expected is not None and _THOUSANDS.fullmatch(right) and _number(given) == expected:
        return True
    if re.search("[,;]", right):
        ours, theirs = re.split("[,;]", given), re.split("[,;]", right)
        return len(ours) == len(theirs) and all(_same_element(*pair) for pair in zip(ours, theirs, strict=True))
    return _bare(given).translate(_PUNCTUATION) == _bare(right).translate(_PUNCTUATION)


def _same_element(given: str, right: str) -> bool:
    expected = _number(right)
    return _bare(given) == _bare(right) if expected is None else _number(given) == expected


def _number(text: str) -> float | None:
    bare = text.translate(_SIGNS).strip()
    return float(bare) if _NUMBER.fullmatch(bare) else None


def _bare(text: str) -> str:
    return re.sub(r"\s", "", text).lower()
