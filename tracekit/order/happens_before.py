"""Happens-before (Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", CACM 1978).

Never n x p clocks: one vector row per matched receive, and for each event the last receive at or before it at its
process. An event e of process P, the idx(e)-th there, precedes f of another process where the row of f's last receive
counts more than idx(e) events of P (Fidge 1988, Mattern 1989; direct dependency: Fowler & Zwaenepoel 1990).

Where no event has a message id, but vectors were recorded, receives are the events that came to know of foreign ones
(`recovered`); such a receive may have several senders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tracekit.kernels.engine import kernels
from tracekit.order.matching import Messages, Origin
from tracekit.order.program import ProgramOrder
from tracekit.order.recovered import Recovered, recover
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace

if TYPE_CHECKING:
    import networkx as nx

Rows = NDArray[np.int64]
CAUSAL = "causal (vector clock)"
"""Reason of an edge that was recovered from vectors."""


@dataclass(frozen=True, eq=False)
class Edges:
    """The edges between events of different processes that, with program order, generate happens-before.

    Attributes
    ----------
    sources, targets: int64, shape (m,): rows of senders and of receives, in the order of `HappensBefore.receives`.
    origin: int8, shape (m,): `Origin` of each.
    """

    sources: Rows
    targets: Rows
    origin: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.sources)


@dataclass(frozen=True, eq=False)
class HappensBefore:
    """The strict partial order over the events of one trace. Events are given by row, singly or as arrays.

    Attributes
    ----------
    receives: int64, shape (r,): rows of receives that have a sender, process after process in program order.
    starts: int64, shape (processes + 1,): where each process's receives begin in `receives`.
    last_receive: int32, shape (n,): index into `receives` of the last one at or before each event at its process;
        -1 where there is none.
    vectors: int32, shape (r, processes + 1): how many first events of each process are in the receive's past, itself
        included; in the last column its Lamport timestamp.
    ordered: int64, shape (processes,): first receive of each process that a cycle keeps from being ordered.
    recovered: where the order was recovered from recorded vectors, what they said; else None.

    Fault events are outside: they precede nothing and nothing precedes them.
    """

    trace: Trace
    program: ProgramOrder
    messages: Messages
    receives: Rows
    starts: Rows
    last_receive: NDArray[np.int32]
    vectors: NDArray[np.int32]
    ordered: NDArray[np.int64]
    recovered: Recovered | None = None

    def __repr__(self) -> str:
        return f"<HappensBefore of {len(self.trace):,} events, {self.words}>"

    @classmethod
    def of(cls, trace: Trace, program: ProgramOrder, messages: Messages) -> HappensBefore:
        """O(n + r p) time, O(n + r p) memory for r receives and p processes; O(n p) time from recorded vectors.

        Message ids win where any is recorded: then recorded vectors are judged (clock.vector) and not believed.
        """
        if trace.components and trace.lists("vclock") is not None and not messages.identified:
            found = recover(trace, program)
            return cls(
                trace, program, messages, found.joins, found.starts, found.last_join, found.vectors, found.starts[1:],
                found,
            )  # fmt: skip
        processes = len(trace.processes)
        starts, receives, last_receive = program.last_of(trace.process, messages.send_of >= 0)
        vectors = np.zeros((len(receives), processes + 1), np.int32)
        ordered = np.zeros(processes, np.int64)
        kernels("order", work=len(receives) * processes).vector_rows(
            receives, messages.send_of[receives], starts, trace.process, program.index, last_receive, vectors, ordered
        )
        return cls(trace, program, messages, receives, starts, last_receive, vectors, ordered)

    @cached_property
    def unordered(self) -> Rows:
        """Rows of events of which it is not known what precedes them at other processes.

        They are on a cycle of messages or after one; or, where the order is recovered from vectors, they have none or
        one that contradicts others. What `precedes` tells of them is true, but may not be all.
        """
        return np.flatnonzero(self._unordered)

    @cached_property
    def _unordered(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.last_receive >= self.ordered[self.trace.process]
        if self.recovered is not None:
            found[self.recovered.impossible] = True
            found[self.recovered.silent] = True
        return found

    @cached_property
    def words(self) -> str:
        """What the order rests on: ``order: message ids``, ``order: vector clocks (541 causal edges, ...)``."""
        if self.recovered is not None:
            return f"order: {self.recovered.words}"
        doubtful = self.messages.doubtful
        if not len(self.receives):
            why = "no message has both its send and a receive"
            if doubtful:
                why = f"{doubtful:,} sends and receives have no known place on their channel: others may be missing"
            return f"order: within processes only ({why})"
        if self.messages.identified:
            unknown = int(np.count_nonzero((self.trace.kind == Kind.RECEIVE) & (self.messages.send_of < 0)))
            return "order: message ids" + (
                f" (receives without a known send, which order nothing: {unknown:,})" if unknown else ""
            )
        left_out = f"; left out, since others before them may be missing: {doubtful:,}" if doubtful else ""
        return f"order: k-th send and k-th receive of each channel (declared FIFO and reliable{left_out})"

    @cached_property
    def _sources(self) -> tuple[Rows, Rows]:
        """Senders' rows, receive after receive, and where each receive's begin: shape (receives + 1,)."""
        if self.recovered is not None:
            return self.recovered.sources, self.recovered.source_starts
        return self.messages.send_of[self.receives], np.arange(len(self.receives) + 1)

    def edges(self) -> Edges:
        """Every edge from a sender to a receive, with where it comes from. O(edges)."""
        sources, starts = self._sources
        targets = np.repeat(self.receives, np.diff(starts))
        return Edges(sources, targets, np.full(len(sources), self.origin, np.int8))

    @property
    def origin(self) -> Origin:
        """Where the edges come from; one trace has edges of one origin."""
        return self.messages.origin if self.recovered is None else Origin.CAUSAL

    def precedes(self, first: Any, second: Any) -> NDArray[np.bool_]:
        """Whether `first` strictly happens before `second`, element by element. O(1) a pair."""
        first, second = np.asarray(first), np.asarray(second)
        p, index = self.trace.process, self.program.index
        same = p[first] == p[second]
        receive = self.last_receive[second]
        known = (receive >= 0) & (receive < self.ordered[p[second]])
        if len(self.receives):
            across = known & (self.vectors[np.where(known, receive, 0), p[first]] > index[first])
        else:
            across = known
        before: NDArray[np.bool_] = np.where(same, index[first] < index[second], across)
        faults = (self.trace.kind[first] == Kind.FAULT) | (self.trace.kind[second] == Kind.FAULT)
        before &= ~faults
        return before

    def concurrent(self, first: Any, second: Any) -> NDArray[np.bool_]:
        """Whether neither precedes the other and they are not the same event, element by element.

        False where it is not known: between processes, where one of the two is `unordered`. Faults are outside.
        """
        first, second = np.asarray(first), np.asarray(second)
        fault = self.trace.kind == Kind.FAULT
        unknown = (self._unordered[first] | self._unordered[second]) & ~(fault[first] | fault[second])
        apart: NDArray[np.bool_] = (first != second) & ~unknown
        return apart & ~self.precedes(first, second) & ~self.precedes(second, first)

    def frontiers(self, rows: Any) -> NDArray[np.int64]:
        """int64, shape (k, processes): how many first events of each process are in each row's past, itself included.

        This is the vector timestamp of the event. O(k p).
        """
        rows = np.atleast_1d(np.asarray(rows, np.int64))
        receive = self.last_receive[rows]
        known = (receive >= 0) & (receive < self.ordered[self.trace.process[rows]])
        out = np.zeros((len(rows), len(self.trace.processes)), np.int64)
        out[known] = self.vectors[receive[known], :-1]
        out[np.arange(len(rows)), self.trace.process[rows]] = self.program.index[rows] + 1
        return out

    def lamport(self, rows: Any) -> NDArray[np.int64]:
        """Lamport timestamps, from 1: the length of the longest chain that ends in each event; 0 for faults, and where
        a cycle hides it."""
        rows = np.asarray(rows, np.int64)
        fault = self.trace.kind[rows] == Kind.FAULT
        receive = self.last_receive[rows]
        if not len(self.receives):
            return np.where(fault, 0, self.program.index[rows] + 1)
        at = np.maximum(receive, 0)
        base = self.vectors[at, -1].astype(np.int64)
        since = self.program.index[rows] - self.program.index[self.receives[at]]
        clock = np.where(receive < 0, self.program.index[rows] + 1, base + since)
        hidden = (receive >= 0) & (base == 0)
        return np.where(hidden | fault, 0, clock)

    def past(self, row: int) -> Rows:
        """Rows of all events that happen before one, process after process in program order. O(size).

        `linearized` brings them into an order that respects happens-before; `frontiers` says in O(processes) how many
        there are of each process.
        """
        frontier = self.frontiers(row)[0]
        frontier[self.trace.process[row]] -= 1
        return self._between(np.zeros(len(frontier), np.int64), frontier)

    def future(self, row: int) -> Rows:
        """Rows of all events that one happens before, process after process in program order. O(size)."""
        own, place = int(self.trace.process[row]), int(self.program.index[row])
        high = np.diff(self.program.starts)
        low = high.copy()
        low[own] = place + 1
        for p in range(len(high)):
            if p == own:
                continue
            begin, end = int(self.starts[p]), int(min(self.ordered[p], self.starts[p + 1]))
            first = begin + int(np.searchsorted(self.vectors[begin:end, own], place + 1))
            if first < end:
                low[p] = self.program.index[self.receives[first]]
        return self._between(low, high)

    def _between(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> Rows:
        """Rows of each process's events from the low-th to before the high-th, faults left out."""
        parts = [self.program.of_process(p)[low[p] : high[p]] for p in range(len(low))]
        rows = np.concatenate([np.empty(0, np.int64), *parts])
        return rows[self.trace.kind[rows] != Kind.FAULT] if self._faults else rows

    def linearized(self, rows: Any) -> Rows:
        """The rows in an order that respects happens-before: by Lamport timestamp, then by process. O(k log k).

        Events whose timestamp a cycle hides come last, each process's in program order.
        """
        chosen: Rows = np.asarray(rows, np.int64)
        clock = self.lamport(chosen)
        clock[(clock == 0) & (self.trace.kind[chosen] != Kind.FAULT)] = np.iinfo(np.int64).max
        return chosen[np.lexsort((self.program.index[chosen], self.trace.process[chosen], clock))]

    @cached_property
    def _faults(self) -> bool:
        return bool((self.trace.kind == Kind.FAULT).any())

    def path(self, first: int, second: int) -> Rows:
        """Rows of a chain from one event to another with the fewest messages; empty where none leads there.

        The chain holds both events, and the send and the receive of each message; steps within a process are implied.
        O(messages between them) a message of the chain.
        """
        if not bool(self.precedes(first, second)):
            return np.empty(0, np.int64)
        if self.trace.process[first] == self.trace.process[second]:
            return np.array([first, second], np.int64)
        receives, sends = self._edges_between(first, second)
        return self._fewest_messages(int(first), int(second), receives, sends)

    def _edges_between(self, first: int, second: int) -> tuple[Rows, Rows]:
        """Receives that are in the past of `second` (or are it), each with a send that is `first` or after it."""
        edges = self.edges()
        frontier = self.frontiers(second)[0]
        early = self.program.index[edges.targets] < frontier[self.trace.process[edges.targets]]
        receives, sends = edges.targets[early], edges.sources[early]
        after = (sends == first) | self.precedes(np.full(len(sends), first), sends)
        return receives[after], sends[after]

    def _fewest_messages(self, first: int, second: int, receives: Rows, sends: Rows) -> Rows:
        """Breadth first over receives: the fewest messages from `first` to `second`."""
        process, index = self.trace.process, self.program.index
        levels = [
            (np.flatnonzero((process[sends] == process[first]) & (index[sends] >= index[first])), np.empty(0, np.int64))
        ]
        seen = np.zeros(len(receives), np.bool_)
        seen[levels[0][0]] = True
        while True:
            current = levels[-1][0]
            arrived = current[
                (process[receives[current]] == process[second]) & (index[receives[current]] <= index[second])
            ]
            if len(arrived):
                break
            # The earliest receive of this level at each process reaches most.
            best: dict[int, int] = {}
            for i in current[np.argsort(index[receives[current]], kind="stable")].tolist():
                best.setdefault(int(process[receives[i]]), i)
            parent = np.full(len(self.trace.processes), -1, np.int64)
            parent[list(best)] = list(best.values())
            via = parent[process[sends]]
            follows = ~seen & (via >= 0) & (index[sends] >= index[receives[np.maximum(via, 0)]])
            found = np.flatnonzero(follows)
            if not len(found):
                return np.array([first, second], np.int64)
            seen[found] = True
            levels.append((found, via[found]))
        chain = [second]
        at = int(arrived[0])
        for found, via in reversed(levels):
            if chain[-1] != receives[at]:
                chain.append(int(receives[at]))
            chain.append(int(sends[at]))
            if len(via):
                at = int(via[np.searchsorted(found, at)])
        if chain[-1] != first:
            chain.append(first)
        return np.array(chain[::-1], np.int64)

    def reason(self, first: int, second: int) -> str:
        """Why one event comes before another: ``message 207``, ``same process``, ``causal (vector clock)``, ``happens
        before``; else ``after``, ``concurrent`` or ``order unknown``."""
        if first in self.senders(second).tolist():
            return self._edge_reason(second)
        if bool(self.precedes(first, second)):
            return "same process" if self.trace.process[first] == self.trace.process[second] else "happens before"
        if bool(self.precedes(second, first)):
            return "after"
        return "concurrent" if bool(self.concurrent(first, second)) else "order unknown"

    def senders(self, row: int) -> Rows:
        """Rows of the events that an edge leads from to this one."""
        at = int(self.last_receive[row])
        if at < 0 or self.receives[at] != row:
            return np.empty(0, np.int64)
        sources, starts = self._sources
        return sources[starts[at] : starts[at + 1]]

    def _edge_reason(self, receive: int) -> str:
        if self.origin is Origin.DECLARED:
            return f"message {self.messages.name(receive)}"
        return "message matched by its place on the channel" if self.origin is Origin.MATCHED else CAUSAL

    @property
    def cycle(self) -> Rows:
        """The first of the `cycles`; empty where there is none."""
        return self.cycles[0] if self.cycles else np.empty(0, np.int64)

    @cached_property
    def cycles(self) -> tuple[Rows, ...]:
        """Rows of cycles that share no process: receives that wait for each other, each followed by the send that it
        needs. Cycles behind these are not told from what waits for them. O(processes).

        A cycle means that ids, or the order within a process, were recorded wrongly: no execution has one.
        """
        found: list[Rows] = []
        walk_of: dict[int, int] = {}
        for start in np.flatnonzero(self.ordered < self.starts[1:]).tolist():
            chain: list[int] = []
            seen: dict[int, int] = {}
            p = start
            while p not in walk_of:
                walk_of[p], seen[p] = start, len(chain)
                receive = int(self.receives[self.ordered[p]])
                send = int(self.messages.send_of[receive])
                chain += [receive, send]
                p = int(self.trace.process[send])
            if walk_of[p] == start:
                found.append(np.array(chain[seen[p] :], np.int64))
        return tuple(found)

    def to_networkx(self) -> nx.DiGraph[str]:
        """Events by public name, edges with their reason: ``same process``, ``message 207``, ...; for small traces."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        names = [self.trace.event(row) for row in range(len(self.trace))]
        graph.add_nodes_from((names[row], {"row": row}) for row in range(len(self.trace)))
        for p in range(len(self.trace.processes)):
            rows = self.program.of_process(p)
            rows = rows[self.trace.kind[rows] != Kind.FAULT].tolist()
            graph.add_edges_from((names[a], names[b], {"reason": "same process"}) for a, b in pairwise(rows))
        edges = self.edges()
        for send, receive in zip(edges.sources.tolist(), edges.targets.tolist(), strict=True):
            graph.add_edge(names[send], names[receive], reason=self._edge_reason(receive))
        return graph
