"""Log Matching."""

from __future__ import annotations

import numpy as np

from tracekit.checks.doubts import domain_check
from tracekit.checks.evidence import SHOWN
from tracekit.checks.raft.evidence import legible, not_recorded, violation
from tracekit.checks.raft.history import Int64, raft_history, raft_occurs, several
from tracekit.checks.raft.logs import RaftLogs, raft_logs
from tracekit.execution import Execution, Options
from tracekit.kernels.raft import DEPTH, DIGEST, TERM
from tracekit.results import CheckResult, Violation


@domain_check("raft.log-matching", applies=raft_occurs)
@legible
def log_matching(execution: Execution, options: Options) -> CheckResult:
    """If two logs contain an entry with the same index and term, they are identical up to that index.

    Meaning
        A leader creates one entry at an index in its term, and never moves it; AppendEntries is refused where the
        entry before the new ones does not match. So index and term name an entry, together with everything before
        it. Where this breaks, two processes believe that they hold the same log and do not.
        Decided for all logs that any process ever had during the run, not only for logs at one moment: each index
        and term must have one command and one term before it. By induction this is the paper's property.

    Example
        n1:40  stores entry 7, term 3, command a
        n2:52  stores entry 7, term 3, command b

    Needs
        raft.log_from, raft.entry_terms and raft.entry_digests of every log change. Without digests only terms can be
        compared: a difference is found, but its absence leaves the property unknown.

    Cannot see
        Entries before raft.log_known_from, and changes that were not recorded. A snapshot counts as the entries that
        it includes, where raft.snapshot_term tells which those are.

    Cost
        Sorting the distinct entries; linear in the entries written otherwise.

    Reference
        Raft 5.3, Figure 3. Log Matching.
        Ongaro and Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014.
    """
    history, logs = execution.derive(raft_history), execution.derive(raft_logs)
    nodes = np.flatnonzero(logs.known & (logs.nodes[:, TERM] >= 0))
    if not len(nodes):
        return CheckResult(reasons=not_recorded(history, "raft.log_from", "raft.entry_terms"), applicable=False)
    order = np.lexsort((nodes, logs.nodes[nodes, TERM], logs.nodes[nodes, DEPTH]))
    nodes = nodes[order]
    new = np.ones(len(nodes), np.bool_)
    new[1:] = (np.diff(logs.nodes[nodes, DEPTH]) != 0) | (np.diff(logs.nodes[nodes, TERM]) != 0)
    starts = np.flatnonzero(new)
    commands, parents = logs.nodes[nodes, DIGEST], logs.parent_term[nodes]
    broken = np.flatnonzero(several(commands, starts) | several(parents, starts))
    ends = np.append(starts[1:], len(nodes))
    told = [_told(logs, nodes[starts[b] : ends[b]]) for b in broken[:SHOWN].tolist()]
    reasons: tuple[str, ...] = ()
    without = int((logs.nodes[nodes, DIGEST] < 0).sum())
    if without:
        what = "commands" if without == len(nodes) else f"commands of {without} of them"
        unseen = "that equal index and term mean equal commands cannot be seen"
        reasons = (f"terms agree, but the {what} are not recorded (raft.entry_digests): {unseen}",)
    return CheckResult(
        examined={"log entries": len(starts)},
        violations=tuple(told),
        violations_total=len(broken),
        reasons=reasons,
        method="one command and one predecessor for each index and term, over all logs ever held",
    )


def _told(logs: RaftLogs, nodes: Int64) -> Violation:
    """The first two nodes of one index and term that differ."""
    history = logs.history
    commands, parents = logs.nodes[nodes, DIGEST], logs.parent_term[nodes]
    column = commands if len(np.unique(commands[commands >= 0])) > 1 else parents
    known = np.flatnonzero(column >= 0)
    first, second = nodes[known[0]], nodes[known[column[known] != column[known[0]]][0]]
    writers = [(logs.writer(node), node) for node in (int(first), int(second))]
    places = sorted(writers, key=lambda pair: int(history.rows[pair[0]]))
    by_command = column is commands
    words = []
    for place, node in places:
        before = int(logs.parent_term[node])
        prefix = f"behind an entry of term {before}" if before else "as the first"
        what = f"command {logs.digest(node)}" if by_command else prefix
        words.append((place, f"stores {logs.describe(node)}, {what}"))
    index, term = int(logs.nodes[first, DEPTH]), int(logs.nodes[first, TERM])
    names = [history.who(place) for place, _ in places]
    who = f"{names[0]} and {names[1]}" if names[0] != names[1] else f"{names[0]}, at two times,"
    how = "with different commands" if by_command else f"behind different entries at {index - 1}"
    return violation(
        history,
        "same-entry-different-command" if by_command else "same-entry-different-prefix",
        f"{who} stored entry {index} of term {term} {how}. Index and term must name one entry and all before it.",
        words,
        facts={"index": index, "term": term, "processes": names},
    )
