"""Process: the one interface between a protocol and a runtime, be that the simulator or a real machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from reference_impls.runtime.effects import Effect


@dataclass
class Stable:
    """What survives a crash: written by `Persist` only, handed to the next incarnation."""

    cells: dict[str, Any] = field(default_factory=dict)
    log: list[Any] = field(default_factory=list)

    def write(self, cells: Any, log_from: int, entries: Sequence[Any]) -> None:
        """Carries out a Persist."""
        self.cells.update(cells)
        if log_from:
            self.log[log_from - 1 :] = entries


class Process(Protocol):
    """A pure state machine: no input but its arguments and the randomness it was made with, no output but effects.

    Every incarnation is a new object, so that volatile state is lost at a crash without anybody's help.
    """

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        """The process starts, for the first time or again after a crash; `stable` is what it had persisted."""

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        """A message has arrived; `now_ns` is the process's own clock."""

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        """A timer that the process set has run out."""
