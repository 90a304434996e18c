"""The verbs that read scores beyond one comparison: ratings, transfer, effects, leaderboard.

What imports torch is imported by the verbs that need it.
"""

from pathlib import Path
from typing import Annotated

import typer

from pipelines import show, verbs
from pipelines.commands.options import (
    AsJson,
    Filters,
    LayoutName,
    PoolAt,
    RayAt,
    RecipeFile,
    Roles,
    RunFirst,
    RunName,
    Sets,
    StoreAt,
    Workers,
    executing,
    load_recipe,
    open_run,
    open_store,
    roles_of,
    say,
)

app = typer.Typer()


@app.command()
def ratings(
    subsets: Annotated[list[str] | None, typer.Argument(help="arms to rate; else all that were evaluated")] = None,
    everything: Annotated[bool, typer.Option("--all", help="all ever evaluated on this pool under these conditions, whatever run")] = False,
    without_leaks: Annotated[bool, typer.Option("--without-leaks", help="leave out items that occur in an arm")] = False,
    run: RunName = None,
    scale: Annotated[str | None, typer.Option(help="a scale; else that of the latest evaluation")] = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Rate every subset against every other, item by item: who gives right answers the higher probability, and how often."""
    from pipelines.scores import views as score_views
    from pipelines.scores.standings import standings

    at = open_run(store, run, as_json)
    found = standings(at, subsets or (), scale=scale, without_leaks=without_leaks, everything=everything)
    say(found.to_json()) if as_json else score_views.standings(found)


@app.command()
def transfer(
    small: Annotated[str, typer.Argument(metavar="SMALL", help="the scale that is to predict")],
    large: Annotated[str, typer.Argument(metavar="LARGE", help="the scale that is predicted")],
    pool: Annotated[str | None, typer.Option("--pool", help="pools/ID, where several were evaluated at both")] = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a small scale orders your subsets as a larger one does: decision accuracy, Kendall, Spearman, with intervals."""
    from pipelines.scores import views as score_views
    from pipelines.scores.rank_transfer import rank_transfer

    found = rank_transfer(open_store(store, as_json), small, large, pool)
    say(found.to_json()) if as_json else score_views.transfer(found)


@app.command()
def effects(
    recipe: RecipeFile,
    subset: Annotated[str | None, typer.Option("--subset", help="whose stages; else the recipe's last subset")] = None,
    pool: PoolAt = None,
    layout: LayoutName = None,
    role: Roles = None,
    set_: Sets = None,
    filters: Filters = None,
    scale: Annotated[str | None, typer.Option(help="a scale; else the recipe's")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="trainings of each subset; else the recipe's")] = None,
    workers: Workers = None,
    ray: RayAt = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Leave out one stage of a recipe after the other, train, and say what each adds at the end and what it costs."""
    from pipelines.scores import views as score_views
    from pipelines.scores.stage_effects import stage_effects

    at = open_store(store, as_json)
    loaded = load_recipe(recipe, set_)
    opened = verbs.open_pool(loaded, pool, at, layout, roles_of(role))
    with executing(workers, ray) as executor, show.progress() as watch:
        found = stage_effects(
            loaded, opened, subset, store=at, scale=scale, seeds=seeds, executor=executor, filters=filters or [], progress=watch
        )
    say(found.to_json()) if as_json else score_views.effects(found)


@app.command()
def costs(
    run: RunName = None,
    scale: Annotated[str | None, typer.Option(help="a scale; else that of the latest evaluation")] = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Say what each arm cost, in FLOPs and seconds of training and in seconds of curation, and what was gained for it."""
    from pipelines.scores import views as score_views
    from pipelines.scores.costs import costs as costs_of
    from pipelines.scores.verdicts import latest

    done = latest(open_run(store, run, as_json), scale)
    found = costs_of(done)
    say({name: cost.to_json() for name, cost in found.items()}) if as_json else score_views.costs(done, found)


@app.command()
def leaderboard(
    places: Annotated[list[Path] | None, typer.Argument(metavar="[DIR]...", help="stores, or folders of scores; else the store")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="write the table there as Markdown, too")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="write the table there as one HTML file, too")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="exit 1 where anything was refused")] = False,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Rank the scores of many stores in one table, offline. What does not verify is refused, by name; unequal conditions are kept apart."""
    from pipelines.scores import leaderboard as boards
    from pipelines.scores import views as score_views

    found = boards.leaderboard(places or [Path(verbs.store_address(store))])
    for path, text in ((markdown, boards.markdown(found)), (html, boards.page(found))):
        if path:
            path.write_text(text, encoding="utf-8")
    say(found.to_json()) if as_json else score_views.leaderboard(found)
    if strict and found.refused:
        raise typer.Exit(1)


@app.command()
def calibrate(
    first: RunFirst = None,
    run: RunName = None,
    scale: Annotated[str | None, typer.Option(help="a scale; else the recipe's")] = None,
    runs: Annotated[int, typer.Option(min=60, help="trainings in all")] = 120,
    families: Annotated[int, typer.Option(min=100, help="comparisons to judge, of each kind")] = 2000,
    workers: Workers = None,
    ray: RayAt = None,
    store: StoreAt = None,
    as_json: AsJson = False,
) -> None:
    """Measure how often the verdict is wrong: train many runs, and judge arms that are equal, or differ by what is planted."""
    from pipelines.scores import views as score_views
    from pipelines.scores.calibrate import calibrate_verdicts

    at = open_run(store, run or first, as_json)
    with executing(workers, ray) as executor, show.progress() as watch:
        found = calibrate_verdicts(at, scale=scale, runs=runs, families=families, executor=executor, progress=watch)
    say(found.to_json()) if as_json else score_views.calibration(found)
