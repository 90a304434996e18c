"""A dataset card for the Hugging Face hub: README.md with YAML metadata under the hub's rules, and the data card as its body.

Rules: https://github.com/huggingface/hub-docs, datasetcard.md, docs/hub/repositories-licenses.md and
docs/hub/datasets-manual-configuration.md.
"""

import io
import re
from typing import Any

from ruamel.yaml import YAML

from pipelines.documents.answers import Answers, many
from pipelines.documents.card import card
from pipelines.documents.exported import Exported
from pipelines.documents.facts import ABSENT, Facts
from pipelines.documents.known import CLEARANCE
from pipelines.documents.markdown import table

LICENCES = frozenset((
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m", "bigscience-bloom-rail-1.0",
    "bigcode-openrail-m", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear",
    "c-uda", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0",
    "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0", "cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0",
    "etalab-2.0", "eupl-1.1", "eupl-1.2", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0", "isc",
    "lppl-1.3c", "ms-pl", "mpl-2.0", "odc-by", "odbl", "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense",
    "zlib", "pddl", "lgpl-lr", "deepfloyd-if-license", "llama2", "gemma", "unknown", "other",
))  # fmt: skip
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"), (10**8, "10M<n<100M"),
         (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"), (10**12, "100B<n<1T"))  # fmt: skip
LICENCE_FILE = "LICENSE.md"
_MOST = "n>1T"
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TASK = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DATASET = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


def readme(facts: Facts, exported: Exported | None, answers: Answers) -> str:
    """The file: metadata between its two lines, then the data card."""
    stream = io.StringIO()
    yaml = YAML()
    yaml.allow_unicode = True
    yaml.dump(metadata(facts, exported, answers), stream)
    return f"---\n{stream.getvalue()}---\n\n{card(facts, exported, answers)}"


def metadata(facts: Facts, exported: Exported | None, answers: Answers) -> dict[str, Any]:
    """What the hub reads: only what is known, or what a person said."""
    told = {
        "pretty_name": facts.title,
        **_licence(facts, answers),
        "language": sorted({code for one, _ in facts.languages if _LANGUAGE.fullmatch(code := one.partition("-")[0].lower())}),
        "size_categories": [size_of(facts.samples if exported and exported.layout == "uids" else len(facts.subset))],
        "source_datasets": list(answers.get("sources", [])),
        "task_categories": list(answers.get("tasks", [])),
        "tags": [facts.run.pool.modality, "ceteris", "croissant"],
        "configs": _configs(exported),
    }
    return {key: value for key, value in told.items() if value not in (None, [], "")}


def size_of(rows: int) -> str:
    """The hub's word for a number of rows."""
    return next((name for most, name in SIZES if rows < most), _MOST)


def licence_table(facts: Facts) -> str:
    """LICENSE.md, which the card points to where rows are under more than one licence, or one that the hub has no name for."""
    column, rows = facts.licences
    shown = [["(none declared)" if value in ABSENT else value, f"{count:,}"] for value, count in rows]
    return f"# Licences, as rows declare them\n\n{CLEARANCE}\n\n{table([column or 'licence', 'rows'], shown)}"


def faults(told: dict[str, Any]) -> list[str]:
    """What the hub would refuse or warn of, as sentences."""
    found = [f"the hub has no licence {one}" for one in many(told.get("license")) if one not in LICENCES]
    if "license" not in told:
        found.append("license is missing")
    if told.get("license") == "other" and not (_NAME.fullmatch(str(told.get("license_name", ""))) and told.get("license_link")):
        found.append("a licence that the hub does not know needs license_name and license_link")
    found += [f"{one} is no language code" for one in many(told.get("language")) if not _LANGUAGE.fullmatch(str(one))]
    known = {name for _, name in SIZES} | {_MOST}
    found += [f"{one} is no size" for one in many(told.get("size_categories")) if one not in known]
    found += [f"{one} is no data set of the hub" for one in many(told.get("source_datasets")) if not _DATASET.fullmatch(str(one))]
    found += [
        f"{one} is no task of the hub, such as text-generation"
        for one in many(told.get("task_categories"))
        if not _TASK.fullmatch(str(one))
    ]
    for config in told.get("configs", []):
        if not _NAME.fullmatch(str(config.get("config_name"))) or not all(
            one.get("split") and one.get("path") for one in config["data_files"]
        ):
            found.append("a config needs a name, and data_files with split and path")
    return found


def _licence(facts: Facts, answers: Answers) -> dict[str, Any]:
    """A person's word; else the one licence that all rows declare; else a table of what they declare."""
    said = [str(one) for one in answers.get("licence", [])]
    rows = facts.licences[1]
    if not said and len(rows) == 1 and rows[0][0].lower() in LICENCES:
        said = [rows[0][0]]
    if said and all(one.lower() in LICENCES for one in said):
        named = [one.lower() for one in said]
        return {"license": named[0] if len(named) == 1 else named}
    if said:
        link = next((one for one in said if one.startswith("https://")), LICENCE_FILE)
        return {"license": "other", "license_name": re.sub(r"[^A-Za-z0-9._-]+", "-", said[0]).strip("-."), "license_link": link}
    if not any(value not in ABSENT for value, _ in rows):
        return {"license": "unknown"}
    return {"license": "other", "license_name": "as-declared-by-each-row", "license_link": LICENCE_FILE}


def _configs(exported: Exported | None) -> list[dict[str, Any]]:
    if exported is None or not exported.files or exported.layout == "npy":
        return []
    stem, ending = exported.files[0].name.rpartition("-")[0], exported.files[0].name.partition(".")[2]
    several = {"webdataset": "*.tar", "uids": "uids.txt"}.get(exported.layout, f"{stem}-*.{ending}")
    return [{"config_name": "default", "data_files": [{"split": "train", "path": several}]}]
