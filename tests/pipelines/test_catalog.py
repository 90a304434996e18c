"""What `curate filters NAME` says of a filter."""

import json

from typer.testing import CliRunner

from pipelines.catalog import catalogue, told
from pipelines.cli import app


def test_classes_are_told_in_their_order() -> None:
    assert told(catalogue(), "license").endswith(
        "`class`, ascending: public-domain, permissive, share-alike, copyleft, no-derivatives, non-commercial, proprietary, unknown."
    )


def test_json_says_what_the_screen_does() -> None:
    (one,) = json.loads(CliRunner().invoke(app, ["filters", "text_length", "--json"]).stdout)
    assert one["says"] == told(catalogue(), "text_length")
    assert one["writes"].startswith("text_length.words (UInt32)")
    assert not any("says" in one for one in json.loads(CliRunner().invoke(app, ["filters", "--json"]).stdout))
