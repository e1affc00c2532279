"""A few processes that run something like Paxos, driven by drawn numbers; drawn mistakes break its rules.

Independent instances, or instances that share their ballots and promises as the slots of a log do.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

Row = dict[str, Any]
Step = tuple[int, int, int, int]
MISTAKES = 6
"""How often a step breaks its rule: once in so many, where mistakes are wanted."""
STATE = ("paxos.promised", "paxos.accepted_ballot", "paxos.accepted_value")


class Machine:
    """Takes steps (what, who, which, mistake) and records them.

    together: promises and ballots are for all instances. Keys of its tables are (process, instance).
    """

    def __init__(self, processes: int, together: bool) -> None:
        self.names = [f"n{i}" for i in range(processes)]
        self.majority = processes // 2 + 1
        self.together = together
        self.rows: list[Row] = []
        self.flying: list[Row] = []
        self.promised: dict[Any, int] = {}
        self.accepted: dict[Any, tuple[int, str]] = {}
        self.attempts: dict[Any, dict[str, Any]] = {}
        self.learned: set[Any] = set()
        self.messages = self.values = self.highest = 0
        for name in self.names:
            self.record(name, "internal", "init", {"paxos.acceptors": self.names})

    def record(self, process: str, kind: str, name: str, fields: Row, **more: Any) -> None:
        known = {key: value for key, value in {**fields, **more}.items() if value is not None}
        self.rows.append({"process": process, "kind": kind, "name": f"paxos.{name}", **known})

    def send(self, process: str, name: str, to: list[str], fields: Row, **content: Any) -> None:
        for receiver in to:
            self.messages += 1
            self.flying.append({"to": receiver, "from": process, "name": name, "fields": fields, **content,
                                "id": self.messages})  # fmt: skip
            self.record(process, "send", name, fields, message=self.messages, peer=receiver)

    def others(self, process: str) -> list[str]:
        return [name for name in self.names if name != process]

    def step(self, what: int, who: int, which: int, mistake: bool) -> None:
        process = self.names[who % len(self.names)]
        instance = 1 + which % 2
        if what < 2 or (what < 11 and not self.flying):
            self.begin(process, instance, which, mistake)
        elif what < 11:
            again = which == 7
            place = -1 if which > 3 else which % len(self.flying)
            message = self.flying[place] if again else self.flying.pop(place)
            self.deliver(message, mistake)
        elif what == 11:
            self.record(process, "restart", "restart", {})
            if mistake:
                self.promised = {k: v for k, v in self.promised.items() if k[0] != process}
            self.attempts = {k: v for k, v in self.attempts.items() if k[0] != process}

    def begin(self, process: str, instance: int, which: int, mistake: bool) -> None:
        """A value is put forward and a ballot begun."""
        self.values += 1
        key = (process, None if self.together else instance)
        wishes = {i: f"v{self.values}.{i}" for i in (1, 2)}
        for i in (1, 2) if self.together else (instance,):
            if not mistake or which != 1:
                self.record(process, "internal", "submit", {"paxos.instance": i, "paxos.value": wishes[i]})
        n, place = len(self.names), self.names.index(process)
        self.highest = (self.highest // n + 1) * n + place
        ballot = which if mistake and which > 3 else self.highest
        self.attempts[key] = {"ballot": ballot, "wishes": wishes, "promises": {}, "votes": {}, "proposed": {}}
        fields = {"paxos.instance": key[1], "paxos.ballot": ballot}
        if ballot > self.promised.get(key, 0) or mistake:
            self.promised[key] = ballot
            self.attempts[key]["promises"][process] = self.report(process, key[1])
            self.record(process, "internal", "start_ballot", fields, **{"paxos.promised": ballot})
            self.record(process, "internal", "promise", fields)
        else:
            self.record(process, "internal", "start_ballot", fields)
        self.send(process, "prepare", self.others(process), fields)
        self.propose(process, key, mistake and which == 2)

    def report(self, process: str, instance: Any) -> dict[Any, tuple[int, str]]:
        mine = {i: a for (p, i), a in self.accepted.items() if p == process}
        return {i: a for i, a in mine.items() if instance in (None, i)}

    def deliver(self, message: Row, mistake: bool) -> None:
        process, fields = message["to"], message["fields"]
        getattr(self, f"on_{message['name']}")(process, message, fields, mistake)

    def receive(self, process: str, message: Row, **state: Any) -> None:
        self.record(process, "receive", message["name"], message["fields"], message=message["id"],
                    peer=message["from"], **state)  # fmt: skip

    def on_prepare(self, process: str, message: Row, fields: Row, mistake: bool) -> None:
        key, ballot = (process, fields.get("paxos.instance")), fields["paxos.ballot"]
        if ballot > self.promised.get(key, 0) or mistake:
            self.promised[key] = ballot
            self.receive(process, message, **{"paxos.promised": ballot})
            last = self.report(process, key[1])
            self.send(process, "promise", [message["from"]], fields, last=last)
        else:
            self.receive(process, message)

    def on_promise(self, process: str, message: Row, fields: Row, mistake: bool) -> None:
        self.receive(process, message)
        key = (process, fields.get("paxos.instance"))
        attempt = self.attempts.get(key)
        if attempt and attempt["ballot"] == fields["paxos.ballot"]:
            attempt["promises"][message["from"]] = message["last"]
            self.propose(process, key, mistake)

    def propose(self, process: str, key: Any, mistake: bool) -> None:
        attempt = self.attempts[key]
        if attempt["proposed"] or (len(attempt["promises"]) < self.majority and not mistake):
            return
        for instance in (1, 2) if self.together else (key[1],):
            found = [last[instance] for last in attempt["promises"].values() if instance in last]
            value = max(found)[1] if found and not mistake else attempt["wishes"][instance]
            attempt["proposed"][instance] = value
            fields = {"paxos.instance": instance, "paxos.ballot": attempt["ballot"], "paxos.value": value}
            if attempt["ballot"] >= self.promised.get(key, 0):
                self.accept(process, instance, attempt["ballot"], value)
                self.record(process, "internal", "accepted", fields, **self.state(process, instance))
                attempt["votes"].setdefault(instance, set()).add(process)
            self.send(process, "accept", self.others(process), fields)
            self.learn_if_chosen(process, key, instance, mistake)

    def accept(self, process: str, instance: int, ballot: int, value: str) -> None:
        self.promised[process, None if self.together else instance] = ballot
        self.accepted[process, instance] = (ballot, value)

    def state(self, process: str, instance: int) -> Row:
        ballot, value = self.accepted[process, instance]
        return dict(zip(STATE, (ballot, ballot, value), strict=True))

    def on_accept(self, process: str, message: Row, fields: Row, mistake: bool) -> None:
        instance, ballot = fields["paxos.instance"], fields["paxos.ballot"]
        if ballot >= self.promised.get((process, None if self.together else instance), 0) or mistake:
            self.accept(process, instance, ballot, fields["paxos.value"])
            self.receive(process, message, **self.state(process, instance))
            self.send(process, "accepted", [message["from"]], fields)
        else:
            self.receive(process, message)

    def on_accepted(self, process: str, message: Row, fields: Row, mistake: bool) -> None:
        self.receive(process, message)
        instance = fields["paxos.instance"]
        key = (process, None if self.together else instance)
        attempt = self.attempts.get(key)
        if attempt and attempt["ballot"] == fields["paxos.ballot"] and instance in attempt["proposed"]:
            attempt["votes"].setdefault(instance, set()).add(message["from"])
            self.learn_if_chosen(process, key, instance, mistake)

    def learn_if_chosen(self, process: str, key: Any, instance: int, mistake: bool) -> None:
        attempt = self.attempts[key]
        if len(attempt["votes"].get(instance, ())) >= self.majority or mistake:
            fields = {"paxos.instance": instance, "paxos.value": attempt["proposed"][instance]}
            self.record(process, "internal", "learn", fields)
            if (process, instance) not in self.learned:
                self.learned.add((process, instance))
                self.send(process, "chosen", self.others(process), fields)

    def on_chosen(self, process: str, message: Row, fields: Row, mistake: bool) -> None:
        self.receive(process, message)
        value = f"{fields['paxos.value']}?" if mistake else fields["paxos.value"]
        self.record(process, "internal", "learn", {**fields, "paxos.value": value})


def play(steps: list[Step], processes: int, together: bool, mistakes: bool) -> list[Row]:
    """The rows of some steps."""
    machine = Machine(processes, together)
    for what, who, which, luck in steps:
        machine.step(what, who, which, mistakes and luck == 0)
    return machine.rows


def as_messages(rows: list[Row]) -> list[Row]:
    """The rows as a recorder of messages would have written them: no acceptor's state."""
    return [{k: v for k, v in row.items() if k not in STATE} for row in rows]


def trace_of(rows: list[Row], **run: Any) -> Trace:
    """The rows as a trace."""
    builder = TraceBuilder(list(dict.fromkeys(row["process"] for row in rows)), Run(**run))
    for row in rows:
        builder.add(row)
    return builder.build()


STEPS = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 4), st.integers(0, 7), st.integers(0, MISTAKES - 1)), max_size=60
)
PROCESSES = st.integers(1, 5)
