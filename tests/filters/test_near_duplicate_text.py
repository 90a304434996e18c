import functools
import itertools
import random
import subprocess
import sys
import unicodedata

import numpy as np
import polars as pl
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import RecipeError
from filters.near_duplicate_text import near_duplicate_text, recall, sketch

SEED, DOCUMENTS = 11, 60
MASK = (1 << 64) - 1
UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\u30fc\uff70"
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}\p{Ahom}"
)
LETTERS = [
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", "äöüßéèêçñåøæœłżśİıſK", "абвгдежзиклмнопрстуфхАБВГДЖ", "αβγδεζσςΣΩΆ",
    "אבגדהוזחט", "ابتثجحخدذرز", "हिन्दीमेंकखगघ", "বাংলাকখ", "தமிழ்கங", "กขคงจฉชซเแโไ่้", "ລາວກຂ", "ខ្មែរកខ", "မြန်မာကခ", "한국어조선글자",
    "漢字中文測試語言文字", "ひらがなテスト゛ー", "ㄅㄆㄇㄈ", "ᎠᎡᎢᏸ", "ԱԲԳաբգ", "აბგდ", "𠀀𠀁𡃁𫝀", "𐐀𐐁𐐨𐐩", "ﬁﬂﬃＡＢｃｄ１２ｶﾞ",
]  # fmt: skip
SEPARATORS = [" ", "  ", "\n", "\t", ", ", ". ", "! ", "-", "—", "…", "\u00a0", "\u2003", "\u3000", "。", "、", "؟ ", "🙂", "\0", " € "]


def _corpus() -> list[str]:
    """Documents of 12 to 120 random words, each with four copies that have ever more words replaced."""
    rng = np.random.default_rng(SEED)
    vocabulary = [f"w{i}" for i in range(3000)]
    texts = []
    for _ in range(DOCUMENTS):
        words = [vocabulary[i] for i in rng.integers(0, len(vocabulary), int(rng.integers(12, 120)))]
        texts.append(" ".join(words))
        for replaced in (1, 2, 4, 8):
            changed = list(words)
            for place in rng.integers(0, len(words), replaced):
                changed[place] = vocabulary[rng.integers(0, len(vocabulary))]
            texts.append(" ".join(changed))
    return texts


def _in_many_scripts(count: int) -> list[str]:
    draw = random.Random(SEED)
    texts = []
    for _ in range(count):
        own = draw.sample(LETTERS, draw.choice((1, 1, 2, 3)))
        words = ["".join(draw.choices(draw.choice(own), k=draw.choice((1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 24)))) for _ in range(30)]
        gaps = draw.choices(SEPARATORS, weights=[40] + [1] * (len(SEPARATORS) - 1), k=60)
        texts.append("".join(draw.choice(words) + gap for gap in gaps[: draw.randint(1, 60)]))
    return texts


def _fmix64(x: int) -> int:
    x = (x ^ x >> 33) * 0xFF51AFD7ED558CCD & MASK
    x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53 & MASK
    return x ^ x >> 33


@functools.cache
def _word_hash(word: str) -> int:
    data, h = word.encode(), 0x51ED270B9F3C42A7
    chunks = [int.from_bytes(data[:8], "little")]
    rest = data[8:]
    while len(rest) >= 8:
        chunks.append(int.from_bytes(rest[:8], "little"))
        rest = rest[8:]
    for chunk in [*chunks, int.from_bytes(rest, "little") | len(rest) << 56]:
        h = (h ^ chunk) * 0xD6E8FEB86659FD93 & MASK
        h ^= h >> 29
    return h


@functools.cache
def _shingle_hash(words: tuple[str, ...]) -> int:
    total = 0
    for word in words:
        total = (total * 0x9E3779B97F4A7C15 + _word_hash(word)) & MASK
    return _fmix64(total) >> 32


def _folded(text: str) -> str:
    upper = [character.upper() if len(character.upper()) == 1 else character for character in text]
    return "".join(one.lower() if len(one.lower()) == 1 else old for one, old in zip(upper, text, strict=True))


def _expected(
    texts: list[str], words: int = 5, characters: int = 5, case: bool = False, punctuation: bool = False, unicode: str = "NFC"
) -> list[list[tuple[str, ...]]]:
    """Every text's shingles as tuples of words: by regular expressions over whole texts."""
    normal = [unicodedata.normalize(unicode, text) if unicode else text for text in texts]
    counted = pl.Series([text if case else _folded(text) for text in normal], dtype=pl.String)
    inside = r"[^\s\x00-\x1f]" if punctuation else r"\w"
    alone = rf"[{UNSPACED}&&\w]"
    found = counted.str.extract_all(rf"{alone}|[{inside}--{alone}]+").to_list()
    lengths = [characters if 2 * len([word for word in one if _is_alone(word)]) > len(one) else words for one in found]
    return [[tuple(one[i : i + n]) for i in range(len(one) - n + 1)] for one, n in zip(found, lengths, strict=True)]


@functools.cache
def _is_alone(word: str) -> bool:
    return len(word) == 1 and bool(pl.Series([word]).str.contains(rf"^[{UNSPACED}&&\w]$")[0])


def _sketched(texts: list[str | None], **parameters: object) -> pl.DataFrame:
    return sketch(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}), **parameters)


def _sets(rows: pl.DataFrame) -> list[set[int]]:
    return [set() if one is None else set(np.frombuffer(one, "<u4").tolist()) for one in rows["shingles"]]


def _true_pairs(texts: list[str], threshold: float) -> dict[tuple[int, int], float]:
    sets = [set(one) for one in _expected(texts)]
    true = {}
    for i, j in itertools.combinations(range(len(texts)), 2):
        if sets[i] != sets[j] and sets[i] & sets[j]:
            similarity = len(sets[i] & sets[j]) / len(sets[i] | sets[j])
            if similarity >= threshold:
                true[i, j] = similarity
    return true


def _found_pairs(rows: pl.DataFrame, found: pl.DataFrame) -> dict[tuple[int, int], float]:
    number = {key: i for i, key in reversed(list(enumerate(rows["key"].to_list())))}
    return {(min(number[a], number[b]), max(number[a], number[b])): similarity for a, b, similarity in found.iter_rows()}


@pytest.mark.parametrize(("count", "parameters"), [(3000, {}), (500, {"case": True, "punctuation": True, "unicode": ""})])
def test_signatures_are_datasketchs_in_every_script(count: int, parameters: dict[str, object]) -> None:
    texts = _in_many_scripts(count)
    signed = 0
    for signature, expected in zip(_sketched(list(texts), **parameters)["signature"], _expected(texts, **parameters), strict=True):
        if not expected:
            assert signature is None
            continue
        reference = MinHash(num_perm=128, seed=1, scheme="affine32", hashfunc=_shingle_hash)
        reference.update_batch(expected)
        assert np.array_equal(np.frombuffer(signature, "<u4"), reference.hashvalues)
        signed += 1
    assert signed > 0.8 * count


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(st.text(st.one_of(st.sampled_from("".join(LETTERS + SEPARATORS)), st.characters(max_codepoint=0x24F)), max_size=60)),
    lengths=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    case=st.booleans(),
    punctuation=st.booleans(),
    unicode=st.sampled_from(["", "NFC", "NFD", "NFKC", "NFKD"]),
)
def test_shingles_are_those_of_the_words(texts: list[str], lengths: tuple[int, int], case: bool, punctuation: bool, unicode: str) -> None:
    how = {"words": lengths[0], "characters": lengths[1], "case": case, "punctuation": punctuation, "unicode": unicode}
    expected = [{_shingle_hash(one) for one in shingles} for shingles in _expected(texts, **how)]
    assert _sets(_sketched(list(texts), exact=True, **how)) == expected


def test_every_pair_found_has_its_true_jaccard_and_no_similar_pair_is_lost() -> None:
    """At 32 bands of 4 a pair of similarity .5 escapes with probability (1 - .5^4)^32 = .13, one of .8 with 5e-8."""
    texts = _corpus()
    rows = _sketched(list(texts), exact=True)
    found = _found_pairs(rows, near_duplicate_text.pairs(rows, bands=32, rows=4, floor=0.5))
    true = _true_pairs(texts, 0.5)
    assert len(true) > 150
    assert set(found) <= set(true), "everything found is at least as similar as the floor"
    assert all(similarity == pytest.approx(true[pair], abs=1e-6) for pair, similarity in found.items())
    sure = {pair for pair, similarity in true.items() if similarity >= 0.8}
    assert len(sure) > 40
    assert sure <= set(found)


def test_without_the_shingles_similarity_is_the_share_of_equal_values() -> None:
    texts = _corpus()
    rows = _sketched(list(texts))
    assert rows["shingles"].null_count() == rows.height
    signatures = [np.frombuffer(one, "<u4") for one in rows["signature"]]
    true, found = _true_pairs(texts, 0.01), _found_pairs(rows, near_duplicate_text.pairs(rows))
    assert len(found) > 100
    for (i, j), similarity in found.items():
        assert similarity == np.float32((signatures[i] == signatures[j]).mean())
        assert similarity >= np.float32(0.6)
    errors = [(similarity - true[pair]) / (true[pair] * (1 - true[pair]) / 128) ** 0.5 for pair, similarity in found.items()]
    assert abs(np.mean(errors)) < 0.5
    assert np.max(np.abs(errors)) < 4.5


def _pairs_of_similarity(shared: int, different: int, count: int) -> list[str | None]:
    """Texts 2 i and 2 i + 1 have `shared` shingles in common, and `different` each of their own."""
    word, texts = itertools.count(), []
    for _ in range(count):
        same = [f"w{next(word)}" for _ in range(shared + 4)]
        texts += [" ".join([*same, *(f"w{next(word)}" for _ in range(different))]) for _ in range(2)]
    return texts


@pytest.mark.parametrize(("shared", "different"), [(80, 10), (90, 5), (70, 15), (50, 25)])
def test_recall_is_what_the_curve_says(shared: int, different: int) -> None:
    count, similarity = 1500, shared / (shared + 2 * different)
    rows = _sketched(_pairs_of_similarity(shared, different, count))
    found = _found_pairs(rows, near_duplicate_text.pairs(rows, floor=0.0))
    assert all(j == i + 1 and i % 2 == 0 for i, j in found)
    (expected,) = recall([similarity])
    assert abs(len(found) / count - expected) < 4 * (expected * (1 - expected) / count) ** 0.5 + 1e-9
    assert similarity < 0.8 or len(found) / count >= 0.93


def test_the_recall_curve_in_numbers() -> None:
    assert recall([0.0, 0.5, 0.7, 0.8, 0.9, 1.0]) == pytest.approx([0, 0.0607, 0.6132, 0.9471, 0.99988, 1], abs=5e-4)
    assert recall([0.8], bands=9, rows=13) == pytest.approx([0.3991], abs=5e-4), "datasketch's choice for a threshold of .8"


def test_case_punctuation_and_spacing_count_only_if_asked() -> None:
    texts: list[str | None] = [
        "The cat sat, on a mat!",
        "the CAT  sat on\na mat",
        "a mat sat on the cat",
        "ΟΔΥΣΣΕΥΣ α β γ δ",
        "Οδυσσευς Α Β Γ Δ",
    ]
    one, other, swapped, upper, lower = _sketched(texts)["key"]
    assert one == other != swapped
    assert upper == lower
    cased = _sketched(texts, case=True)["key"]
    assert cased.n_unique() == 5
    pointed = _sketched([*texts, "the cat sat, on A mat!"], punctuation=True)["key"].to_list()
    assert pointed[0] != pointed[1]
    assert pointed[0] == pointed[5]


def test_one_text_in_two_normal_forms_is_one_text() -> None:
    texts: list[str | None] = [unicodedata.normalize(form, "Où l’été naïf, déjà là, a brûlé 각각") for form in ("NFC", "NFD")]
    composed, decomposed = _sketched(texts)["key"]
    assert composed == decomposed
    assert _sketched(texts, unicode="")["key"].n_unique() == 2
    wide: list[str | None] = ["ＡＢＣ ﬁne １２ ｶﾞ x y z", "abc fine 12 ガ x y z"]
    assert _sketched(wide)["key"].n_unique() == 2
    assert _sketched(wide, unicode="NFKC")["key"].n_unique() == 1


def test_a_rows_script_decides_whether_words_or_characters_are_counted() -> None:
    rows = _sketched(["a b c d e f", "日本語のテキストです", "the word 日本 is in the text"], words=3, characters=7, exact=True)
    assert [len(one) for one in _sets(rows)] == [4, 4, 6]


def test_texts_too_short_for_a_shingle_stand_alone() -> None:
    rows = _sketched(["a b c d", "a b c d", "日本語だ", "a b c d e", "A, b, c, d, e"])
    assert rows["key"].is_null().to_list() == [True, True, True, False, False]
    assert rows["key"][3] == rows["key"][4]
    assert rows["error"].null_count() == 5


def test_texts_without_words_have_no_sketch_and_no_links() -> None:
    rows = _sketched([None, "", " ", "!!!", "\0", "🙂"], words=1)
    assert rows["key"].null_count() == rows["error"].null_count() == 6
    assert near_duplicate_text.pairs(rows).height == 0
    assert _sketched([]).height == 0


def test_ten_megabytes_are_sketched() -> None:
    rows = _sketched(["x" * 10_000_000, "several words " * 715_000, "several words " * 10], exact=True)
    assert [len(one) for one in _sets(rows)] == [0, 2, 2]
    assert rows["signature"][1] == rows["signature"][2]
    assert near_duplicate_text.pairs(rows)["similarity"].to_list() == [1.0]


@pytest.mark.parametrize("exact", [False, True])
def test_links_grow_as_rows_arrive_and_never_join_two_known_ones(exact: bool) -> None:
    rows = _sketched(list(_corpus()), exact=exact)
    known, new = rows[: rows.height // 2 + 1], rows[rows.height // 2 + 1 :]
    first, later, at_once = near_duplicate_text.pairs(known), near_duplicate_text.pairs(known, new), near_duplicate_text.pairs(rows)
    assert later.height > 0
    assert pl.concat([first, later]).sort("a", "b").equals(at_once)
    fresh = set(new["key"]) - set(known["key"])
    assert all(a in fresh or b in fresh for a, b in later.select("a", "b").iter_rows())
    assert near_duplicate_text.pairs(rows, known).height == 0


def test_a_thousand_near_copies_are_all_linked() -> None:
    """Half a million pairs: more than any first guess of how many there will be."""
    common = " ".join(f"w{i}" for i in range(400))
    rows = _sketched([f"{common} end{i}" for i in range(1000)])
    found = near_duplicate_text.pairs(rows)
    assert found.height == found.select("a", "b").unique().height == 1000 * 999 // 2


def test_links_are_ordered_and_of_the_declared_types() -> None:
    rows = _sketched(["a b c d e f g h i j", "a b c d e f g h i k", "A b c d e f g h i j"], exact=True)
    found = near_duplicate_text.pairs(rows, bands=64, rows=2, floor=0.1)
    assert found.schema == pl.Schema({"a": pl.Binary, "b": pl.Binary, "similarity": pl.Float32})
    assert found.height == 1, "equal keys are one content, not a pair"
    assert found["a"][0] < found["b"][0]
    assert found["similarity"][0] == np.float32(5 / 7)


def test_more_bands_and_rows_than_permutations_are_refused() -> None:
    rows = _sketched(["a b c d e f"])
    with pytest.raises(RecipeError, match="need 256 permutations; the signatures have 128"):
        near_duplicate_text.pairs(rows, bands=32, rows=8)
    assert near_duplicate_text.pairs(*[_sketched(["a b c d e f"], permutations=256)] * 2, bands=32, rows=8).height == 0


@pytest.mark.parametrize("wrong", [{"words": 0}, {"characters": 0}, {"permutations": 0}, {"unicode": "NFX"}])
def test_what_cannot_be_measured_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="cannot be"):
        _sketched(["a"], **wrong)


def test_planning_neither_loads_numba_nor_compiles() -> None:
    code = "import sys, filters.near_duplicate_text\nassert not {'numba', 'llvmlite', 'datasketch'} & set(sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_it_is_declared_with_its_parameters() -> None:
    assert near_duplicate_text.defaults == {"bands": 16, "rows": 8, "floor": 0.6}
    assert {"words": 5, "permutations": 128}.items() <= near_duplicate_text.sketch.defaults.items()
    assert near_duplicate_text.threshold >= near_duplicate_text.defaults["floor"]
