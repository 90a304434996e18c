"""What the verbs of the command line share: their options, and what those stand for."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from curate.errors import CeterisError, RecipeError, StoreError, nearest
from curate.executor import Executor, Ray
from curate.layouts import LAYOUTS
from curate.recipe import Recipe
from curate.record import Run
from curate.store import Store
from pipelines import show, verbs

RECIPES = Path(__file__).parents[1] / "recipes"
SHIPPED = tuple(sorted(path.stem for path in RECIPES.glob("*.yaml")))

StoreAt = Annotated[
    str | None, typer.Option("--store", help="where evidence is kept; else CETERIS_STORE, else the nearest .ceteris, else here")
]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document instead of tables")]
RecipeFile = Annotated[str, typer.Argument(metavar="RECIPE", help=f"a recipe file, or the name of a shipped one: {', '.join(SHIPPED)}")]
PoolAt = Annotated[str | None, typer.Option("--pool", help="the pool; else the recipe's")]
_KNOWN = ", ".join(one.name for one in LAYOUTS)
LayoutName = Annotated[str | None, typer.Option("--layout", help=f"the pool's layout, where it is not recognised: {_KNOWN}")]
Roles = Annotated[list[str] | None, typer.Option("--role", help="role=column; may be repeated")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="path=value, such as stages.matched.keep.fraction=0.2; may be repeated")]
Filters = Annotated[list[Path] | None, typer.Option("--filters", help="a folder with filters of your own; may be repeated")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="processes; one per core unless given")]
RayAt = Annotated[str | None, typer.Option("--ray", help="local, or the address of a Ray cluster")]
RunName = Annotated[str | None, typer.Option("--run", help="a run's name or NAME-ID; else the latest")]
RunFirst = Annotated[str | None, typer.Argument(metavar="[RUN]", hidden=True)]
"""The same without `--run`, where a verb once took it so."""


def open_store(store: str | None, as_json: bool) -> Store:
    """The store, made if it is not there; says where it is."""
    opened = verbs.open_store(store)
    show.note(f"store: {opened.address}") if as_json else show.line(f"store: {opened.address}")
    return opened


def open_there(store: str | None, as_json: bool) -> Store:
    """A store that is there; says where."""
    address = verbs.store_address(store)
    if not (Path(address) / "FORMAT").is_file():
        raise StoreError("there is no store here", where=address, fix="name one with --store, or run `curate run` first")
    return open_store(store, as_json)


def open_run(store: str | None, run: str | None, as_json: bool) -> Run:
    """A finished run of a store that is there; says which."""
    found = Run.latest(open_there(store, as_json), run)
    said = f"run: {found.folder.removeprefix('runs/')}"
    show.note(said) if as_json else show.line(said)
    return found


def say(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def roles_of(given: list[str] | None) -> dict[str, str]:
    """Role to column. CeterisError for what is not role=column."""
    found = {}
    for one in given or []:
        role, equals, column = one.partition("=")
        if not equals:
            raise CeterisError(f"{one!r} is not role=column", where="--role", fix="for example --role text=caption")
        found[role] = column
    return found


def load_recipe(path: str, sets: list[str] | None) -> Recipe:
    """The recipe, a file or the name of a shipped one, with every --set applied, in order. Paths in a shipped one are from here."""
    if path in SHIPPED and not Path(path).is_file():
        recipe = replace(Recipe.load(RECIPES / f"{path}.yaml"), base=Path())
    elif not Path(path).suffix and not Path(path).exists():
        raise RecipeError("there is no such recipe", where=path, fix=nearest(path, SHIPPED))
    else:
        recipe = Recipe.load(path)
    for assignment in sets or []:
        recipe = recipe.set_text(assignment)
    return recipe


@contextmanager
def executing(workers: int | None, ray: str | None) -> Iterator[Executor]:
    """`executor_of`, closed at the end."""
    executor = executor_of(workers, ray)
    try:
        yield executor
    finally:
        executor.close()


def executor_of(workers: int | None, ray: str | None) -> Executor:
    """Ray where it is asked for, else processes."""
    if ray:
        return Ray(ray, workers) if workers else Ray(ray)
    return verbs.workers(workers)
