"""The text demo's snapshot and evaluation items: where each is from, under which licence, and that no split knows another."""

from pathlib import Path

import license_expression
import polars as pl

from curate.digest import digest_of
from eval_fixed_model.scale import TextScale, load_scale, of_modality
from eval_fixed_model.tasks.text_items import read_items
from pipelines.demo.text.documents import documents
from pipelines.demo.text.evaluation_set import CHOICES, CLOZE, HELD_OUT, SPLITS, leakable, make_evaluation_set
from pipelines.demo.text.snapshot import FILE, LICENCES, NOTICE

ROOT = Path(__file__).parents[2]
ITEMS = ROOT / "eval_fixed_model" / "tasks" / "tiny_text.parquet"
SNAPSHOT = "073d0759bc7ddf6c9a58321cbc399677991d4100a41a11c9a5d24030ff84d1ec"


def test_snapshot_is_frozen() -> None:
    assert FILE.stat().st_size < 1_500_000
    assert digest_of(pl.read_parquet(FILE).rows()) == SNAPSHOT


def test_every_document_names_source_version_and_licence_and_every_licence_is_given() -> None:
    frame = pl.read_parquet(FILE)
    assert frame["name"].n_unique() == frame.height
    assert not any(frame.select(pl.exclude("text").eq("").any()).row(0))
    declared = dict(frame.select("source", "license").unique().iter_rows())
    assert declared == LICENCES
    notice = NOTICE.read_text(encoding="utf-8")
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    for source, version, terms in frame.select("source", "version", "license").unique().iter_rows():
        license_expression.get_spdx_licensing().parse(terms, validate=True)
        assert f"\n{source} {version} ({terms})\n" in notice
        assert f"| {source} {version} |" in page
    assert notice.count("Redistribution and use in source and binary forms") >= list(LICENCES.values()).count("BSD-3-Clause")
    assert notice.count("Permission is hereby granted, free of charge") >= list(LICENCES.values()).count("MIT")
    assert "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in notice


def test_no_source_serves_for_two() -> None:
    sources = [{one.source for one in documents(part)} for part in ("pool", "trusted", "held_out", "out_of_domain")]
    assert sum(map(len, sources)) == len(set.union(*sources))


def test_documents_hardly_share_wording() -> None:
    seen: set[tuple[str, ...]] = set()
    for part in ("held_out", "out_of_domain", "trusted", "pool"):
        for one in sorted(documents(part)):
            words = one.text.lower().split()
            grams = {tuple(words[i : i + 8]) for i in range(len(words) - 7)}
            assert len(grams & seen) <= 0.2 * len(grams), one.name
            seen |= grams


def test_items_are_what_their_program_writes(tmp_path: Path) -> None:
    make_evaluation_set(tmp_path / "again.parquet")
    assert pl.read_parquet(tmp_path / "again.parquet").equals(pl.read_parquet(ITEMS))


def test_items_have_their_splits_tasks_and_labels() -> None:
    assert ITEMS.stat().st_size <= 1_000_000
    items = read_items(of_modality(load_scale("tiny-text"), TextScale))
    assert items["task"].unique(maintain_order=True).to_list() == ["held_out", "out_of_domain", "cloze"]
    for split in SPLITS:
        part = items.filter(split=split)
        assert part.filter(task="held_out").height == HELD_OUT
        assert part.filter(task="out_of_domain").height >= 90
        assert part.filter(task="cloze").height == CLOZE
    assert items["text"].n_unique() == items.height


def test_modules_are_of_one_split() -> None:
    module = {one.text: one.module for part in ("held_out", "out_of_domain") for one in documents(part)}
    items = pl.read_parquet(ITEMS)
    of_split = []
    for split in SPLITS:
        texts = items.filter(split=split, kind="likelihood")["text"].to_list()
        beginnings = items.filter(split=split, kind="multiple_choice")["text"].to_list()
        around = {module[text] for begin in beginnings for text in module if begin in text}
        assert around
        assert not any(begin in text for begin in beginnings for text in texts)
        of_split.append({module[text] for text in texts} | around)
    assert not of_split[0] & of_split[1]


def test_the_right_choice_goes_on_and_the_others_are_its_words() -> None:
    whole = [one.text for one in documents("held_out")]
    labels = []
    for text, choices, label in pl.read_parquet(ITEMS).filter(task="cloze").select("text", "choices", "label").iter_rows():
        assert len(set(choices)) == CHOICES
        assert len({" ".join(sorted(choice.split())) for choice in choices}) == 1
        assert [any(f"{text} {choice}" in one for one in whole) for choice in choices] == [place == label for place in range(CHOICES)]
        labels.append(label)
    shares = pl.Series(labels).value_counts(normalize=True)["proportion"]
    assert shares.min() > 0.2


def test_leakable_items_are_the_held_out_documents_of_the_test_split() -> None:
    numbers = pl.read_parquet(ITEMS).with_row_index().filter(task="held_out", split="test")["index"].to_list()
    assert [item.row for item in leakable()] == numbers
