"""The scale that a recipe names, looked up before anything is measured."""

from curate.errors import CeterisError, RecipeError
from curate.recipe import Recipe
from eval_fixed_model.scale import load_scale, shipped


def refuse_unknown_scale(recipe: Recipe) -> None:
    """RecipeError, with the place in the recipe, for an `evaluate.scale` that is no shipped one nor a file of one. Imports no torch."""
    if recipe.evaluate is None:
        return
    named = recipe.evaluate.scale
    whole = named.removesuffix("-partial")  # of what is shipped, with the sets that are here: those are looked for when it trains
    try:
        load_scale(whole if whole in shipped() else named)
    except CeterisError as error:
        said = f"{error.what}{f' ({error.where})' if error.where else ''}"
        known = f"the scales are: {', '.join(shipped())}; or name a YAML file, from where the command runs"
        fix = error.fix if error.fix.startswith("the scales") else f"{error.fix}; {known}"
        raise RecipeError(said, where=recipe.where("evaluate.scale"), fix=fix) from error
