"""The rules of atomic commitment as the book words them, by brute force over all events and their causal pasts.

Rows are dictionaries in an order in which they happened. Each function returns the transactions, or pairs of
transaction and process, that break the rule. Everything is expected to be recorded.
"""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


class Run:
    """The rows, and for each the set of rows that happen before it, by transitive closure."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.past: list[set[int]] = []
        sends = {row["message"]: i for i, row in enumerate(rows) if row["kind"] == "send"}
        last: dict[str, int] = {}
        for i, row in enumerate(rows):
            direct = [last[row["process"]]] if row["process"] in last else []
            if row["kind"] == "receive" and row["message"] in sends:
                direct.append(sends[row["message"]])
            self.past.append(set(direct).union(*(self.past[j] for j in direct)))
            last[row["process"]] = i
        self.txns = sorted({row["commit.txn"] for row in rows if "commit.txn" in row})

    def where(self, **wanted: Any) -> list[int]:
        """Events with these fields of the domain (or process, kind)."""
        named = {k if k in ("process", "kind", "name") else f"commit.{k}": v for k, v in wanted.items()}
        return [i for i, row in enumerate(self.rows) if all(row.get(k) == v for k, v in named.items())]

    def upto(self, first: int, second: int) -> bool:
        return first == second or first in self.past[second]

    def participants(self, txn: Any) -> set[str]:
        return {p for i in self.where(txn=txn) for p in self.rows[i].get("commit.participants", ())}

    def values(self, txn: Any, process: str, field: str) -> set[str]:
        mine = self.where(txn=txn, process=process)
        return {self.rows[i][f"commit.{field}"] for i in mine if f"commit.{field}" in self.rows[i]}

    def processes(self) -> set[str]:
        return {row["process"] for row in self.rows}

    def ordered(self) -> bool:
        """Whether messages tell anything at all between those who take part."""
        acting = {r["process"] for r in self.rows if "commit.txn" in r}
        return len(acting) <= 1 or any(r["kind"] == "receive" and r["process"] in acting for r in self.rows)


def agreement(run: Run) -> set[Any]:
    return {
        t for t in run.txns for p in run.processes() for q in run.processes()
        if p != q and "commit" in run.values(t, p, "decision") and "abort" in run.values(t, q, "decision")
    }  # fmt: skip


def irrevocable(run: Run) -> set[Any]:
    return {(t, p) for t in run.txns for p in run.processes() if len(run.values(t, p, "decision")) > 1}


def one_vote(run: Run) -> set[Any]:
    return {(t, p) for t in run.txns for p in run.processes() if len(run.values(t, p, "vote")) > 1}


def validity(run: Run) -> set[Any]:
    """Commit without the yes vote of every participant in the causal past of the decision."""
    found = set()
    for t in run.txns:
        for e in run.where(txn=t, decision="commit"):
            if run.where(txn=t, vote="no"):
                found.add(t)
            for p in run.participants(t):
                yes = run.where(txn=t, process=p, vote="yes")
                if not yes or (run.ordered() and not any(run.upto(v, e) for v in yes)):
                    found.add(t)
    return found


def pre_commit(run: Run) -> set[Any]:
    """Commit by e although a participant is not committable before e, and has no crash since its vote that e is not
    before."""
    found = set()
    for t in run.txns:
        for e in run.where(txn=t, decision="commit"):
            for p in run.participants(t):
                ready = any(run.upto(c, e) for c in run.where(txn=t, process=p, committable=True))
                voted = run.where(txn=t, process=p, vote="yes")
                crashes = [c for kind in ("crash", "restart") for c in run.where(process=p, kind=kind)]
                since = [c for c in crashes if not voted or voted[0] in run.past[c]]
                if not ready and not any(e not in run.past[c] for c in since):
                    found.add(t)
    return found


def commit_when_possible(run: Run) -> set[Any]:
    """All yes, aborted with everybody knowing it, no message of the transaction lost, no crash before some abort."""
    found = set()
    for t in run.txns:
        members, aborts = run.participants(t), run.where(txn=t, decision="abort")
        votes = {p: run.where(txn=t, process=p, vote="yes") for p in members}
        if not members or not all(votes.values()) or run.where(txn=t, vote="no") or not aborts:
            continue
        known = all(run.upto(votes[p][0], e) for p in members for e in aborts)
        came = {row["message"] for row in run.rows if row["kind"] == "receive"}
        lost = any(run.rows[i]["message"] not in came for i in run.where(txn=t, kind="send"))

        def calm(e: int, members: set[str] = members, votes: dict[str, list[int]] = votes) -> bool:
            crashes = [(p, c) for p in members for k in ("crash", "restart") for c in run.where(process=p, kind=k)]
            return not any(votes[p][0] in run.past[c] and e not in run.past[c] for p, c in crashes)

        if known and not lost and any(calm(e) for e in aborts):
            found.add(t)
    return found


def termination(run: Run) -> set[Any]:
    """Of a run that was left alone: somebody has voted yes and not decided."""
    return {
        t for t in run.txns for p in run.processes()
        if "yes" in run.values(t, p, "vote") and not run.values(t, p, "decision")
    }  # fmt: skip


def never_ended(run: Run) -> int:
    """How many processes voted yes and then neither became committable nor decided."""
    count = 0
    for t in run.txns:
        for p in run.processes():
            votes = run.where(txn=t, process=p, vote="yes")
            since = [run.rows[i] for i in run.where(txn=t, process=p) if votes and i >= votes[0]]
            count += bool(votes) and not any("commit.decision" in r or "commit.committable" in r for r in since)
    return count


RULES = {
    "agreement": agreement,
    "irrevocable": irrevocable,
    "one-vote": one_vote,
    "validity": validity,
    "pre-commit": pre_commit,
    "commit-when-possible": commit_when_possible,
    "termination": termination,
}
