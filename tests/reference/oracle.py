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
        self.snapshots: dict[int, tuple[int, str]] = {}
        self.configurations: dict[str, tuple[list[str], list[str]]] = {}
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
        kept = ("term", "role", "vote", "commit", "voters", "voters_outgoing", "effective")
        self.state[node].update({k: new[k] for k in kept if k in new})
        if "snapshot_index" in new:
            self._snapshot(row, node, before, new)
        if "log_from" in new:
            entries = list(zip(new["entry_terms"], new["entry_digests"], strict=True))
            self.logs[node][new["log_from"] - 1 :] = entries
            for (_, digest), text in zip(entries, new.get("entry_configurations", []), strict=False):
                if text:
                    voters, _, outgoing = text.partition(" / ")
                    self.configurations[digest] = (voters.split(), outgoing.split())
        for name, broken in self._rules(row, node, before, log, new):
            if broken:
                self.broken.append((name, row))

    def _snapshot(self, row: dict[str, Any], node: str, before: dict[str, Any], new: dict[str, Any]) -> None:
        """A snapshot stands for what is committed up to its last entry, and never takes a server back."""
        index, term, log = new["snapshot_index"], new["snapshot_term"], self.logs[node]
        covered = [self.committed.get(place) for place in range(1, index + 1)]
        same = self.snapshots.setdefault(index, (term, new["snapshot_digest"])) == (term, new["snapshot_digest"])
        last = covered[-1]
        if None in covered or index < before["commit"] or not same or last is None or last[0] != term:
            self.broken.append(("snapshot-safety", row))
        elif len(log) < index or log[index - 1][0] != term:
            self.logs[node] = [entry for entry in covered if entry is not None]

    def _latest(self, log: list[tuple[int, str]]) -> tuple[int, tuple[list[str], list[str]]]:
        """The latest configuration in a log, and its index; that of the beginning is all nodes."""
        for index in range(len(log), 0, -1):
            if log[index - 1][1] in self.configurations:
                return index, self.configurations[log[index - 1][1]]
        return 0, (self.nodes, [])

    def _configuration_rules(
        self, before: dict[str, Any], state: dict[str, Any], log: list[Any], after: list[Any], new: dict[str, Any]
    ) -> Iterator[tuple[str, bool]]:
        index, (voters, outgoing) = self._latest(after)
        if state["effective"] == "append" and (new.keys() & {"log_from", "voters"}):
            yield "configuration-in-use", (sorted(state["voters"]), state["voters_outgoing"]) != (voters, outgoing)
        if state["role"] == "leader" and index > len(log) and before.get("role") == "leader":
            last, (old, old_outgoing) = self._latest(log)
            commit = before["commit"]
            yield "configuration-change", last > commit
            if not outgoing and not old_outgoing and voters != old:
                own = commit > 0 and log[commit - 1][0] == state["term"]
                yield "configuration-change", len({*old} ^ {*voters}) > 1 or not own
            else:
                yield "configuration-change", outgoing not in ([], old) or (bool(old_outgoing) and voters != old)

    def _rules(
        self, row: dict[str, Any], node: str, before: dict[str, Any], log: list[Any], new: dict[str, Any]
    ) -> Iterator[tuple[str, bool]]:
        state, after = self.state[node], self.logs[node]
        yield from self._configuration_rules(before, state, log, after, new)
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
            yield from self._commit_rules(node, state, before)
        if "apply_index" in new:
            entry = (new["apply_term"], new["apply_digest"])
            yield "state-machine-safety", self.applied.setdefault(new["apply_index"], entry) != entry
            yield "applied-from-log", after[new["apply_index"] - 1] != entry or new["apply_index"] > state["commit"]

    def _commit_rules(self, node: str, state: dict[str, Any], old: dict[str, Any]) -> Iterator[tuple[str, bool]]:
        log, index, before = self.logs[node], state["commit"], old.get("commit", 0)
        yield "commit-in-log", index > len(log)
        for place, entry in enumerate(log[before:index], before + 1):
            yield "committed-once", self.committed.setdefault(place, entry) != entry
        if state["role"] == "leader":
            yield "commit-current-term", log[index - 1][0] != state["term"]
            holds = {name for name, other in self.logs.items() if other[:index] == log[:index]}
            groups = [group for group in (old["voters"], old["voters_outgoing"]) if group]
            yield "commit-quorum", any(len(holds & {*group}) * 2 <= len(group) for group in groups)

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
