"""Links between pages, and the files that they hand to clusters."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
from ruamel.yaml import YAML

from pipelines.cli import app
from tests.docs.pages import PAGES, ROOT

_LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]*)(#[^)\s]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target, part in _LINK.findall(text):
        if "://" in target:
            continue
        file = ROOT / page.parent / target if target else ROOT / page
        assert file.exists(), target
        if part:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert part[1:] in {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}, part


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    named = {target for target, _ in _LINK.findall(index)}
    assert named == {page.name for page in PAGES if page.parent == Path("docs")} - {"README.md"}


def test_the_kubernetes_manifest_runs_a_command_that_is_one() -> None:
    group = typer.main.get_command(app)
    made = list(YAML(typ="safe", pure=True).load_all((ROOT / "docs" / "cluster" / "kuberay.yaml").read_text(encoding="utf-8")))
    assert [one["kind"] for one in made] == ["RayCluster", "PersistentVolumeClaim", "RayJob"]
    claims = {claim for one in made for claim in re.findall(r"'claimName': '([^']+)'", str(one))}
    assert claims == {made[1]["metadata"]["name"]}
    context = group.make_context("curate", ["doctor"])
    name, verb, rest = group.resolve_command(context, shlex.split(made[2]["spec"]["entrypoint"])[1:])
    assert verb.make_context(name, rest, parent=context).params["ray"] == "auto"


def test_the_slurm_script_says_how_it_is_called(tmp_path: Path) -> None:
    script = ROOT / "docs" / "cluster" / "slurm.sh"
    bash = shutil.which("bash")
    assert bash
    assert subprocess.run([bash, "-n", script], check=False).returncode == 0
    told = subprocess.run([bash, script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert told.returncode == 2
    assert "usage: sbatch slurm.sh VERB" in told.stderr
