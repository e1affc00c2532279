"""Small runs of commit protocols: right ones, and ones in which anything may go wrong at any step."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

Row = dict[str, Any]
NAMES = ("a", "b", "c")


class Play:
    """Rows of a run of two or three phases. `wrong()` is asked wherever a rule could be broken.

    Attributes
    ----------
    ways: messages that are on their way: sender, receiver, number, name, transaction.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.rate = self.random.choice((0.0, 0.05, 0.3))
        self.phases = self.random.choice((2, 3))
        self.rows: list[Row] = []
        self.ways: list[tuple[str, str, int, str, str]] = []
        self.messages = 0
        self.members: dict[str, tuple[str, ...]] = {}
        self.votes: dict[tuple[str, str], set[str]] = {}
        self.acks: dict[str, set[str]] = {}
        self.decided: dict[tuple[str, str], str] = {}
        self.left = ["t1", "t2"]

    def wrong(self) -> bool:
        return self.random.random() < self.rate

    def row(self, process: str, kind: str, name: str, txn: str = "", **fields: Any) -> Row:
        plain = ("message", "peer")
        about = {"commit.txn": txn} if txn else {}
        named = about | {k if k in plain else f"commit.{k}": v for k, v in fields.items()}
        row = {"process": process, "kind": kind, "name": f"commit.{name}", **named}
        self.rows.append(row)
        return row

    def send(self, p: str, q: str, name: str, txn: str) -> None:
        self.messages += 1
        self.row(p, "send", name, txn, message=self.messages, peer=q)
        if not (self.wrong() and self.wrong()):
            self.ways.append((p, q, self.messages, name, txn))

    def tell(self, p: str, name: str, txn: str) -> None:
        for q in self.members[txn]:
            if q != p:
                self.send(p, q, name, txn)

    def play(self) -> list[Row]:
        for _ in range(self.random.randint(2, 45)):
            dice = self.random.random()
            if self.left and dice < 0.15:
                self.begin(self.left.pop())
            elif dice < 0.19 and self.members:
                self.fall(self.random.choice(NAMES))
            elif dice < 0.22 and self.members:
                self.give_up()
            elif self.ways:
                self.arrive()
        return self.rows

    def begin(self, txn: str) -> None:
        p, *others = self.random.sample(NAMES, self.random.randint(1, 3))
        self.members[txn], self.votes[txn, "yes"] = (p, *others), {p}
        listed = {} if self.wrong() and self.wrong() else {"participants": list(self.members[txn])}
        vote = {} if self.wrong() else {"vote": "yes"}
        self.row(p, "internal", "begin", txn, **listed, **vote)
        self.tell(p, "vote_request", txn)
        self.count(p, txn)

    def fall(self, p: str) -> None:
        self.row(p, "crash", "crash")
        self.row(p, "restart", "restart")

    def give_up(self) -> None:
        txn = self.random.choice(list(self.members))
        p = self.random.choice(self.members[txn]) if self.wrong() else self.members[txn][0]
        if (p, txn) not in self.decided or self.wrong():
            self.decide(p, txn, "abort")

    def decide(self, p: str, txn: str, decision: str) -> None:
        self.decided[p, txn] = decision
        self.row(p, "internal", "decide", txn, decision=decision)
        self.tell(p, decision, txn)

    def count(self, p: str, txn: str) -> None:
        if (p, txn) in self.decided or (len(self.votes[txn, "yes"]) < len(self.members[txn]) and not self.wrong()):
            return
        if self.wrong() and self.wrong():
            self.decide(p, txn, "abort")
        elif self.phases == 2:
            self.decide(p, txn, "commit")
        elif txn not in self.acks:
            self.acks[txn] = set()
            self.row(p, "internal", "pre_commit", txn, committable=True)
            self.tell(p, "pre_commit", txn)
            self.count_acks(p, txn)

    def count_acks(self, p: str, txn: str) -> None:
        if (p, txn) not in self.decided and (len(self.acks.get(txn, ())) == len(self.members[txn]) - 1 or self.wrong()):
            self.decide(p, txn, "commit")

    def arrive(self) -> None:
        p, q, number, name, txn = self.ways.pop(self.random.randrange(len(self.ways)))
        fields: Row = {"message": number, "peer": p}
        if name in ("yes", "no"):
            self.row(q, "receive", "vote", txn, **fields)
            self.votes.setdefault((txn, name), set()).add(p)
            if name == "yes":
                self.count(q, txn)
            elif (q, txn) not in self.decided:
                self.decide(q, txn, "commit" if self.wrong() else "abort")
        elif name == "vote_request":
            vote = "no" if self.random.random() < 0.1 or (q, txn) in self.decided else "yes"
            gone = {"decision": "abort"} if vote == "no" and (q, txn) not in self.decided else {}
            self.row(q, "receive", name, txn, **fields, vote=vote, **gone)
            if gone:
                self.decided[q, txn] = "abort"
            self.send(q, p, vote, txn)
            if self.wrong():
                self.row(q, "internal", "vote", txn, vote=self.random.choice(("yes", "no")))
        elif name == "pre_commit":
            self.row(q, "receive", name, txn, **fields, **({} if self.wrong() else {"committable": True}))
            self.send(q, p, "pre_commit_ack", txn)
        elif name == "pre_commit_ack":
            self.row(q, "receive", name, txn, **fields)
            self.acks[txn].add(p)
            self.count_acks(q, txn)
        else:
            decision = self.random.choice(("commit", "abort")) if self.wrong() else name
            self.row(q, "receive", "decision", txn, **fields, decision=decision)
            self.decided[q, txn] = decision


def demonstration(names: Sequence[str]) -> list[Row]:
    """What follows a run in which everything is recorded: each process crashes, and coordinates a right transaction of
    three phases, so that every sort of event is seen at every process. All of it is after all that was before."""
    rows: list[Row] = []

    def send(p: str, q: str, name: str, txn: str = "", **fields: Any) -> None:
        number = 1_000_000 + len(rows)
        about = {"commit.txn": txn} if txn else {}
        done = {f"commit.{k}": v for k, v in fields.items()}
        ends: tuple[tuple[str, str, str, dict[str, Any]], ...] = ((p, "send", q, {}), (q, "receive", p, done))
        rows.extend({"process": at, "kind": kind, "name": f"commit.{name}", "message": number, "peer": peer, **about,
                     **more} for at, kind, peer, more in ends)  # fmt: skip

    def at(p: str, name: str, txn: str, **fields: Any) -> None:
        done = {f"commit.{k}": v for k, v in {"txn": txn, **fields}.items()}
        rows.append({"process": p, "kind": "internal", "name": f"commit.{name}", **done})

    for p in names:
        for q in names:
            if p != q:
                send(p, q, "greeting")
    rows += [{"process": p, "kind": k, "name": f"commit.{k}"} for p in names for k in ("crash", "restart")]
    for p in names:
        txn, others = f"shown by {p}", [q for q in names if q != p]
        at(p, "begin", txn, participants=list(names), vote="yes")
        for q in others:
            send(p, q, "vote_request", txn, vote="yes")
            send(q, p, "vote", txn)
        at(p, "pre_commit", txn, committable=True)
        for q in others:
            send(p, q, "pre_commit", txn, committable=True)
            send(q, p, "pre_commit_ack", txn)
            send(q, p, "state_response", txn)
        at(p, "decide", txn, decision="commit")
        for q in others:
            send(p, q, "decision", txn, decision="commit")
    return rows


def play(seed: int) -> list[Row]:
    """Rows in an order in which they happened."""
    return Play(seed).play()


def trace(rows: Sequence[Row], names: Sequence[str] = NAMES, **run: Any) -> Trace:
    """The rows as a trace; of a run that came to rest unless it is said otherwise."""
    builder = TraceBuilder(names, Run(**{"quiescent": True, **run}))
    for row in rows:
        builder.add(row)
    return builder.build()
