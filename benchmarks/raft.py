"""All Raft checks on a large trace: a healthy cluster of five whose leader replicates, commits and is replaced.

    python -m benchmarks.raft [events]

Prints seconds and events a second for each check on the second run (the first one compiles), and the peak memory.
The first check that runs pays for the shared reading of the trace; its line says so.
"""

from __future__ import annotations

import resource
import sys
import time

import pyarrow as pa

from tracekit.execution import Execution, Options
from tracekit.registry import checks
from tracekit.trace.assemble import assemble
from tracekit.trace.columns import AnyColumn, from_arrow
from tracekit.trace.trace import Trace

NODES = 5
ROUNDS_A_TERM = 400
"""Commands that one leader replicates before the next one takes over."""


class Rows:
    """Columns under construction, one list each; None where absent."""

    def __init__(self) -> None:
        self.columns: dict[str, list[object]] = {
            name: [] for name in (
                "process", "kind", "name", "message", "peer", "raft.term", "raft.role", "raft.vote", "raft.commit",
                "raft.log_from", "raft.entry_terms", "raft.entry_digests", "raft.apply_index", "raft.apply_term",
                "raft.apply_digest", "raft.message_term", "raft.message_index", "raft.message_log_term",
                "raft.message_reject",
            )
        }  # fmt: skip

    def __len__(self) -> int:
        return len(self.columns["process"])

    def add(self, process: str, kind: str, name: str, **fields: object) -> None:
        """One row; fields of the domain without their prefix."""
        row = {"process": process, "kind": kind, "name": f"raft.{name}"}
        row |= {k if k in ("message", "peer") else f"raft.{k}": v for k, v in fields.items()}  # type: ignore[misc]
        for column, values in self.columns.items():
            values.append(row.get(column))

    def trace(self) -> Trace:
        """The rows as a trace."""
        kinds = {"raft.entry_terms": pa.list_(pa.int64()), "raft.entry_digests": pa.list_(pa.string())}
        arrays: dict[str, AnyColumn] = {}
        for name, values in self.columns.items():
            arrays[name] = from_arrow(pa.array(values, type=kinds.get(name)))
        return assemble(arrays, at="benchmark", processes=[f"n{i}" for i in range(NODES)])


def cluster(events: int) -> Trace:
    """A healthy run of at least so many events."""
    rows, names = Rows(), [f"n{i}" for i in range(NODES)]
    message, index, term, last_term = 0, 0, 0, 0
    for n in names:
        rows.add(n, "internal", "init", term=0, role="follower", vote="", commit=0, log_from=1, entry_terms=[])
    while len(rows) < events:
        term, leader = term + 1, names[term % NODES]
        others = [n for n in names if n != leader]
        rows.add(leader, "internal", "become_candidate", term=term, role="candidate", vote=leader)
        asked = {"message_term": term, "message_index": index, "message_log_term": last_term}
        for n in others:
            message += 2
            rows.add(leader, "send", "request_vote", message=message, peer=n, **asked)
            rows.add(
                n,
                "receive",
                "request_vote",
                message=message,
                peer=leader,
                term=term,
                role="follower",
                vote=leader,
                **asked,
            )
            granted = {"message_term": term, "message_reject": False}
            rows.add(n, "send", "request_vote_response", message=message + 1, peer=leader, **granted)
            rows.add(leader, "receive", "request_vote_response", message=message + 1, peer=n, **granted)
        rows.add(leader, "internal", "become_leader", role="leader")
        for _ in range(ROUNDS_A_TERM):
            index, last_term, digest = index + 1, term, f"d{index % 997}"
            entry = {"log_from": index, "entry_terms": [term], "entry_digests": [digest]}
            applied = {"apply_index": index, "apply_term": term, "apply_digest": digest}
            rows.add(leader, "internal", "propose", **entry)
            for n in others:
                message += 2
                sent = {"message_term": term, "message_index": index - 1}
                rows.add(leader, "send", "append_entries", message=message, peer=n, **sent)
                rows.add(
                    n, "receive", "append_entries", message=message, peer=leader, commit=index - 1, **sent, **entry
                )
                rows.add(n, "send", "append_entries_response", message=message + 1, peer=leader, message_index=index)
                rows.add(leader, "receive", "append_entries_response", message=message + 1, peer=n, message_index=index)
            rows.add(leader, "internal", "commit", commit=index)
            for n in names:
                rows.add(n, "internal", "apply", **applied)
    return rows.trace()


def main() -> None:
    """Prints the table."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    trace = cluster(events)
    built = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    names = [name for name in checks() if name.startswith("raft.")]
    for run in ("first", "second"):
        execution = Execution(trace)
        start = time.perf_counter()
        execution.happens_before  # noqa: B018 - shared by all families, so its time is told apart
        order = time.perf_counter() - start
        seconds, verdicts = {}, {}
        for name in names:
            begun = time.perf_counter()
            result = checks()[name].run(execution, Options())
            seconds[name], verdicts[name] = time.perf_counter() - begun, result
        total = sum(seconds.values())
        print(f"{run} run: {len(trace):,} events, order {order:.2f} s, raft {total:.2f} s")
    for name in names:
        result = verdicts[name]
        examined = ", ".join(f"{count:,} {unit}" for unit, count in result.examined.items())
        rate = len(trace) / seconds[name] / 1e6
        print(f"{name:30} {result.verdict:8} {seconds[name]:7.3f} s {rate:8.1f} M events/s  {examined}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MB, of which {built:,.0f} MB were used to build the trace")


if __name__ == "__main__":
    main()
