"""Short ways to write Raft events by hand."""

from __future__ import annotations

from typing import Any

from tracekit.execution import Execution, Options
from tracekit.registry import checks
from tracekit.results import CheckResult
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

KINDS = {"restart": "restart", "crash": "crash"}


class Events:
    """Rows one by one: ``events("n1", "become_leader", term=2)``; fields of the domain go without their prefix."""

    def __init__(self, *processes: str, run: Run | None = None) -> None:
        self.builder = TraceBuilder(processes, run)
        self.messages = 0
        for process in processes:
            self(process, "init", term=0, role="follower", vote="", commit=0, log=[])

    def __call__(self, process: str, name: str, kind: str | None = None, **fields: Any) -> int:
        row: dict[str, Any] = {"process": process, "kind": kind or KINDS.get(name, "internal"), "name": f"raft.{name}"}
        if "log" in fields:
            start, entries = fields.pop("start", 1), fields.pop("log")
            fields |= {
                "log_from": start,
                "entry_terms": [t for t, _ in entries],
                "entry_digests": [d for _, d in entries],
            }
        for key, value in fields.items():
            row[key if key in ("message", "peer", "index", "message_") else f"raft.{key}"] = value
        return self.builder.add(row)

    def message(self, sender: str, receiver: str, name: str, told: dict[str, Any] | None = None, **fields: Any) -> int:
        """A message sent and received at once; `fields` are the receiver's state after it. Returns the receive."""
        self.messages += 1
        told = told or {}
        self(sender, name, "send", message=self.messages, peer=receiver, **told)
        return self(receiver, name, "receive", message=self.messages, peer=sender, **told, **fields)

    def elect(self, leader: str, term: int, *voters: str) -> None:
        """An election won with some votes."""
        self(leader, "become_candidate", term=term, role="candidate", vote=leader)
        for voter in voters:
            self.message(leader, voter, "request_vote", {"message_term": term}, term=term, role="follower", vote=leader)
            self.message(voter, leader, "request_vote_response", {"message_term": term, "message_reject": False})
        self(leader, "become_leader", role="leader")

    def trace(self) -> Trace:
        return self.builder.build()

    def check(self, name: str) -> CheckResult:
        return checks()[f"raft.{name}"].run(Execution(self.trace()), Options())


def anomalies(result: CheckResult) -> list[str]:
    """The anomaly codes found."""
    return [violation.anomaly for violation in result.violations]
