"""Triggers, rules and policies: dropped before what they name is altered, and made again after it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from dormatory.backends.postgresql.alter.step import AlterStep, Phase, mentions, part_target, quoted, short_name
from dormatory.schema.snapshot import Policy, RewriteRule, Trigger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dormatory.backends.postgresql.alter.pairs import SnapshotPair, TablePair
    from dormatory.schema.snapshot import TableId

_Attached = TypeVar("_Attached", Trigger, RewriteRule, Policy)
_ENABLE = {"yes": "ENABLE", "no": "DISABLE", "replica": "ENABLE REPLICA", "always": "ENABLE ALWAYS"}


def attached_steps(snapshots: SnapshotPair) -> Iterator[AlterStep]:
    """Yield the statements for the triggers, rules and policies of all tables."""
    for table in snapshots.added_tables:
        for trigger in table.triggers:
            yield from create_trigger(table.id, trigger)
        for rule in table.rules:
            yield from create_rule(table.id, rule)
        for policy in table.policies:
            yield _create_policy(table.id, policy)
    for pair in snapshots.pairs.values():
        for step in _pair_steps(snapshots, pair):
            yield replace(step, tables=frozenset([pair.after.id]))


def create_trigger(owner: TableId, trigger: Trigger) -> Iterator[AlterStep]:
    """Yield the statements that make a trigger."""
    yield AlterStep(Phase.CREATE_ATTACHED, trigger.definition, makes=(part_target(owner, trigger),))
    yield from _enable(owner, "TRIGGER", trigger) if trigger.enabled != "yes" else ()


def create_rule(owner: TableId, rule: RewriteRule) -> Iterator[AlterStep]:
    """Yield the statements that make a rule."""
    yield AlterStep(
        Phase.CREATE_ATTACHED, rule.definition.removesuffix(";").rstrip(), makes=(part_target(owner, rule),)
    )
    yield from _enable(owner, "RULE", rule) if rule.enabled != "yes" else ()


def remade_attached(snapshots: SnapshotPair, pair: TablePair) -> frozenset[tuple[type, str]]:
    """Return the kinds and names of what must be dropped because its table or another is altered."""
    triggers = [it for it in pair.before.triggers if mentions(it.definition, pair.touched_names)]
    rules = [it for it in pair.before.rules if snapshots.touches(it.definition)]
    policies = [
        it
        for it in pair.before.policies
        if mentions(_condition(it), pair.touched_names) or snapshots.touches(_condition(it))
    ]
    every: tuple[Trigger | RewriteRule | Policy, ...] = (*triggers, *rules, *policies)
    return frozenset((type(it), it.name) for it in every)


def _pair_steps(snapshots: SnapshotPair, pair: TablePair) -> Iterator[AlterStep]:
    table, remade = pair.after.id, remade_attached(snapshots, pair)
    for old, new in _changes(pair.before.triggers, pair.after.triggers, remade):
        if old and new and replace(old, enabled=new.enabled, comment=new.comment) == new and not _is_in(remade, new):
            yield from _enable(table, "TRIGGER", new)
            continue
        yield from _drop(table, "TRIGGER", old)
        yield from create_trigger(table, new) if new else ()
    for old_rule, new_rule in _changes(pair.before.rules, pair.after.rules, remade):
        yield from _drop(table, "RULE", old_rule)
        yield from create_rule(table, new_rule) if new_rule else ()
    for old_policy, new_policy in _changes(pair.before.policies, pair.after.policies, remade):
        yield from _drop(table, "POLICY", old_policy)
        yield from (_create_policy(table, new_policy),) if new_policy else ()


def _changes(
    before: tuple[_Attached, ...], after: tuple[_Attached, ...], remade: frozenset[tuple[type, str]]
) -> Iterator[tuple[_Attached | None, _Attached | None]]:
    """Yield what differs or must be made again, before and after, each with None where it is missing."""
    old, new = {it.name: it for it in before}, {it.name: it for it in after}
    for name in old | new:
        one, other = old.get(name), new.get(name)
        is_same = one and other and replace(one, comment=other.comment) == other
        if not is_same or (one and _is_in(remade, one)):
            yield one, other


def _is_in(remade: frozenset[tuple[type, str]], part: Trigger | RewriteRule | Policy) -> bool:
    return (type(part), part.name) in remade


def _drop(table: TableId, kind: str, part: Trigger | RewriteRule | Policy | None) -> Iterator[AlterStep]:
    if part:
        yield AlterStep(Phase.DROP_ATTACHED, f"DROP {kind} {quoted(part.name)} ON {short_name(table)}")


def _enable(owner: TableId, kind: str, part: Trigger | RewriteRule) -> Iterator[AlterStep]:
    action = f"{_ENABLE[part.enabled]} {kind} {quoted(part.name)}"
    yield AlterStep(Phase.CREATE_ATTACHED, f"ALTER TABLE {short_name(owner)} {action}")


def _create_policy(table: TableId, policy: Policy) -> AlterStep:
    parts = [f"CREATE POLICY {quoted(policy.name)} ON {short_name(table)}"]
    parts += ["AS RESTRICTIVE"] * (not policy.permissive)
    parts.append(f"FOR {policy.command}")
    parts.append(f"TO {', '.join('PUBLIC' if role == 'public' else quoted(role) for role in policy.roles)}")
    parts += [f"USING ({policy.using})"] * (policy.using is not None)
    parts += [f"WITH CHECK ({policy.check})"] * (policy.check is not None)
    return AlterStep(Phase.CREATE_ATTACHED, " ".join(parts), makes=(part_target(table, policy),))


def _condition(policy: Policy) -> str:
    return f"{policy.using or ''} {policy.check or ''}"
