"""Three-valued membership: what a node's parents alone say of each row, as codes of the node's reasons."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from curate.plan import Node

Codes = npt.NDArray[np.uint16]
Copies = npt.NDArray[np.uint16]


def inherited(node: Node, parents: Sequence[Codes], rows: int) -> Codes:
    """The node's code for each of `rows` rows, before its own rule; `parents` are the parents' codes, in the order they are written.

    0 is in. A row is out or unknown (quarantined, or without evidence) as Kleene logic says of `all_of`, `any_of` and `minus`, and its
    reason is that of the first operand, as written, that decides; for `any_of` the last operand's.
    """
    if node.combinator == "pool":
        return np.zeros(rows, np.uint16)
    codes = [np.array(inherit, np.uint16)[parent] for inherit, parent in zip(node.inherits, parents, strict=True)]
    if node.combinator == "after":
        return codes[0]
    unknown = np.array([reason.kind in ("no evidence", "quarantined") for reason in node.reasons])
    if node.combinator == "any_of":
        return _any_of(codes, unknown)
    if node.combinator == "minus":
        codes = [codes[0], *[_outside(node, name, operand, unknown) for name, operand in zip(node.parents[1:], codes[1:], strict=True)]]
    return _all_of(codes, unknown)


def combined_copies(combinator: str, parents: Sequence[Copies]) -> Copies:
    """How often a row that a node lets in is used, before the node's own rule; 0 where a parent does not hold it.

    As multisets have it: of `all_of` the fewest copies, of `any_of` the most. `after` and `minus` keep those of the first parent: what
    `minus` takes away leaves whole.
    """
    if combinator in ("all_of", "any_of"):
        stacked = np.stack(parents)
        copies: Copies = stacked.min(axis=0) if combinator == "all_of" else stacked.max(axis=0)
        return copies
    return parents[0].copy()


def _all_of(codes: list[Codes], unknown: npt.NDArray[np.bool_]) -> Codes:
    """The first operand that is out; else the first that is unknown; else in."""
    result = np.zeros_like(codes[0])
    for operand in reversed(codes):
        result = np.where(unknown[operand], operand, result)
    for operand in reversed(codes):
        result = np.where((operand != 0) & ~unknown[operand], operand, result)
    return result


def _any_of(codes: list[Codes], unknown: npt.NDArray[np.bool_]) -> Codes:
    """In where one operand is; else the last unknown one; else the last operand's reason."""
    result = codes[-1].copy()
    for operand in reversed(codes):
        result = np.where(unknown[operand] & ~unknown[result], operand, result)
    for operand in codes:
        result = np.where(operand == 0, np.uint16(0), result)
    return result


def _outside(node: Node, parent: str, codes: Codes, unknown: npt.NDArray[np.bool_]) -> Codes:
    """The negation of an operand: in only where the row is known to be outside it."""
    inside, unsure = node.code("dropped", f"in {parent}"), node.code("no evidence", f"not known whether in {parent}")
    return np.where(codes == 0, np.uint16(inside), np.where(unknown[codes], np.uint16(unsure), np.uint16(0)))
