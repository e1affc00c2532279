"""The causal store with one rule broken each, for checks to find."""

from __future__ import annotations

from reference_impls.protocols.causal_kv.node import CausalReplica
from reference_impls.protocols.replica import MILLISECOND, Update
from reference_impls.runtime.plan import Bug
from tracekit.protocols import Mutant


class DependenciesUnchecked(CausalReplica):
    """Lets an update take effect when it arrives."""

    def may_take_effect(self, update: Update) -> bool:
        return True


class SkewedLastWriter(CausalReplica):
    """Takes timestamps from the machine's clock."""

    def clock(self, now_ns: int) -> int:
        return now_ns // MILLISECOND


BUGS = (
    Bug(
        Mutant(
            "dependencies-unchecked",
            "an update takes effect after everything it depends on (Ahamad et al., section 4; COPS, section 4)",
            "consistency.causal-convergence",
        ),
        DependenciesUnchecked,
        ("partition", "reordering"),
    ),
    Bug(
        Mutant(
            "skewed-last-writer",
            "timestamps grow along causal order, so that the last writer is later than all it knew (COPS, section 4)",
            "consistency.causal-convergence",
        ),
        SkewedLastWriter,
        ("clock-drift",),
    ),
)
