"""Snapshots stand for what is committed, and take nobody back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracekit.checks.doubts import domain_check, not_covered
from tracekit.checks.evidence import SHOWN, times
from tracekit.checks.raft.commit_stability import highest_so_far
from tracekit.checks.raft.configuration import NO, UNDECIDED, YES
from tracekit.checks.raft.evidence import not_recorded, violation
from tracekit.checks.raft.history import UNKNOWN, Bool, Int64, RaftHistory, raft_history, several, snapshots_occur
from tracekit.checks.raft.logs import RaftLogs, raft_logs
from tracekit.checks.raft.order import order
from tracekit.execution import Execution, Options
from tracekit.kernels.raft import HEADS
from tracekit.results import CheckResult, Violation
from tracekit.trace.schema import Kind

BACK, CONTRADICTS, STATE, UNCOMMITTED = (
    "snapshot-goes-back",
    "snapshot-contradicts-log",
    "snapshots-differ",
    "snapshot-of-uncommitted",
)


@dataclass(frozen=True, eq=False)
class Snapshots:
    """Attributes
    ----------
    place: shape (s,): where a process takes a snapshot or installs one.
    index, term: of its last entry; a term that is not recorded: -1.
    digest: code of its state's digest, -1 not recorded.
    taken: whether the process took it of its own state.
    """

    place: Int64
    index: Int64
    term: Int64
    digest: Int64
    taken: Bool

    def __len__(self) -> int:
        return len(self.place)


@domain_check("raft.snapshot-safety", applies=snapshots_occur)
def snapshot_safety(execution: Execution, options: Options) -> CheckResult:
    """A snapshot stands for committed entries, agrees with what is known of them, and never takes a process back.

    Meaning
        A snapshot replaces the entries up to its last one, so it is as binding as they are. It must contain only
        what is committed: up to the commit index of the process that takes it; up to a commit index that somebody
        knew before, in the order of cause and effect, where it is installed. Its last entry must be the one that
        is committed, or was applied, at that index, and snapshots of one index have one state. A snapshot that says
        less than a process has applied already must not be installed: its state machine would go back in time and
        execute entries again. (It may come: the network may repeat or delay it.)

    Example
        n3:80  applies entry 60
        n3:91  receives snapshot up to 40 from n1 (sent long ago), its log is the snapshot up to 40

    Needs
        raft.snapshot_index with raft.snapshot_term where a process takes or installs a snapshot; raft.commit; to
        find contradictions also every log change, raft.apply_index with raft.apply_term, raft.snapshot_digest. For
        what was committed elsewhere before: messages, or one recorder's total order (index).

    Cannot see
        A state that is wrong in the same way in every snapshot of its index. Snapshots whose term is not recorded are
        not compared with logs.

    Cost
        Sorting the applications and snapshots; snapshots installed times processes.

    Reference
        Raft 7, Figure 13. InstallSnapshot; receiver rules 6 to 8.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history = execution.derive(raft_history)
    found = _snapshots(history)
    if not len(found):
        happen = bool(history.named("raft.take_snapshot").any())
        return CheckResult(reasons=not_recorded(history, "raft.snapshot_index") if happen else (), applicable=False)
    missing = not_recorded(history, "raft.commit")
    if missing:
        return CheckResult(reasons=missing)
    logs = execution.derive(raft_logs)
    covered = _covered(history, found)
    back, differs = _goes_back(history, found), _differs(logs, found)
    told = {
        int(i): anomaly
        for anomaly, which in (
            (STATE, differs[1]), (CONTRADICTS, differs[0]), (UNCOMMITTED, covered == NO), (BACK, back),
        )
        for i in np.flatnonzero(which)
    }  # fmt: skip
    broken = sorted(told)
    open_ = np.flatnonzero(covered == UNDECIDED)
    reasons: tuple[str, ...] = ()
    if len(open_):
        at = execution.trace.event(int(history.rows[found.place[open_[0]]]))
        unjudged = f"{times(len(open_), 'snapshot')} of {len(found)} cannot be judged, as at {at}"
        reasons = (f"{unjudged}: whether its entries were committed before is not recorded",)
    causal = execution.derive(order)
    return CheckResult(
        examined={"snapshots": len(found) - len(open_)},
        violations=tuple(_told(logs, found, i, told[i]) for i in broken[:SHOWN]),
        violations_total=len(broken),
        reasons=reasons,
        rests_on=() if found.taken.all() else causal.rests_on,
        method="each snapshot against the commit indexes before it, committed entries and other snapshots",
    )


def _snapshots(history: RaftHistory) -> Snapshots:
    index, term = history.column("raft.snapshot_index"), history.column("raft.snapshot_term")
    column = history.execution.trace.get("raft.snapshot_digest")
    digest = np.full(len(index), UNKNOWN, np.int64)
    if column is not None and column.texts is not None:
        digest = column.values.astype(np.int64)[history.rows]
    place = np.flatnonzero(index >= 1)
    taken = history.named("raft.take_snapshot")[place]
    return Snapshots(place, index[place], np.maximum(term[place], UNKNOWN), digest[place], taken)


def _goes_back(history: RaftHistory, found: Snapshots) -> Bool:
    """Installed over a state machine that is further: by what was applied since the process started; where that is
    never recorded, by its commit index."""
    applied = np.maximum(history.column("raft.apply_index"), UNKNOWN)
    recorded = bool((applied >= 0).any())
    back = np.zeros(len(found), np.bool_)
    for i in np.flatnonzero(~found.taken & ~history.restart[found.place]).tolist():
        place = int(found.place[i])
        before = int(history.commit[place - 1]) if not history.first[place] else UNKNOWN
        if before > found.index[i] and recorded:
            begin = int(history.begin[place])
            starts = np.flatnonzero(history.restart[begin:place])
            since = begin + (int(starts[-1]) if len(starts) else 0)
            before = int(applied[since:place].max(initial=UNKNOWN))
        back[i] = before > found.index[i]
    return back


def _covered(history: RaftHistory, found: Snapshots) -> Int64:
    """Whether the entries of each snapshot were known to be committed: `YES`, `NO`, `UNDECIDED`."""
    known = np.maximum(highest_so_far(history), history.commit)
    own = np.where(found.taken, known[found.place], highest_so_far(history)[found.place])
    answer = np.where(own >= found.index, YES, np.where(own < 0, UNDECIDED, NO))
    asked = np.flatnonzero(~found.taken & (answer != YES))
    causal = history.execution.derive(order)
    if not len(asked) or causal.reason:
        answer[asked] = UNDECIDED
        return answer
    frontiers = causal.frontiers(found.place[asked])
    processes = np.arange(frontiers.shape[1])
    last = causal.begin[processes] + frontiers - 1
    last -= processes[None, :] == history.process[found.place[asked]][:, None]  # what the event itself says, is judged
    heard = np.where((frontiers > 0) & (last >= causal.begin[processes]), known[np.maximum(last, 0)], UNKNOWN)
    others = (heard >= found.index[asked][:, None]).any(axis=1)
    partial = bool(not_covered(history.execution))
    no = np.full(len(asked), NO if causal.whole else UNDECIDED)
    if causal.by_messages:  # how it came is not recorded where no message brought it: another way, out of sight
        no[~history.kind(Kind.RECEIVE)[found.place[asked]]] = UNDECIDED
    answer[asked] = np.where(others, YES, UNDECIDED if partial else no)
    return answer


def _differs(logs: RaftLogs, found: Snapshots) -> tuple[Bool, Bool]:
    """Which snapshots end with another entry than is committed or was applied there, or than others of their index; and
    which have another state than others that end with the same entry."""
    history = logs.history
    index, term, _ = _claims(logs, found)
    order_ = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(index[order_]) != 0))
    bad = index[order_][starts[several(term[order_], starts)]]
    entry = np.isin(found.index, bad) & (found.term >= 0)
    key = np.lexsort((history.rows[found.place], found.index))
    starts = np.flatnonzero(np.append(True, np.diff(found.index[key]) != 0))
    bad = found.index[key][starts[several(found.digest[key], starts)]]
    return entry, np.isin(found.index, bad) & (found.digest >= 0) & ~entry


def _claims(logs: RaftLogs, found: Snapshots) -> tuple[Int64, Int64, Int64]:
    """Index, term and place of what is said of entries at the indexes of snapshots: by snapshots, applications, and
    the committed logs."""
    history = logs.history
    applied, applied_term = history.column("raft.apply_index"), history.column("raft.apply_term")
    wanted = np.unique(found.index)
    places = np.flatnonzero((applied_term >= 0) & np.isin(applied, wanted))
    parts = [(found.index, found.term, found.place), (applied[places], applied_term[places], places)]
    for shown, node, floor in _heads(logs):
        mine = wanted[(wanted >= floor)]
        held = np.empty(len(mine), np.int64)
        logs.loops.entries_at(logs.nodes, np.full(len(mine), node), np.full(len(mine), floor), mine, held)
        parts.append((mine, logs.term_of(held), np.full_like(mine, shown)))
    return (
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]),
    )


def _heads(logs: RaftLogs) -> list[tuple[int, int, int]]:
    """Committed logs of which none is a prefix of another: a place that shows each, its node, its first known index."""
    known = logs.committed
    heads = np.empty((HEADS, 2), np.int64)
    count = logs.loops.committed_heads(logs.nodes, np.stack([known.node, known.floor], axis=1), heads)
    found = []
    for node, floor in heads[: min(count, HEADS)].tolist():
        found.append((int(known.place[np.flatnonzero(known.node == node)[0]]), node, floor))
    return found


def _told(logs: RaftLogs, found: Snapshots, i: int, anomaly: str) -> Violation:
    history = logs.history
    place, index, term = int(found.place[i]), int(found.index[i]), int(found.term[i])
    name = history.who(place)
    what = f"a snapshot up to entry {index}" + (f" of term {term}" if term >= 0 else "")
    did = "takes" if found.taken[i] else "installs"
    events: list[tuple[int, str]] = []
    if anomaly == BACK:
        events, why = _went_on(history, place, index)
    elif anomaly == UNCOMMITTED:
        why = f"but nobody that it had heard of knew entry {index} to be committed"
        if found.taken[i]:
            why = f"but knew only entries up to {max(int(history.commit[place]), 0)} to be committed"
    else:
        other, why = _other(logs, found, i, anomaly)
        events = [(other, why.removeprefix("but "))]
    return violation(
        history,
        anomaly,
        f"{name} {'took' if found.taken[i] else 'installed'} {what}, {why}.",
        [*events, (place, f"{did} {what}")],
        facts={"process": name, "index": index, "term": term},
    )


def _went_on(history: RaftHistory, place: int, index: int) -> tuple[list[tuple[int, str]], str]:
    """An event that shows that the process was further than an index before a place."""
    begin = int(history.begin[place])
    applied = history.column("raft.apply_index")[begin:place]
    further = np.flatnonzero(applied > index)
    if len(further):
        at = begin + int(further[-1])
        return [(at, f"applies entry {int(applied[further[-1]])}")], f"though it had applied entry {max(applied)}"
    commit = history.commit[begin:place]
    at = begin + int(np.flatnonzero(commit > index)[0])
    return [(at, f"commits up to {int(history.commit[at])}")], f"though it knew more, up to {int(max(commit))}"


def _other(logs: RaftLogs, found: Snapshots, i: int, anomaly: str) -> tuple[int, str]:
    """The place of something that contradicts a snapshot, and what it says."""
    history, here = logs.history, found.index == found.index[i]
    if anomaly == STATE:
        other = int(np.flatnonzero(here & (found.digest >= 0) & (found.digest != found.digest[i]))[0])
        return int(found.place[other]), f"but {history.who(int(found.place[other]))} has another state at that index"
    index, term, place = _claims(logs, found)
    other = int(np.flatnonzero((index == found.index[i]) & (term >= 0) & (term != found.term[i]))[0])
    where = int(place[other])
    return where, f"but {history.who(where)} has entry {int(index[other])} of term {int(term[other])} there"
