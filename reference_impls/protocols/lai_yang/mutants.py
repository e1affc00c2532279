"""Lai and Yang's algorithm with one rule broken each, for the check to find."""

from __future__ import annotations

from reference_impls.protocols.lai_yang.node import Count, LaiYangNode
from reference_impls.runtime.effects import Effect
from reference_impls.runtime.plan import Bug, by_name
from reference_impls.workloads.bank import Transfer
from tracekit.protocols import Mutant


class WhiteAfterRecording(LaiYangNode):
    """Colours its messages one snapshot late."""

    def _paint(self) -> int:
        return max(0, self.color - 1)


class RedMessageTaken(LaiYangNode):
    """Takes red messages while it is white, and records its state only when it is told to."""

    def _must_redden(self, color: int) -> bool:
        return False


class LostChannelState(LaiYangNode):
    """Records every channel as empty."""

    def _state(self, came: list[Transfer]) -> list[Transfer]:
        return []


class RecordedTwice(LaiYangNode):
    """Records its state once more whenever another process tells its count."""

    def on_control(self, sender: str, message: Count) -> list[Effect]:
        again: list[Effect] = [self.recorded(message.snapshot)] if message.snapshot <= self.color else []
        return [*again, *super().on_control(sender, message)]


CHECK = "snapshot.lai-yang"
BUGS = by_name(
    Bug(Mutant("white-after-recording", "a red process sends red messages only", CHECK), WhiteAfterRecording),
    Bug(
        Mutant("red-message-taken", "a white process records its state before it takes a red message", CHECK),
        RedMessageTaken,
    ),
    Bug(
        Mutant("lost-channel-state", "a channel's state is the white messages that a red process gets", CHECK),
        LostChannelState,
    ),
    Bug(Mutant("recorded-twice", "a process records its state once in a snapshot", CHECK), RecordedTwice),
)
"""Every bug by its mutant's name."""
