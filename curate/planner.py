"""Planning: a recipe's names resolved against catalogue and pool, everything checked before a row is read."""

from collections.abc import Mapping
from pathlib import Path

from curate.builder import Builder
from curate.catalogue import Catalogue
from curate.content import content
from curate.errors import RecipeError
from curate.measures import measure_of
from curate.nodes import node_of, without_revoked
from curate.plan import LAWFUL, POOL, REVOKED, UNSEEN, Outside, Plan
from curate.pool import Pool
from curate.recipe import Recipe
from curate.takedown.revoked import NOTHING, Revoked


def make_plan(
    recipe: Recipe,
    pool: Pool,
    catalogue: Catalogue,
    weights: Mapping[str, str],
    lists: Mapping[str, str],
    cache: Path | None = None,
    refused: Revoked = NOTHING,
) -> Plan:
    """Check everything about `recipe` on `pool` and lay out its nodes. Reads no row.

    `weights` gives the weights digest of each model already made, by Training.id; `lists` the stored list of its training rows. Models not
    made yet leave the measures that use them pending. `cache` remembers the files of other pools, as `Pool.open` has it; `refused` are rows
    taken down. RecipeError and PoolError name the place and the nearest right name.
    """
    builder = Builder(recipe, pool, catalogue, weights, cache, refused=refused)
    for name in recipe.models:
        builder.model(name)
    nodes = {POOL: node_of(pool.id, POOL, "pool", (), None, {})}
    trained = [training for training in builder.models.values() if training.rows and training.model.trusts]
    barred = ((REVOKED, "what was taken down"), (LAWFUL, "what is restricted"), (UNSEEN, "the rows that models trained on"))
    for name, what in barred:
        if name in recipe.stages:  # also where there is no such node: the pool as stages see it goes by these names
            where = recipe.where(f"stages.{name}")
            raise RecipeError(f"{name} is the name of the pool without {what}", where=where, fix="rename the stage")
    root = POOL
    if identity := refused.identity(pool):
        nodes[REVOKED] = without_revoked(pool.id, identity, nodes[POOL])
        root = REVOKED
    if recipe.restricted is not None:
        rule = builder.lawful()
        nodes[LAWFUL] = node_of(builder.identity(recipe.restricted, LAWFUL), LAWFUL, "after", (root,), rule, nodes)
        root = LAWFUL
    if trained:
        seen = f"{UNSEEN}.content"  # no filter can be called so
        builder.measures[seen] = measure_of(seen, seen, content, {}, pool)
        outside = Outside(tuple(sorted(lists.get(t.id, f"pending:{t.id}") for t in trained)))
        nodes[UNSEEN] = node_of([pool.id, builder.measures[seen].fingerprint], UNSEEN, "after", (root,), outside, nodes)
        root = UNSEEN
    for name in recipe.order():
        stage = recipe.stages[name]
        if stage.rule is not None:
            builder.check(stage, stage.rule)
        parents = tuple(root if parent == POOL else parent for parent in stage.parents)
        nodes[name] = node_of(builder.identity(stage.rule, name), name, stage.combinator, parents, stage.rule, nodes)
    for spec in recipe.signals.values():
        builder.validate(spec)
    return Plan(recipe, pool, nodes, builder.measures, builder.groups, builder.models, builder.sources, builder.references)
