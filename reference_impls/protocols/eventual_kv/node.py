"""A replica that lets every update take effect when it arrives."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from reference_impls.protocols.eventual_kv.objects import ObservedRemoveSet, PnCounter
from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.replica import Replica, Update


class EventualReplica(Replica):
    """Registers, sets and counters by key; what a key holds shows in the updates made of it."""

    make_set: type[ObservedRemoveSet] = ObservedRemoveSet

    def __init__(self, name: str, members: Sequence[str], random: Random) -> None:
        super().__init__(name, members, random)
        self.sets: dict[str, ObservedRemoveSet] = {}
        self.counters: dict[str, PnCounter] = {}

    def apply(self, update: Update) -> None:
        """Each kind of update commutes with every other one (Shapiro et al. 2011, section 2.4)."""
        f, key, value = update.command.f, update.command.key, update.command.value
        if f == "write":
            super().apply(update)
            return
        assert value is not None, "only reads come without a value"
        if f == "add":
            self._set(key).add(update.id, value)
        elif f == "remove":
            self._set(key).remove(update.observed)
        else:
            counter = self.counters.setdefault(key, PnCounter())
            (counter.plus if f == "increment" else counter.minus)[update.origin] += int(value)

    def observe(self, command: Command) -> tuple[str, ...]:
        """A removal takes away what its client could see (atSource, section 3.3.5)."""
        assert command.value is not None, "only reads come without a value"
        return self._set(command.key).observed(command.value) if command.f == "remove" else ()

    def read(self, key: str) -> str | None:
        """What the key holds."""
        held = self.sets.get(key) or self.counters.get(key)
        return held.value if held else super().read(key)

    def keys(self) -> Sequence[str]:
        return [*super().keys(), *self.sets, *self.counters]

    def _set(self, key: str) -> ObservedRemoveSet:
        return self.sets.setdefault(key, self.make_set())
