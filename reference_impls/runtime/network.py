"""Networks: how long a message takes, and whether it arrives at all.

Three models of time: synchronous (a known bound on delay), asynchronous (none), and partially synchronous (Dwork, Lynch
& Stockmeyer 1988: from an unknown global stabilisation time, GST, on a bound holds).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND

DELAY_BOUND = 10 * MILLISECOND
"""What a synchronous network, and a partially synchronous one after GST, never exceeds."""

HOLD_BACK = 100 * MILLISECOND
"""How long a reordering network may hold a message back, unless a bound on delay holds."""


class Network:
    """Asynchronous: delays have no bound. Half of them stay below 2 ms, one in a thousand exceeds 100 ms.

    Attributes
    ----------
    loss, duplication, reordering: chances, set by faults.
    blocked: pairs (sender, receiver) that nothing passes.
    send_omission, receive_omission: processes that lose this share of what they send, or of what is sent to them.
    fifo: no message overtakes another one from the same sender to the same receiver.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.fifo = False
        self._latest: dict[tuple[str, str], int] = {}
        self.loss = 0.0
        self.duplication = 0.0
        self.reordering = 0.0
        self.blocked: set[tuple[str, str]] = set()
        self.send_omission: dict[str, float] = {}
        self.receive_omission: dict[str, float] = {}

    def heal(self) -> None:
        """Everything passes again, in time."""
        self.loss = self.duplication = self.reordering = 0.0
        self.blocked.clear()
        self.send_omission.clear()
        self.receive_omission.clear()

    def bounds(self) -> Mapping[str, int]:
        """What the model promises, as the trace declares it."""
        return {}

    def arrivals(self, sender: str, receiver: str, now: int) -> Iterable[int]:
        """When copies of a message sent now arrive: usually one time, none where it is lost."""
        if self.blocked and (sender, receiver) in self.blocked:
            return ()
        chance = self.random.random
        if self.loss and chance() < self.loss:
            return ()
        if (self.send_omission or self.receive_omission) and self._omitted(sender, receiver):
            return ()
        arrival = now + self.delay(now)
        if self.reordering and chance() < self.reordering:
            arrival = self.held_back(now, arrival)
        if self.duplication and chance() < self.duplication:
            return (arrival, now + self.delay(now))
        if self.fifo:
            # What is due at one time arrives in the order sent.
            arrival = self._latest[sender, receiver] = max(arrival, self._latest.get((sender, receiver), 0))
        return (arrival,)

    def _omitted(self, sender: str, receiver: str) -> bool:
        chance = self.random.random
        return chance() < self.send_omission.get(sender, 0.0) or chance() < self.receive_omission.get(receiver, 0.0)

    def delay(self, now: int) -> int:
        """Pareto, shape 1.5 from 1 ms: a heavy tail without an upper end."""
        return int(MILLISECOND * (1.0 - self.random.random()) ** (-1 / 1.5))

    def held_back(self, now: int, arrival: int) -> int:
        """The later arrival of a message that others are to overtake."""
        return arrival + int(HOLD_BACK * self.random.random())


class Synchronous(Network):
    """Every delay lies between a tenth of the bound and the bound."""

    def bounds(self) -> Mapping[str, int]:
        return {"delay_ns": DELAY_BOUND}

    def delay(self, now: int) -> int:
        return int(DELAY_BOUND * (0.1 + 0.9 * self.random.random()))

    def held_back(self, now: int, arrival: int) -> int:
        return now + DELAY_BOUND


class PartiallySynchronous(Network):
    """Before GST worse than asynchronous; what is sent then arrives by GST plus the bound. From GST on synchronous."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.gst = int(SECOND * random.uniform(0.5, 1.5))

    def bounds(self) -> Mapping[str, int]:
        return {"delay_ns": DELAY_BOUND, "gst_ns": self.gst}

    def delay(self, now: int) -> int:
        if now >= self.gst:
            return int(DELAY_BOUND * (0.1 + 0.9 * self.random.random()))
        wild = int(2 * MILLISECOND * (1.0 - self.random.random()) ** (-1 / 1.1))
        return min(wild, self.gst + DELAY_BOUND - now)

    def held_back(self, now: int, arrival: int) -> int:
        if now >= self.gst:
            return now + DELAY_BOUND
        return min(super().held_back(now, arrival), self.gst + DELAY_BOUND)


NETWORKS: Mapping[str, type[Network]] = {
    "sync": Synchronous,
    "async": Network,
    "partial-sync": PartiallySynchronous,
}
"""By the names of `tracekit.protocols.NETWORKS`."""
