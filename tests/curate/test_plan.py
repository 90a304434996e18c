from dataclasses import replace

import pytest

from curate.plan import IN, Node, Outside, Reason
from curate.recipe import Recipe
from curate.run import resolve
from curate.store import Store

RECIPE = '{stages: {a: {keep: "length.chars > 1"}, b: {keep: {random: 2, seed: 1}}}, subsets: [a, b]}'


@pytest.fixture
def plan(texts, filters, tmp_path):
    return lambda text=RECIPE: resolve(Recipe.parse(text), texts, filters(), Store.open(f"memory:{tmp_path}"))


def test_equal_plans_have_one_id_and_what_is_decided_changes_it(plan):
    turned = '{subsets: [b, a], stages: {b: {keep: {random: 2, seed: 1}}, a: {keep: "length.chars>1"}}}'
    assert plan(turned).id == plan().id
    others = [RECIPE.replace("> 1", "> 2"), RECIPE.replace("seed: 1", "seed: 2"), RECIPE.replace("[a, b]", "[a]")]
    assert len({plan().id, *(plan(other).id for other in others)}) == 4


def test_a_node_knows_the_codes_of_its_own_reasons(plan):
    node = plan().nodes["a"]
    assert node.reasons[0] == IN
    assert node.reasons[node.code("quarantined", "length.chars > 1")] == Reason("quarantined", "a", "length.chars > 1")
    with pytest.raises(ValueError, match="not in tuple"):
        node.code("dropped", "length.chars > 2")


def test_rules_that_must_see_every_row_are_global(plan):
    assert {name: node.is_global for name, node in plan().nodes.items()} == {"pool": False, "a": False, "b": True}
    outside = Node("unseen", "x", "after", ("pool",), Outside(("list",)), (IN,), ((0,),))
    assert not outside.is_global
    assert outside.rule.canonical() != replace(outside.rule, lists=("other",)).canonical()


def test_folders_say_what_lies_in_them(plan):
    measure = plan().measures["length"]
    assert measure.folder == f"signals/length-{measure.fingerprint[:16]}"
