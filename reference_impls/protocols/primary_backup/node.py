"""The primary, which is the first of all servers, and its backups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.replica import Replica, Stamp, Update
from reference_impls.protocols.store_messages import Named
from reference_impls.runtime.effects import Send


@dataclass(frozen=True, slots=True)
class Forward(Named):
    """A backup passes a client's write on to the primary (Alsberg & Day)."""

    EVENT = "primary-backup.forward"
    command: Command


@dataclass(frozen=True, slots=True)
class Written(Named):
    """The primary has made the write stable; its place in the log comes by itself, some time later."""

    EVENT = "primary-backup.written"
    command: Command


class Server(Replica):
    """Primary or backup; the log has one origin, the primary."""

    def __init__(self, name: str, members: Sequence[str], random: Random) -> None:
        super().__init__(name, members, random)
        self.primary = members[0]
        self.sources = [] if name == self.primary else [self.primary]

    def may_take_effect(self, update: Update) -> bool:
        """Backups apply the log in its order, without gaps."""
        return update.number == self.version.get(update.origin, 0) + 1

    def is_later(self, stamp: Stamp, than: Stamp) -> bool:
        """What stands later in the log overwrites what stands earlier: nothing is compared."""
        return True

    def on_request(self, now_ns: int, command: Command) -> None:
        """Reads are answered on the spot, writes by the primary."""
        if command.f == "read" or self.name == self.primary:
            super().on_request(now_ns, command)
        else:
            self._effects.append(Send(self.primary, Forward(command)))

    def on_other(self, now_ns: int, sender: str, message: Any) -> None:
        """A write passed on, or the primary's answer to one."""
        if isinstance(message, Forward):
            self.accept(now_ns, message.command)
            self._effects.append(Send(sender, Written(message.command)))
        else:
            self.answer(message.command)
