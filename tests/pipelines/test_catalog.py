"""What `curate filters NAME` says of a filter."""

import json

import pytest
from typer.testing import CliRunner

from curate.errors import CeterisError
from curate.grouping import Grouping
from curate.signal import Signal
from pipelines.catalog import catalogue, described, told
from pipelines.cli import app


def test_classes_are_told_in_their_order() -> None:
    assert told(catalogue(), "license").endswith(
        "`class`, ascending: public-domain, permissive, share-alike, copyleft, no-derivatives, non-commercial, proprietary, unknown."
    )


def test_what_a_filter_can_do_without_is_told_as_optional() -> None:
    reads = {one["filter"]: one["reads"] for one in described(catalogue())}
    assert reads["text_length"] == "text"
    assert reads["license"].split(", ")[-1].endswith(" (optional)")
    kinds = {name: entry.load() for name, entry in catalogue().items()}
    sees = {name: one.sketch if isinstance(one, Grouping) else one for name, one in kinds.items()}
    optional = [name for name, one in sees.items() if isinstance(one, Signal) and one.optional]
    assert [name for name, said in reads.items() if "(optional)" in said] == sorted(optional)


def test_a_filter_that_is_not_there_may_be_one_of_ones_own() -> None:
    with pytest.raises(CeterisError, match="there is no filter called line_ends") as raised:
        told(catalogue(), "line_ends")
    assert "--filters FOLDER" in raised.value.fix


def test_json_says_what_the_screen_does() -> None:
    (one,) = json.loads(CliRunner().invoke(app, ["filters", "text_length", "--json"]).stdout)
    assert one["says"] == told(catalogue(), "text_length")
    assert one["writes"].startswith("text_length.words (UInt32)")
    assert not any("says" in one for one in json.loads(CliRunner().invoke(app, ["filters", "--json"]).stdout))
