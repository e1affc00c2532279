"""The resource that locks guard: it compares fencing tokens (Kleppmann 2016; Chubby's sequencers, section 2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reference_impls.protocols.lock.messages import Write, Written
from reference_impls.runtime.effects import Effect, Note, Persist, Reply
from reference_impls.runtime.process import Stable


class Storage:
    """Remembers, for each lock, the largest token of a write that it has accepted."""

    def __init__(self) -> None:
        self.largest: dict[str, int] = {}

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """Tokens survive a crash: they were made stable before a write was accepted."""
        again = bool(stable.cells)
        self.largest = dict(stable.cells.get("largest", {}))
        return [Persist({"largest": dict(self.largest)}), Note({}, "lock.restart" if again else "lock.init")]

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """A write is accepted unless a later holder of the lock has written; a write sent twice is accepted twice."""
        assert isinstance(message, Write), "nobody sends anything else"
        accepted = self._accepts(message)
        told = {"lock.name": message.lock, "lock.holder": sender, "lock.token": message.token}
        effects: list[Effect] = []
        if accepted:
            self.largest[message.lock] = max(message.token, self.largest.get(message.lock, 0))
            effects.append(Persist({"largest": dict(self.largest)}))
        effects.append(Note(told, "lock.accept" if accepted else "lock.reject"))
        return [*effects, Reply(sender, Written(message.number, message.lock, accepted))]

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """There are no timers."""
        return []

    def _accepts(self, write: Write) -> bool:
        return write.token >= self.largest.get(write.lock, 0)
