"""Small executions of a bank with snapshots: right ones, and ones in which anything may go wrong at any step."""

from __future__ import annotations

from random import Random
from typing import Any

from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

Row = dict[str, Any]
NAMES = ("a", "b", "c")
IDS = (1, 2)


class Bank:
    """Rows of a run. `wrong()` is asked wherever a rule could be broken.

    Attributes
    ----------
    ways: what is on its way, by channel, in the order sent.
    """

    def __init__(self, random: Random, rate: float, totals: bool) -> None:
        self.random, self.rate = random, rate
        self.names = NAMES[: random.randint(2, 3)]
        self.rows: list[Row] = []
        self.seqs = dict.fromkeys(self.names, 0)
        self.balance = dict.fromkeys(self.names, 10)
        self.ways: dict[tuple[str, str], list[Row]] = {}
        self.messages = 0
        for name in self.names:
            others = [n for n in self.names if n != name]
            total = {"snapshot.total": 10 * len(self.names)} if totals else {}
            self.row(name, "internal", "snapshot.init", **{"snapshot.outgoing": others}, **total)

    def wrong(self) -> bool:
        return self.random.random() < self.rate

    def row(self, process: str, kind: str, name: str, **fields: Any) -> Row:
        row = {"process": process, "seq": self.seqs[process], "kind": kind, "name": name, **fields}
        self.seqs[process] += 1
        self.rows.append(row)
        return row

    def send(self, p: str, q: str, name: str, **fields: Any) -> None:
        self.messages += 1
        row = self.row(p, "send", name, message=self.messages, peer=q, **fields)
        self.ways.setdefault((p, q), []).append(row)

    def transfer(self, **fields: Any) -> None:
        p, q = self.random.sample(self.names, 2)
        self.balance[p] -= 1
        item = f"m{self.messages + 1}"
        self.send(p, q, "bank.transfer", **{"snapshot.item": item, "snapshot.value": 1}, **fields)

    def take(self, fifo: bool) -> Row | None:
        """The next message that arrives, with its row; None: nothing is on its way, or it was lost."""
        ways = [ends for ends, way in self.ways.items() if way]
        if not ways:
            return None
        p, q = self.random.choice(ways)
        way = self.ways[p, q]
        sent = way.pop(0 if fifo and not self.wrong() else self.random.randrange(len(way)))
        if self.wrong() and self.wrong():
            return None
        kept = {k: v for k, v in sent.items() if k not in ("process", "seq", "kind", "peer", "name")}
        return self.row(q, "receive", sent["name"], peer=p, **kept)

    def record(self, p: str, id: int, **more: Any) -> None:
        self.row(p, "internal", "snapshot.record", **{"snapshot.id": id, "snapshot.value": self.balance[p]}, **more)

    def state(self, q: str, p: str, id: int, items: list[str]) -> None:
        items = list(items)
        if self.wrong():
            self.random.shuffle(items)
        if self.wrong() and items:
            items.pop()
        if self.wrong():
            items.append(f"m{self.random.randint(1, self.messages + 1)}")
        for _ in range(0 if self.wrong() and self.wrong() else 2 if self.wrong() else 1):
            fields = {"snapshot.channel_from": p, "snapshot.messages": items, "snapshot.value": len(items)}
            self.row(q, "internal", "snapshot.channel_state", **{"snapshot.id": id}, **fields)


class Marked(Bank):
    """Chandy and Lamport's algorithm."""

    def __init__(self, random: Random, rate: float, totals: bool) -> None:
        super().__init__(random, rate, totals)
        self.open: dict[tuple[str, int], dict[str, list[str]]] = {}
        self.late: list[tuple[str, str, int]] = []

    def step(self) -> None:
        dice = self.random.random()
        if dice < 0.4:
            self.transfer()
        elif dice < 0.85:
            self.arrive()
        elif dice < 0.95:
            self.begin(self.random.choice(self.names), self.random.choice(IDS))
        elif self.late:
            p, q, id = self.late.pop()
            self.send(p, q, "snapshot.marker", **{"snapshot.id": id})

    def begin(self, p: str, id: int) -> None:
        if (p, id) in self.open and not self.wrong():
            return
        others = [n for n in self.names if n != p]
        self.open.setdefault((p, id), {q: [] for q in others})
        early = self.wrong() and self.wrong()
        for q in others if early else ():
            self.send(p, q, "snapshot.marker", **{"snapshot.id": id})
        self.record(p, id)
        for q in () if early else others:
            if self.wrong():
                self.late += [(p, q, id)]
            elif not self.wrong():
                for _ in range(2 if self.wrong() else 1):
                    self.send(p, q, "snapshot.marker", **{"snapshot.id": id})

    def arrive(self) -> None:
        row = self.take(fifo=True)
        if row is None:
            return
        q, p = row["process"], row["peer"]
        if row["name"] == "bank.transfer":
            self.balance[q] += 1
            for (name, _), channels in self.open.items():
                if name == q and p in channels:
                    channels[p].append(row["snapshot.item"])
            return
        id = row["snapshot.id"]
        if (q, id) not in self.open and not self.wrong():
            self.begin(q, id)
        if (q, id) in self.open:
            self.state(q, p, id, self.open[q, id].pop(p, []))
        if self.wrong() and self.wrong():
            self.state(q, self.random.choice([n for n in self.names if n != q]), id, [])


class Colored(Bank):
    """Lai and Yang's algorithm; channel states are recorded at the end."""

    def __init__(self, random: Random, rate: float, totals: bool) -> None:
        super().__init__(random, rate, totals)
        self.color = dict.fromkeys(self.names, 0)
        self.came: dict[tuple[str, int, str], list[str]] = {}

    def step(self) -> None:
        dice = self.random.random()
        if dice < 0.45:
            self.transfer()
        elif dice < 0.9:
            self.arrive()
        else:
            p = self.random.choice(self.names)
            if self.color[p] < max(IDS):
                self.redden(p, self.color[p] + 1)

    def send(self, p: str, q: str, name: str, **fields: Any) -> None:
        color = self.random.choice((0, *IDS)) if self.wrong() else self.color[p]
        super().send(p, q, name, **fields, **{"snapshot.color": color})

    def redden(self, p: str, color: int, **more: Any) -> None:
        for id in range(self.color[p] + 1, color + 1):
            self.record(p, id, **more)
            if self.wrong():
                self.record(p, id)
        self.color[p] = max(color, self.color[p])

    def arrive(self) -> None:
        row = self.take(fifo=False)
        if row is None:
            return
        q, p, color = row["process"], row["peer"], row["snapshot.color"]
        if not self.wrong():
            self.redden(q, color, **({} if self.wrong() else {"snapshot.before_receive": True}))
        self.balance[q] += 1
        for id in IDS:
            if color < id <= self.color[q]:
                self.came.setdefault((q, id, p), []).append(row["snapshot.item"])

    def finish(self) -> None:
        for p in self.names:
            self.redden(p, self.random.choice((max(self.color.values()), self.color[p])))
        for q in self.names:
            for p in self.names:
                for id in range(1, self.color[q] + 1):
                    if p != q and not self.wrong():
                        self.state(q, p, id, self.came.get((q, id, p), []))


def execution(kind: type[Marked] | type[Colored], seed: int) -> tuple[list[Row], tuple[str, ...], bool]:
    """Rows in an order in which they happened, all processes, and whether the run came to rest."""
    random = Random(seed)
    bank = kind(random, random.choice((0.0, 0.05, 0.25)), random.random() < 0.7)
    for _ in range(random.randint(3, 30)):
        bank.step()
    ended = random.random() < 0.6
    while ended and any(bank.ways.values()):
        bank.arrive()
    if isinstance(bank, Colored):
        bank.finish()
    return bank.rows, bank.names, ended


def trace(rows: list[Row], names: tuple[str, ...], ended: bool, **run: Any) -> Trace:
    builder = TraceBuilder(names, Run(quiescent=ended, **run))
    for row in rows:
        builder.add(row)
    return builder.build()
