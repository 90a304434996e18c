"""A stage as a node of the plan: which rows come in, every reason for which one leaves, and an id of all that decides it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from curate.balance import Balance
from curate.digest import digest_of
from curate.plan import IN, POOL, RESTRICTED, REVOKED, Lawful, Node, Outside, Reason, TakenDown
from curate.repetition import Repeat, SoftCap
from curate.rule import Expr, Rule


def node_of(
    salt: Any,
    name: str,
    combinator: str,
    parents: tuple[str, ...],
    rule: Rule | Outside | Lawful | TakenDown | None,
    nodes: Mapping[str, Node],
) -> Node:
    """A node whose parents are in `nodes`: its reasons are theirs, each once, and its own.

    Its id is a digest of all that decides its rows; `salt` is what its rule's answer depends on besides the rule's text.
    """
    reasons: list[Reason] = [IN]
    inherits = []
    for parent in parents:
        for reason in nodes[parent].reasons[1:]:
            if reason not in reasons:
                reasons.append(reason)
        inherits.append(tuple(reasons.index(reason) for reason in nodes[parent].reasons))
    reasons += [reason for reason in _own(name, combinator, parents, rule) if reason not in reasons]
    canonical = rule.canonical() if rule is not None else None
    identity = digest_of([salt, name, combinator, [nodes[parent].id for parent in parents], canonical])
    counted = parents[:1] if combinator == "minus" else parents
    repeats = isinstance(rule, Repeat | SoftCap) or any(nodes[parent].repeats for parent in counted)
    return Node(name, identity, combinator, parents, rule, tuple(reasons), tuple(inherits), repeats)


def without_revoked(pool: str, identity: str, whole: Node) -> Node:
    """The pool of this id without the rows that the store refuses; `identity` says which these are, `whole` is all of it."""
    return node_of([pool, identity], REVOKED, "after", (POOL,), TakenDown(), {POOL: whole})


def _own(name: str, combinator: str, parents: Sequence[str], rule: Rule | Outside | Lawful | TakenDown | None) -> list[Reason]:
    if isinstance(rule, TakenDown):
        return [Reason(REVOKED, name, rule.text)]
    if isinstance(rule, Lawful):
        return [Reason(kind, name, rule.text) for kind in (RESTRICTED, "quarantined")]
    found = [Reason("dropped", name, rule.unmatched)] if isinstance(rule, Balance) else []
    if combinator == "minus":
        found += [
            Reason(kind, name, f"in {parent}" if kind == "dropped" else f"not known whether in {parent}")
            for parent in parents[1:]
            for kind in ("dropped", "no evidence")
        ]
    if isinstance(rule, Repeat):  # it drops nothing
        return found
    texts = [clause.text for clause in rule.clauses] if isinstance(rule, Expr) else [rule.text] if rule is not None else []
    own = [Reason(kind, name, text) for text in texts for kind in ("dropped", "no evidence", "quarantined")]
    return found + [replace(one, text=rule.unread) if isinstance(rule, Outside) and one.kind == "quarantined" else one for one in own]
