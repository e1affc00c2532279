"""Critical sections of processes that are their own clients: the run ends by itself after the last one."""

from __future__ import annotations

from reference_impls.runtime.network import SECOND
from reference_impls.runtime.world import Stage
from tracekit.protocols import Simulation

STANDSTILL = 5 * SECOND
"""After so long without a section that ends, the processes wait for each other for ever, as some mutants do."""


class SectionsWorkload:
    """Counts sections until all are over. The number of clients means nothing."""

    def __init__(self, simulation: Simulation) -> None:
        self.total = simulation.operations
        self.over = 0

    def begin(self, stage: Stage) -> None:
        """Nothing is lost here, so once there are no more faults the run comes to rest by itself."""
        self.stage = stage
        stage.on_event("lock.release", self._released)
        if self.total:
            self._watch(-1)
        else:
            stage.rest()

    def completed(self, operations: int) -> None:
        """There are no clients."""

    def ended(self, name: str) -> None:
        """No process ends by itself."""

    def _released(self, name: str) -> None:
        self.over += 1
        self.stage.progress(self.over, self.total)
        if self.over == self.total:
            self._come_to_rest()

    def _come_to_rest(self) -> None:
        self.stage.heal()
        self.stage.rest()

    def _watch(self, before: int) -> None:
        if self.over == self.total:
            return
        if self.over == before:
            self._come_to_rest()
            return
        over = self.over
        self.stage.later(STANDSTILL, lambda: self._watch(over))
