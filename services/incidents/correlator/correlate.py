"""One change after the other: where it belongs. Cost: O(open bursts of its environment)."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import chain

from services.incidents.correlator.bursts import Burst, Fit, Graph
from services.incidents.correlator.rules import Rule, rule_for
from services.incidents.correlator.settings import Settings
from services.incidents.correlator.state import LastMembership, Member, RuleGroup, State
from services.incidents.model.change import (
    BackgroundNoise,
    Change,
    Joined,
    JoinReason,
    MemberEnded,
    Placement,
)


def correlate(
    state: State,
    change: Change,
    graph: Graph,
    rules: Sequence[Rule],
    now_ms: int,
    settings: Settings,
) -> Placement | None:
    """Places one change and notes it in `state`; None for what is known or unknown already.

    Args:
        state: Changed in place. The same changes, people's acts included, make the same state.
        change: The next of the log.
        graph: Who calls whom.
        rules: In the order in which they are asked.
        now_ms: When it is placed: what is held until an earlier time is forgotten.
        settings: What was tuned.
    """
    if change.end_ms is not None:
        return _end(state, change)
    if change.member_id in state.firing_by_id:
        return None
    placed = _place(state, change, graph, rules, now_ms, settings)
    if isinstance(placed, Joined):
        state.firing_by_id[change.member_id] = Member(placed.incident_id, change.fingerprint)
        state.held_by_fingerprint[change.fingerprint] = LastMembership(placed.incident_id)
    return placed


def close(state: State, incident_id: str, until_ms: int) -> None:
    """An incident is resolved: only what fires again until `until_ms` belongs to it."""
    state.drop(incident_id)
    for key in [k for k, v in state.rule_groups.items() if v.incident_id == incident_id]:
        del state.rule_groups[key]
        state.touched_groups.add(key)
    for held in state.held_by_fingerprint.values():
        if held.incident_id == incident_id:
            held.until_ms = until_ms


def merge(state: State, from_id: str, into_id: str) -> None:
    """What is in one incident is in another one from now on."""
    burst = state.drop(from_id)
    if burst is not None and into_id not in state.bursts:
        burst.incident_id, burst.fresh = into_id, None
        state.put(burst)
    state.touched_groups.update(k for k, v in state.rule_groups.items() if v.incident_id == from_id)
    groups, held, firing = state.rule_groups, state.held_by_fingerprint, state.firing_by_id
    places: Iterable[RuleGroup | LastMembership | Member]
    places = chain(groups.values(), held.values(), firing.values())
    for place in places:
        if place.incident_id == from_id:
            place.incident_id = into_id


def move(state: State, fingerprints: Sequence[str], from_id: str, into_id: str) -> None:
    """A person took these out of one incident and into another one."""
    moved = set(fingerprints)
    for fingerprint in moved:
        held = state.held_by_fingerprint.get(fingerprint)
        if held is not None and held.incident_id == from_id:
            held.incident_id = into_id
    for member in state.firing_by_id.values():
        if member.incident_id == from_id and member.fingerprint in moved:
            member.incident_id = into_id


def _end(state: State, change: Change) -> MemberEnded | None:
    member = state.firing_by_id.pop(change.member_id, None)
    if member is None or change.end_ms is None:
        return None
    return MemberEnded(
        member_id=change.member_id, incident_id=member.incident_id, end_ms=change.end_ms
    )


def _place(
    state: State,
    change: Change,
    graph: Graph,
    rules: Sequence[Rule],
    now_ms: int,
    settings: Settings,
) -> Placement:
    rule = rule_for(change, rules)
    if rule is not None:
        return _by_rule(state, change, rule)
    held = state.held_by_fingerprint.get(change.fingerprint)
    if held is not None and (held.until_ms is None or now_ms < held.until_ms):
        reason = JoinReason.FINGERPRINT
        return Joined(change=change, incident_id=held.incident_id, reason=reason)
    return _by_burst(state, change, graph, settings)


def _by_rule(state: State, change: Change, rule: Rule) -> Joined:
    key = rule.key(change)
    state.touched_groups.add(key)
    group = state.rule_groups.get(key)
    if group is None or change.start_ms - group.last_ms > rule.window_ms:
        group = state.rule_groups[key] = RuleGroup(incident_id(change), change.start_ms)
        return Joined(change=change, incident_id=group.incident_id, reason=JoinReason.FIRST)
    group.last_ms = max(group.last_ms, change.start_ms)
    return Joined(change=change, incident_id=group.incident_id, reason=JoinReason.RULE)


def _by_burst(state: State, change: Change, graph: Graph, settings: Settings) -> Placement:
    background, time_ms = state.background, change.start_ms
    background.pass_time(time_ms, settings.memory_ms)
    pause_ms = background.pause_ms(time_ms, settings)
    _forget(state, change.environment, time_ms, settings)
    is_chronic = background.is_chronic(change.fingerprint, time_ms, settings)
    company = abs(time_ms - state.left_alone_ms) <= settings.together_ms
    best: tuple[Fit, int, str] | None = None
    is_busy = False
    for burst in state.environments.get(change.environment, {}).values():
        is_busy = is_busy or (burst.is_confirmed and time_ms - burst.last_ms <= pause_ms)
        fit = burst.fit(change, graph, pause_ms, settings, company=company)
        if fit is not None:
            found = (fit, burst.last_ms, burst.incident_id)
            best = found if best is None else max(best, found)
    if best is not None:
        fit, burst = best[0], state.bursts[best[2]]
        reason = _reason(burst, change, fit)
        burst.take(change, fit, carries_on=not is_chronic)
        state.touched_bursts.add(burst.incident_id)
        if burst.is_confirmed:
            until_ms = round(burst.last_ms + pause_ms)
            background.busy_until_ms = max(background.busy_until_ms, until_ms)
        return Joined(change=change, incident_id=burst.incident_id, reason=reason)
    if not is_busy:
        background.note(change.fingerprint, time_ms, settings.memory_ms)
    if is_chronic:
        return BackgroundNoise(change=change)
    state.left_alone_ms = time_ms
    return _open(state, change)


def _open(state: State, change: Change) -> Joined:
    made = incident_id(change)
    burst = Burst(made, change.environment, change.start_ms, change.start_ms)
    burst.take(change, None, carries_on=True)
    state.put(burst)
    return Joined(change=change, incident_id=made, reason=JoinReason.FIRST)


def _reason(burst: Burst, change: Change, fit: Fit) -> JoinReason:
    is_called = fit is Fit.RELATED and change.service not in burst.services
    return JoinReason.CALL if is_called else JoinReason.BURST


def _forget(state: State, environment: str, time_ms: int, settings: Settings) -> None:
    over_ms = time_ms - settings.pause_max_ms - settings.related_ms
    bursts = state.environments.get(environment, {})
    for key in [key for key, burst in bursts.items() if burst.last_ms < over_ms]:
        state.drop(key)


def incident_id(change: Change) -> str:
    """The id of the incident that a change opens: a replay gives the same one."""
    digest = blake2b(f"{change.member_id}/{change.start_ms}".encode(), digest_size=8)
    return f"i-{digest.hexdigest()}"


def forget(state: State, now_ms: int, settings: Settings) -> None:
    """Lets go of what decides nothing any more: memory follows what is open, not what ever was."""
    held, rates = state.held_by_fingerprint, state.background.by_fingerprint
    for environment in list(state.environments):
        _forget(state, environment, state.background.seen_ms, settings)
    for mark in [k for k, v in held.items() if v.until_ms is not None and v.until_ms <= now_ms]:
        del held[mark]
    for mark in [k for k, v in rates.items() if v.at_ms < now_ms - settings.memory_ms]:
        del rates[mark]


def reopen(state: State, incident_id: str) -> None:
    """An incident is open after all: what it holds belongs to it again."""
    for held in state.held_by_fingerprint.values():
        if held.incident_id == incident_id:
            held.until_ms = None
