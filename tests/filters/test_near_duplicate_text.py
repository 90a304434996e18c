import itertools
import re

import numpy as np
import polars as pl
import pytest
from datasketch import MinHash

from curate.errors import RecipeError
from filters.near_duplicate_text import links, near_duplicate_text, sketch

SEED, DOCUMENTS = 11, 60


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


def _shingles(text: str, words: int = 5) -> set[tuple[str, ...]]:
    found = re.findall(r"\w+", text.lower())
    return {tuple(found[i : i + words]) for i in range(max(len(found) - words + 1, 1))} if found else set()


def _true_pairs(texts: list[str], threshold: float) -> dict[tuple[int, int], float]:
    sets = [_shingles(text) for text in texts]
    true = {}
    for i, j in itertools.combinations(range(len(texts)), 2):
        if sets[i] != sets[j] and sets[i] & sets[j]:
            similarity = len(sets[i] & sets[j]) / len(sets[i] | sets[j])
            if similarity >= threshold:
                true[i, j] = similarity
    return true


def _sketched(texts: list[str | None]) -> pl.DataFrame:
    return sketch(pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)}))


def _found_pairs(rows: pl.DataFrame, found: pl.DataFrame) -> dict[tuple[int, int], float]:
    number = {key: i for i, key in reversed(list(enumerate(rows["key"].to_list())))}
    return {(min(number[a], number[b]), max(number[a], number[b])): similarity for a, b, similarity in found.iter_rows()}


def test_every_pair_found_has_its_true_jaccard_and_no_similar_pair_is_lost() -> None:
    """At 32 bands of 4 a pair of similarity .5 escapes with probability (1 - .5^4)^32 = .13, one of .8 with 5e-8."""
    texts = _corpus()
    rows = _sketched(list(texts))
    found = _found_pairs(rows, links(rows.clear(), rows, bands=32, rows=4, floor=0.5))
    true = _true_pairs(texts, 0.5)
    assert len(true) > 150
    assert set(found) <= set(true), "everything found is at least as similar as the floor"
    assert all(similarity == pytest.approx(true[pair], abs=1e-6) for pair, similarity in found.items())
    sure = {pair for pair, similarity in true.items() if similarity >= 0.8}
    assert len(sure) > 40
    assert sure <= set(found)


def test_recall_at_the_default_bands_is_what_the_formula_says() -> None:
    texts = _corpus()
    rows = _sketched(list(texts))
    found, true = _found_pairs(rows, links(rows.clear(), rows)), _true_pairs(texts, 0.6)
    expected = sum(1 - (1 - similarity**8) ** 16 for similarity in true.values())
    deviation = sum((1 - (1 - s**8) ** 16) * (1 - s**8) ** 16 for s in true.values()) ** 0.5
    assert abs(len(found) - expected) < 4 * deviation
    sure = {pair for pair, similarity in true.items() if similarity >= 0.9}
    assert len(sure) > 10
    assert sure <= set(found), "each escapes with probability below 1e-4"


def test_signatures_are_datasketchs() -> None:
    rows = _sketched([*_corpus()[:20], "one", "日本語のテキスト"])
    for signature, shingles in rows.select("signature", "shingles").iter_rows():
        reference = MinHash(num_perm=128, seed=1, scheme="affine32", hashfunc=int)
        reference.update_batch(np.frombuffer(shingles, "<u4").tolist())
        assert np.array_equal(np.frombuffer(signature, "<u4"), reference.hashvalues)


def test_shingles_count_as_the_words_do() -> None:
    rows = _sketched(["a b c d e", "a b c d e f", "a b", "a", "a b c d e a b c d e a b c d e", "日本語のテキストです"])
    assert [len(shingles) // 4 for shingles in rows["shingles"]] == [1, 2, 1, 1, 5, 6]


def test_case_punctuation_and_spacing_are_not_content_but_order_is() -> None:
    one, other, swapped = _sketched(["The cat sat, on a mat!", "the CAT  sat on\na mat", "a mat sat on the cat"])["key"]
    assert one == other != swapped


def test_texts_without_words_have_no_sketch_and_no_links() -> None:
    rows = _sketched([None, "", " ", "!!!", "\0", "🙂"])
    assert rows["key"].null_count() == rows["error"].null_count() == 6
    assert links(rows.clear(), rows).height == 0


def test_ten_megabytes_are_sketched() -> None:
    rows = _sketched(["x" * 10_000_000, "several words " * 715_000, "several words " * 10])
    assert [len(shingles) // 4 for shingles in rows["shingles"]] == [1, 2, 2]
    assert rows["key"][1] == rows["key"][2]


def test_links_grow_as_rows_arrive_and_never_join_two_known_ones() -> None:
    rows = _sketched(list(_corpus()))
    known, new = rows[: rows.height // 2 + 1], rows[rows.height // 2 + 1 :]
    first, later, at_once = links(known.clear(), known), links(known, new), links(rows.clear(), rows)
    assert later.height > 0
    assert pl.concat([first, later]).sort("a", "b").equals(at_once)
    fresh = set(new["key"]) - set(known["key"])
    assert all(a in fresh or b in fresh for a, b in later.select("a", "b").iter_rows())
    assert links(rows, known).height == 0


def test_links_are_ordered_and_of_the_declared_types() -> None:
    rows = _sketched(["a b c d e f g h i j", "a b c d e f g h i k", "A b c d e f g h i j"])
    found = links(rows.clear(), rows, bands=64, rows=2, floor=0.1)
    assert found.schema == pl.Schema({"a": pl.Binary, "b": pl.Binary, "similarity": pl.Float32})
    assert found.height == 1, "equal keys are one content, not a pair"
    assert found["a"][0] < found["b"][0]
    assert found["similarity"][0] == np.float32(5 / 7)


def test_more_bands_and_rows_than_permutations_are_refused() -> None:
    rows = _sketched(["a b c d e f"])
    with pytest.raises(RecipeError, match="need 256 permutations; the signatures have 128"):
        links(rows.clear(), rows, bands=32, rows=8)


def test_it_is_declared_with_its_parameters() -> None:
    assert near_duplicate_text.defaults == {"bands": 16, "rows": 8, "floor": 0.6}
    assert near_duplicate_text.sketch.defaults == {"words": 5, "permutations": 128}
    assert near_duplicate_text.threshold >= near_duplicate_text.defaults["floor"]
