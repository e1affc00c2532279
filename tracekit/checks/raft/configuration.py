"""Who votes, and whether a set of processes is a quorum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracekit.checks.evidence import listed
from tracekit.checks.raft.history import LEARNER, UNKNOWN, Int64, RaftHistory, filled, raft_history
from tracekit.execution import Execution
from tracekit.trace.columns import Column, ListColumn

NO, YES, UNDECIDED = 0, 1, 2


@dataclass(frozen=True)
class Configuration:
    """Voting members.

    Attributes
    ----------
    voters, outgoing: codes of the members; in joint consensus those of the outgoing configuration as well.
    unnamed: how many more voters there are whose names nobody recorded.
    """

    voters: tuple[int, ...]
    outgoing: tuple[int, ...] = ()
    unnamed: int = 0

    def majority(self, voters: tuple[int, ...]) -> int:
        """How many of a group of voters are a quorum of it."""
        return (len(voters) + self.unnamed) // 2 + 1

    @property
    def members(self) -> tuple[int, ...]:
        """Everybody who counts, in either group."""
        return tuple(sorted({*self.voters, *self.outgoing}))

    def needs(self, names: tuple[str, ...]) -> str:
        """``2 of 3``; in joint consensus ``2 of n1, n2 and n3, and 2 of n2, n3 and n4``."""
        if not self.outgoing:
            return f"{self.majority(self.voters)} of {len(self.voters) + self.unnamed}"
        groups = (self.outgoing, self.voters)
        return ", and ".join(f"{self.majority(g)} of {listed([names[v] for v in g])}" for g in groups)

    def quorum(self, holds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Whether quorums agree.

        holds: (k, names): for each question and process `YES`, `NO` or `UNDECIDED`. Returns the same, (k,).
        """
        if not self.voters:
            return np.full(len(holds), UNDECIDED, np.int64)
        answer = np.full(len(holds), YES, np.int64)
        for group in (self.voters, self.outgoing):
            if group:
                votes = holds[:, list(group)]
                certain = (votes == YES).sum(axis=1)
                possible = (votes != NO).sum(axis=1) + self.unnamed
                needed = self.majority(group)
                answer = np.where((certain < needed) & (answer == YES), UNDECIDED, answer)
                answer = np.where(possible < needed, NO, answer)
        return answer


@dataclass(frozen=True, eq=False)
class Configurations:
    """The configuration that each process uses after each event.

    Attributes
    ----------
    table: the distinct configurations.
    at: shape (n,), index into `table`; -1 where none is known.
    reason: why none is known, where the trace as a whole does not tell.
    """

    history: RaftHistory
    table: tuple[Configuration, ...]
    at: Int64
    reason: str = ""

    @property
    def rests_on(self) -> tuple[str, ...]:
        """What a verdict supposes, for people; nothing where the voters were recorded or their number declared."""
        trace = self.history.execution.trace
        if self.history.recorded("raft.voters") or trace.run.n is not None:
            return ()
        return (f"voters: all {len(self.history.members)} processes that run Raft (assumed)",)

    def quorum(self, places: Int64, holds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Whether quorums of the configurations in force at events agree; (k,) of `YES`, `NO`, `UNDECIDED`.

        An event that changes the configuration may use either. holds: (k, names), see `Configuration.quorum`.
        """
        after = self._quorum(self.at[places], holds)
        before = self.history.before(self.at)[places]
        before = np.where(before >= 0, before, self.at[places])
        either = self._quorum(before, holds)
        return np.where((after == YES) | (either == YES), YES, np.maximum(after, either))

    def _quorum(self, configurations: Int64, holds: NDArray[np.int64]) -> NDArray[np.int64]:
        answer = np.full(len(configurations), UNDECIDED, np.int64)
        for code in np.unique(configurations[configurations >= 0]).tolist():
            mine = configurations == code
            answer[mine] = self.table[code].quorum(holds[mine])
        return answer

    def of(self, place: int) -> Configuration:
        """The configuration after one event."""
        code = int(self.at[place])
        return self.table[code] if code >= 0 else Configuration(())


def configurations(execution: Execution) -> Configurations:
    """Reads raft.voters; never recorded: all processes that run Raft, and as many more as the run says that there are.

    Use it through ``execution.derive(configurations)``. O(n + voters listed).
    """
    history = execution.derive(raft_history)
    trace = execution.trace
    voters, outgoing = trace.lists("raft.voters"), trace.lists("raft.voters_outgoing")
    n = len(history.rows)
    unknown = _unrecorded(history)
    if unknown:
        return Configurations(history, (), np.full(n, UNKNOWN), unknown)
    if voters is None or not history.recorded("raft.voters"):
        members = tuple(int(m) for m in history.members)
        unnamed = max((trace.run.n or 0) - len(members), 0)
        return Configurations(history, (Configuration(members, (), unnamed),), np.zeros(n, np.int64))
    places = np.flatnonzero(voters.present[history.rows])
    rows = history.rows[places]
    keys = np.stack([_keys(history, voters, rows), _keys(history, outgoing, rows)])
    _, example, code = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    table = tuple(
        Configuration(_members(history, voters, int(row)), _members(history, outgoing, int(row)))
        for row in rows[example]
    )
    at = np.full(n, UNKNOWN, np.int64)
    at[places] = code.reshape(-1)
    return Configurations(history, table, filled(at, at >= 0, history.begin))


def configuration_texts(execution: Execution) -> list[str | None]:
    """The distinct texts in raft.entry_configurations, by their codes."""
    lists = execution.trace.lists("raft.entry_configurations")
    if lists is None or not isinstance(lists.items, Column) or lists.items.texts is None:
        return []
    return list(lists.items.texts.to_pylist())


def _unrecorded(history: RaftHistory) -> str:
    """Why the voters cannot be told though the logs, or roles, show that not always all processes vote; else empty."""
    texts = configuration_texts(history.execution)
    if not history.recorded("raft.voters"):
        if any(texts):
            return "raft.voters is not recorded, and the logs change who votes (raft.entry_configurations)"
        return "raft.voters is not recorded, and there are learners" if (history.role == LEARNER).any() else ""
    if not history.recorded("raft.voters_outgoing") and any(text.partition("/")[2].strip() for text in texts if text):
        return "raft.voters_outgoing is not recorded, and there is joint consensus (raft.entry_configurations)"
    return ""


def _keys(history: RaftHistory, lists: ListColumn | None, rows: Int64) -> Int64:
    """A number per list of names, the same for the same names: a sum of 62-bit values drawn at random for each name."""
    if lists is None or not isinstance(lists.items, Column) or lists.items.texts is None or not len(lists.items):
        return np.zeros(len(rows), np.int64)
    drawn = np.random.default_rng(0x5AF7).integers(1, 1 << 62, len(lists.items.texts) + 1)
    with np.errstate(over="ignore"):
        sums = np.concatenate([[0], np.cumsum(drawn[lists.items.values])])
        return np.asarray(sums[lists.offsets[rows + 1]] - sums[lists.offsets[rows]], np.int64)


def _members(history: RaftHistory, lists: ListColumn | None, row: int) -> tuple[int, ...]:
    place = {name: code for code, name in enumerate(history.names)}
    return tuple(sorted({place[name] for name in (lists.at(row) or []) if name})) if lists is not None else ()
