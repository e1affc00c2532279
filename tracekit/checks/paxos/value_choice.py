"""A proposal's value is the one that a quorum leaves it (P2c)."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import torn
from tracekit.checks.evidence import SHOWN, listed, times
from tracekit.checks.paxos.acceptors import Acceptors, acceptors
from tracekit.checks.paxos.demonstrated import demonstrated_acceptances, unrecorded
from tracekit.checks.paxos.evidence import paxos_check, violation
from tracekit.checks.paxos.history import NONE, Bool, Int64, PaxosHistory, Steps, distinct, firsts, paxos_history, shown
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Violation

BLOCK = 4_000_000
"""Cells of (proposals x acceptors) that are looked at together; bounds memory."""
FREE = -1
"""As the ballot that binds a proposal: none does, it may have any value."""
MISSING = np.iinfo(np.int64).max
"""As an acceptor's highest acceptance: it may not be recorded."""


@paxos_check("paxos.value-choice")
def value_choice(execution: Execution, options: Options) -> CheckResult:
    """For every proposal there is a majority of acceptors whose highest lower-numbered acceptance has its value.

    Meaning
        P2c: if a proposal with value v and number n is issued, there is a majority S of the acceptors such that either
        no acceptor in S has accepted any proposal numbered less than n, or v is the value of the highest-numbered
        proposal among all those numbered less than n that acceptors in S have accepted. It is what keeps a value
        chosen for ever. A proposer fulfils it by proposing the value of the highest-numbered proposal that was
        reported to it with the promises; acceptors keep it true by accepting nothing below their promise, so that
        what counts is all that they accepted in the whole run.

    Example
        (instance 4, three acceptors)
        n1:41  accepts 17, ballot 6
        n2:38  accepts 17, ballot 6
        n3:52  sends accept request, ballot 8 with 18 to n1

    Needs
        paxos.accept or what acceptors accepted (paxos.accepted_ballot with paxos.accepted_value, or paxos.accepted
        with paxos.ballot and paxos.value); the acceptors (paxos.acceptors) or their number (n); paxos.instance where
        there are several.

    Cannot see
        Whether the proposer knew what it had to (that is paxos.quorum). Quorums other than majorities. An acceptor of
        which nothing is recorded, or which proposes and never records an acceptance, is taken as if it might have
        accepted the very proposal that excuses the value. So is every acceptor that does not demonstrably record what
        it accepts: that records no acceptance at the receipt of a request, at its answer, or for another's ballot; or
        none for its own, if it proposes; or from which somebody receives one that it does not record. Then the answer
        is unknown. Single acceptances left out look as if they had not happened.

    Cost
        Proposals times acceptors, times the logarithm of the acceptances.

    Reference
        Paxos Made Simple, 2.2, P2c.
        Lamport, Paxos Made Simple, 2001.
    """
    history, group = execution.derive(paxos_history), execution.derive(acceptors)
    proposals = history.proposals
    reasons = history.doubts("requests", "received", "acceptances", "values")
    if not len(proposals):
        return CheckResult(reasons=reasons, applicable=False)
    if group.reason:
        return CheckResult(reasons=(group.reason,))
    if not len(history.acceptances):
        return CheckResult(reasons=reasons or ("no acceptance is recorded, so nothing can be said to bind a proposal",))
    proposals = proposals[firsts(proposals.instance, proposals.ballot, proposals.value)]
    votes = history.acceptances
    votes = votes[group.among(votes.process) >= 0]
    silent = history.requests[np.isin(history.requests.process, group.silent_votes)]
    bound, certain = _bound(group, votes, silent, proposals)
    free = bound == FREE
    allowed = free.copy()
    allowed[~free] = _has_value(group, votes, silent, proposals[~free], bound[~free])
    # An acceptance that cannot be read, or that was cut off, may be the one that a majority leaves the value by
    certain &= not torn(execution) and "acceptances" not in history.useless
    unshown = unrecorded(execution, execution.derive(demonstrated_acceptances), "acceptances")
    certain &= not unshown
    broken = np.flatnonzero(~allowed & certain)
    open_ones = np.flatnonzero(~allowed & ~certain)
    if len(open_ones):
        at = execution.trace.event(int(proposals.row[open_ones[0]]))
        unjudged = f"{times(len(open_ones), 'proposal')} of {len(proposals)} cannot be judged, as at {at}"
        reasons += (f"{unjudged}: {unshown or 'of too many acceptors it is not recorded what they had accepted'}",)
    return CheckResult(
        examined={"proposals": len(proposals) - len(open_ones)},
        violations=tuple(_told(history, group, votes, proposals, int(b)) for b in broken[:SHOWN]),
        violations_total=len(broken),
        reasons=reasons,
        rests_on=group.rests_on,
        method=f"{times(int((~free).sum()), 'proposal')} bound by what acceptors had accepted, others free",
    )


def _bound(group: Acceptors, votes: Steps, silent: Steps, proposals: Steps) -> tuple[Int64, Bool]:
    """The lowest ballot that binds each proposal, and whether a value that does not fit is certainly wrong.

    A majority can be picked among the acceptors so that its highest acceptance is as low as possible: that of the
    acceptor which is the majority-th when they are sorted by their own. `FREE`: it has none.
    """
    size, needed = len(group.codes), group.majority
    bound, certain = np.full(len(proposals), MISSING), np.zeros(len(proposals), np.bool_)
    if size < needed:
        return bound, certain
    step = max(BLOCK // max(size, 1), 1)
    for start in range(0, len(proposals), step):
        part = np.arange(start, min(start + step, len(proposals)))
        highest = _known(group, votes, silent, proposals[part])
        bound[part] = np.partition(highest, needed - 1, axis=1)[:, needed - 1]
        certain[part] = (highest != MISSING).all(axis=1) & (group.unseen == 0)
    return bound, certain


def _known(group: Acceptors, votes: Steps, silent: Steps, proposals: Steps) -> Int64:
    """As `_highest_below`, but `MISSING` where an acceptor may have accepted what is not recorded."""
    highest = _highest_below(group, votes, proposals)
    if len(silent):
        highest[_highest_below(group, silent, proposals) != FREE] = MISSING
    highest[:, group.among(group.partial)] = MISSING
    return highest


def _highest_below(group: Acceptors, votes: Steps, proposals: Steps) -> Int64:
    """(proposals, acceptors): the highest ballot below the proposal's that each acceptor accepted; `FREE`: none."""
    size = len(group.codes)
    place = group.among(votes.process)
    _, pair = np.unique(np.concatenate([votes.instance, proposals.instance]), return_inverse=True)
    span = int(max(votes.ballot.max(initial=0), proposals.ballot.max(initial=0))) + 2
    keys = np.sort((pair[: len(votes)] * size + place) * span + votes.ballot)
    cells = pair[len(votes) :, None] * size + np.arange(size)
    wanted = cells * span + proposals.ballot[:, None]
    at = np.searchsorted(keys, wanted) - 1
    if not len(keys):
        return np.full(wanted.shape, FREE, np.int64)
    found = keys[np.maximum(at, 0)]
    return np.where((at >= 0) & (found // span == cells), found % span, FREE)


def _has_value(group: Acceptors, votes: Steps, silent: Steps, proposals: Steps, bound: Int64) -> Bool:
    """Whether some acceptor's highest acceptance below a proposal has its value and is not below what binds it.

    An acceptance of which the value is not known may have it. The others of a majority are those with lower ones.
    """
    out = np.zeros(len(proposals), np.bool_)
    size = len(group.codes)
    step = max(BLOCK // max(size, 1), 1)
    for start in range(0, len(proposals), step):
        part = np.arange(start, min(start + step, len(proposals)))
        mine = proposals[part]
        highest = _known(group, votes, silent, mine)
        row, place = np.nonzero((highest >= bound[part, None]) & (highest >= 0) & (highest != MISSING))
        ballot, process = highest[row, place], group.codes[place]
        instance, value = mine.instance[row], mine.value[row]
        for wanted in (value, np.full(len(value), NONE)):
            columns = (
                np.append(votes.instance, instance), np.append(votes.process, process),
                np.append(votes.ballot, ballot), np.append(votes.value, wanted),
            )  # fmt: skip
            _, key = distinct(*columns)
            same = np.isin(key[len(votes) :], key[: len(votes)])
            out[part[row[same]]] = True
    return out


def _told(history: PaxosHistory, group: Acceptors, votes: Steps, proposals: Steps, at: int) -> Violation:
    one = proposals[np.array([at])]
    instance, ballot, value = int(one.instance[0]), int(one.ballot[0]), int(one.value[0])
    highest = _highest_below(group, votes, one)[0]
    # As many acceptors as every majority has one of: those with the highest acceptances tell most.
    holders = np.argsort(-highest, kind="stable")[: group.count - group.majority + 1]
    events, found = [], []
    for place in sorted(holders.tolist()):
        process = int(group.codes[place])
        mine = votes[(votes.process == process) & (votes.instance == instance) & (votes.ballot == highest[place])]
        name, number = history.values[int(mine.value[0])], int(history.ballots[int(mine.ballot[0])])
        found.append({"acceptor": history.who(int(mine.row[0])), "ballot": number, "value": name})
        events.append((int(mine.row[0]), f"accepts {name}, ballot {number}"))
    name, number = history.values[value], int(history.ballots[ballot])
    alike: dict[tuple[str, int], list[str]] = {}
    for who, other, at_ballot in ((str(e["acceptor"]), str(e["value"]), int(str(e["ballot"]))) for e in found):
        alike.setdefault((other, at_ballot), []).append(who)
    held = listed([f"{listed(names)} had accepted {shown([v])} (ballot {b})" for (v, b), names in alike.items()])
    who = history.who(int(one.row[0]))
    return violation(
        history.execution,
        "value-not-left-by-a-quorum",
        f"{who} used {shown([name])} for ballot {number}{history.at(instance)}, though {held}. "
        f"Every majority of the {group.count} acceptors includes {'it' if len(found) == 1 else 'one of these'}.",
        [*events, (int(one.row[0]), f"proposal of ballot {number} with {name}")],
        facts={**history.about(instance), "ballot": number, "value": name, "accepted": found},
    )
