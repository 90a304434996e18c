import csv
import json
import re

import polars as pl
import pytest
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from curate.errors import CeterisError
from curate.executor import InProcess
from curate.recipe import Recipe
from pipelines import verbs
from pipelines.cli import app
from pipelines.provenance.attribution import attribution
from tests.pipelines.provenance.licensed import DECLARED, curated, rows

ASKING = 8 + 4 + 2 + 3 + 5 + 2 + 8 + 3 + 2 + 1 + 1
"""Rows whose licence asks for credit or a notice, also where words around it were not understood."""
COLUMNS = {"title": "headline", "author": "writer"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return curated(tmp_path_factory.mktemp("licensed"))


def test_every_row_that_asks_is_credited_and_the_others_are_counted(run, tmp_path):
    found = attribution(run.subset("told"), tmp_path / "a.jsonl", columns=COLUMNS)
    made = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert found.rows == len(made) == ASKING
    assert found.left_out == {
        "their licences ask for no credit": DECLARED["CC0-1.0"],
        "nothing is granted: credit does not make their use allowed": DECLARED["All rights reserved"],
        "no licence is declared: credit does not make their use allowed": DECLARED[None],
    }
    assert [*found.left_out] == sorted(found.left_out)  # not as some hash has it: the file's last lines are in this order
    planted = {row["uid"]: row for row in rows().to_dicts()}
    for one in made:
        row = planted[one["uid"]]
        assert (one["title"], one["author"], one["source"]) == (row["headline"], row["writer"], row["source"])
    (alike,) = {(one["licence"], one["licence_address"]) for one in made if one["expression"] == "CC-BY-SA-3.0"}
    assert alike == ("CC BY-SA 3.0", "https://creativecommons.org/licenses/by-sa/3.0/")
    assert {one["licence"] for one in made if " OR " in one["expression"]} == {"MIT"}
    assert found.unfilled["author"] == sum(one["author"] is None for one in made)
    assert any(one["source"] is None for one in made)  # but a url is a source, too
    assert found.unfilled.get("source", 0) == sum(one["source"] is None and not one["url"] for one in made)


def test_markdown_reads_as_creative_commons_recommends(run, tmp_path):
    attribution(run.subset("told"), tmp_path / "a.md", columns=COLUMNS, changed=["cut to 64 px"])
    lines = [line for line in (tmp_path / "a.md").read_text().splitlines() if line.startswith("- ")]
    row = next(row for row in rows().to_dicts() if row["license"] == "CC-BY-4.0" and row["source"] and row["writer"])
    expected = (
        f'- ["{row["headline"]}"](<{row["url"]}>) by A. Writer, from {row["source"]}. Declared licence: '
        f"[CC BY 4.0](<https://creativecommons.org/licenses/by/4.0/>). Changes: cut to 64 px. `{row['uid']}`"
    )
    assert expected in lines
    assert len(lines) == ASKING


def test_what_people_write_stays_text_in_markdown_and_no_formula_in_tables(tmp_path):
    bad = ["=1+1", "](javascript:alert(1)) <img src=x onerror=alert(1)>", "a\nb\u202e", "`code` **bold**"]
    pool = tmp_path / "pool"
    pool.mkdir()
    frame = pl.DataFrame(
        {"text": [f"text {n}" for n in range(4)], "license": "CC-BY-4.0", "title": bad, "url": ["javascript:alert(1)"] * 4}
    )
    frame.write_parquet(pool / "0.parquet")
    run = verbs.run(
        Recipe.parse('stages: {all: {keep: "license.class is not None"}}\nsubsets: [all]'),
        pool,
        store=tmp_path / "store",
        executor=InProcess(),
    )
    attribution(run.subset("all"), tmp_path / "a.md", columns={"title": "title"})
    text = (tmp_path / "a.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert len(lines) == 4
    assert "(<javascript" not in text
    assert r"\]\(javascript:alert\(1\)\) \<img src=x onerror=alert\(1\)\>" in text
    assert "\u202e" not in text
    assert r"\`code\` \*\*bold\*\*" in text
    html = MarkdownIt("commonmark").render(text)
    assert {tag for tag in ("<img", "<script", "<strong", 'javascript:alert(1)"') if tag in html} == set()
    assert re.findall(r'href="([^"]*)"', html) == ["https://creativecommons.org/licenses/by/4.0/"] * 4
    attribution(run.subset("all"), tmp_path / "a.csv", columns={"title": "title"})
    with (tmp_path / "a.csv").open(newline="") as file:
        assert {row["title"] for row in csv.DictReader(file)} == {"'=1+1", *bad[1:]}


def test_rows_that_read_alike_are_one_line(run, tmp_path):
    pool = tmp_path / "pool"
    pool.mkdir()
    pl.DataFrame({"text": ["a", "b", "c"], "license": ["MIT", "MIT", "ISC"], "source": "one"}).write_parquet(pool / "0.parquet")
    run = verbs.run(
        Recipe.parse('stages: {all: {keep: "license.class is not None"}}\nsubsets: [all]'),
        pool,
        store=tmp_path / "store",
        executor=InProcess(),
    )
    attribution(run.subset("all"), tmp_path / "a.md")
    lines = [line for line in (tmp_path / "a.md").read_text().splitlines() if line.startswith("- ")]
    assert len(lines) == 2
    assert "`2 rows from " in lines[0]


def test_what_an_export_changed_is_said_and_another_subset_is_refused(run, tmp_path):
    verbs.export(run.subset("open"), tmp_path / "out", "jsonl.zst", redact="pii")
    found = attribution(run.subset("open"), tmp_path / "a.csv", exported=tmp_path / "out")
    assert found.changes == ["as in the pool, not modified by the export"]  # it would have replaced personal data, and found none
    record = tmp_path / "out" / "export.json"
    about = json.loads(record.read_text(encoding="utf-8"))
    assert about["redacted_rows"] == 0
    record.write_text(json.dumps({**about, "redacted_rows": 2}), encoding="utf-8")
    found = attribution(run.subset("open"), tmp_path / "c.jsonl", exported=tmp_path / "out")
    assert "personal data" in found.changes[0]
    assert {json.loads(line)["changes"] for line in (tmp_path / "c.jsonl").read_text().splitlines()} == {found.changes[0]}
    record.write_text("[1]", encoding="utf-8")
    with pytest.raises(CeterisError, match="record cannot be read: it is no mapping"):
        attribution(run.subset("open"), tmp_path / "d.csv", exported=tmp_path / "out")
    record.write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(CeterisError, match="the export is of another subset: open"):
        attribution(run.subset("told"), tmp_path / "b.csv", exported=tmp_path / "out")
    assert not list(tmp_path.glob(".*"))


def test_what_a_fetcher_resized_is_said_of_those_rows(tmp_path):
    (tmp_path / "pool").mkdir()
    about = {"key": ["0", "1"], "status": "success", "url": "https://x.example.org/", "caption": ["one", "two"], "license": "CC-BY-4.0"}
    sizes = {"original_width": [640, 64], "original_height": [480, 64], "width": [64, 64], "height": [48, 64]}
    pl.DataFrame({**about, **sizes, "jpg": [b"x", b"y"]}).write_parquet(tmp_path / "pool" / "0.parquet")
    recipe = Recipe.parse('stages: {all: {keep: "license.class is not None"}}\nsubsets: [all]')
    run = verbs.run(recipe, tmp_path / "pool", store=tmp_path / "store", executor=InProcess())
    attribution(run.subset("all"), tmp_path / "a.jsonl", changed=["captions in lower case"])
    made = [json.loads(line)["changes"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    before = "image resized from 640 x 480 to 64 x 48 before it came into the pool; "
    assert made == [f"{before}captions in lower case", "captions in lower case"]
    attribution(run.subset("all"), tmp_path / "b.jsonl")
    made = [json.loads(line)["changes"] for line in (tmp_path / "b.jsonl").read_text().splitlines()]
    assert made == [f"{before}as in the pool, not modified by this tool", "as in the pool, not modified by this tool"]


@pytest.mark.parametrize(
    ("columns", "name", "what"),
    [
        ({"title": "head"}, "a.md", "the pool has no column head for rows' title"),
        ({"titel": "headline"}, "a.md", "an attribution has no titel"),
        ({}, "a.txt", "no attribution file ends in .txt"),
    ],
)
def test_mistakes_say_what_there_is(run, tmp_path, columns, name, what):
    with pytest.raises(CeterisError, match=what):
        attribution(run.subset("told"), tmp_path / name, columns=columns)


def test_the_command_writes_it(run, tmp_path):
    at = ["--store", run.store.address, "--run", run.folder.removeprefix("runs/")]
    made = CliRunner().invoke(app, ["attribution", "told", str(tmp_path / "a.md"), "--role", "title=headline", *at])
    assert made.exit_code == 0
    assert "without author" in made.output
    assert (tmp_path / "a.md").is_file()


def test_a_licence_without_an_address_goes_by_the_name_that_audit_tells(tmp_path):
    (tmp_path / "pool").mkdir()
    pl.DataFrame({"text": ["one", "two"], "license": ["PSF", "MIT"]}).write_parquet(tmp_path / "pool" / "0.parquet")
    recipe = Recipe.parse('stages: {all: {keep: "license.class is not None"}}\nsubsets: [all]')
    run = verbs.run(recipe, tmp_path / "pool", store=tmp_path / "store", executor=InProcess())
    made = CliRunner().invoke(app, ["attribution", "all", str(tmp_path / "a.md"), "--store", run.store.address])
    (said,) = [line for line in made.output.splitlines() if line.endswith("none is known")]
    assert said.split()[0] == "LicenseRef-PSF"
