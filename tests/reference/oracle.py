"""Raft's rules read off a trace row by row, in true time, with plain dictionaries: independent of every check.

A simulated trace stands in the order of true time, so a rule can be asked of the whole cluster at each row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tracekit.trace.parquet import to_table
from tracekit.trace.trace import Trace


def rows_of(trace: Trace) -> list[dict[str, Any]]:
    """Every row as a dictionary, absent fields left out."""
    table = to_table(trace)
    return [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()]


class Replay:
    """State and log of every node, after each row in turn; and which rules were broken until then."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.nodes = sorted({r["process"] for r in rows if r.get("name") == "raft.init"})
        self.state: dict[str, dict[str, Any]] = {n: {} for n in self.nodes}
        self.logs: dict[str, list[tuple[int, str]]] = {n: [] for n in self.nodes}
        self.votes: dict[tuple[str, int], str] = {}
        self.leaders: dict[int, str] = {}
        self.applied: dict[int, tuple[int, str]] = {}
        self.committed: dict[int, tuple[int, str]] = {}
        self.broken: list[tuple[str, dict[str, Any]]] = []

    def run(self) -> set[str]:
        """The names of the rules that the run breaks."""
        for row in self.rows:
            if row["process"] in self.state:
                self._step(row)
        self.broken += [("log-matching", {})] * (not self._logs_match())
        return {name for name, _ in self.broken}

    def _step(self, row: dict[str, Any]) -> None:
        node = row["process"]
        before, log = dict(self.state[node]), list(self.logs[node])
        new = {k.removeprefix("raft."): v for k, v in row.items() if k.startswith("raft.")}
        self.state[node].update({k: new[k] for k in ("term", "role", "vote", "commit") if k in new})
        if "log_from" in new:
            entries = zip(new["entry_terms"], new["entry_digests"], strict=True)
            self.logs[node][new["log_from"] - 1 :] = list(entries)
        for name, broken in self._rules(row, node, before, log, new):
            if broken:
                self.broken.append((name, row))

    def _rules(
        self, row: dict[str, Any], node: str, before: dict[str, Any], log: list[Any], new: dict[str, Any]
    ) -> Iterator[tuple[str, bool]]:
        state, after = self.state[node], self.logs[node]
        if "last_index" in new:
            last = after[-1][0] if after else 0
            yield "log-recorded", (new["last_index"], new["last_term"]) != (len(after), last)
        yield "term-monotonic", state["term"] < before.get("term", 0)
        if state["vote"]:
            yield "one-vote-per-term", self.votes.setdefault((node, state["term"]), state["vote"]) != state["vote"]
        if state["role"] == "leader":
            yield "election-safety", self.leaders.setdefault(state["term"], node) != node
            if before.get("role") == "leader" and before["term"] == state["term"]:
                yield "leader-append-only", after[: len(log)] != log
        if row.get("name") == "raft.request_vote" and row["kind"] == "receive" and new.get("vote") == row["peer"]:
            own = (log[-1][0] if log else 0, len(log))
            yield "vote-up-to-date", (new["message_log_term"], new["message_index"]) < own
        commit = before.get("commit", 0)
        yield "commit-stability", row["kind"] != "restart" and after[:commit] != log[:commit]
        if state["commit"] > commit and row["kind"] != "restart":
            yield from self._commit_rules(node, state, commit)
        if "apply_index" in new:
            entry = (new["apply_term"], new["apply_digest"])
            yield "state-machine-safety", self.applied.setdefault(new["apply_index"], entry) != entry
            yield "applied-from-log", after[new["apply_index"] - 1] != entry or new["apply_index"] > state["commit"]

    def _commit_rules(self, node: str, state: dict[str, Any], before: int) -> Iterator[tuple[str, bool]]:
        log, index = self.logs[node], state["commit"]
        yield "commit-in-log", index > len(log)
        for place, entry in enumerate(log[before:index], before + 1):
            yield "committed-once", self.committed.setdefault(place, entry) != entry
        if state["role"] == "leader":
            yield "commit-current-term", log[index - 1][0] != state["term"]
            copies = sum(other[:index] == log[:index] for other in self.logs.values())
            yield "commit-quorum", copies * 2 <= len(self.nodes)

    def _logs_match(self) -> bool:
        """Log Matching at the end of the run: same index and term, same entry and same entries before it."""
        logs = list(self.logs.values())
        for a in logs:
            for b in logs:
                for index in range(min(len(a), len(b)), 0, -1):
                    if a[index - 1][0] == b[index - 1][0]:
                        if a[:index] != b[:index]:
                            return False
                        break
        return True


def stale_reads(rows: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    """Reads that returned a value although another write had, between that value's write and the read, its whole life.

    Sound for any history in which no value is written twice: the other write overwrote the value before the read began.
    """
    begun: dict[tuple[str, int], dict[str, Any]] = {}
    operations = []
    for row in rows:
        if row["kind"] == "invoke":
            begun[row["process"], row["op"]] = row
        elif row["kind"] == "ok":
            operations.append((begun[row["process"], row["op"]], row))
    written = [(i, o) for i, o in operations if o["f"] != "read"]
    value_of = {(o["key"], _new(o)): (i, o) for i, o in written}
    found = []
    for begin, end in operations:
        source = value_of.get((end["key"], end["value"])) if end["f"] == "read" and "value" in end else None
        for i, o in written if end["f"] == "read" else ():
            after = (source is None and end.get("value") is None) or (
                source is not None and i["true_time_ns"] > source[1]["true_time_ns"]
            )
            if o["key"] == end["key"] and after and o["true_time_ns"] < begin["true_time_ns"]:
                found.append((end, o))
    return found


def _new(row: dict[str, Any]) -> str:
    """The value that a write or a cas leaves behind."""
    value: str = row["value"]
    return value if row["f"] == "write" else value[1:-1].partition(",")[2]
