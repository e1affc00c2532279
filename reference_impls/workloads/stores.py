"""What the replicated stores have in common: clients, final reads at all servers, every fault but lost disks."""

from __future__ import annotations

from collections.abc import Sequence

from reference_impls.protocols.store_messages import Request
from reference_impls.runtime.faults import FAULTS
from reference_impls.runtime.plan import Bug, Design, MakeNode, by_name
from reference_impls.workloads.kv import Asks, Mix
from reference_impls.workloads.kv_workload import KvClients


def store(
    name: str,
    summary: str,
    reference: str,
    claims: tuple[str, ...],
    node: MakeNode,
    bugs: Sequence[Bug],
    mix: Mix,
    model: str | None = None,
    asks: Asks = "home",
) -> Design:
    """A replicated store.

    Parameters
    ----------
    claims: what a correct run passes, with its rung of the ladder of consistency.
    mix: what clients do.
    model: the sequential specification of the operations, where there is one for all of them.
    asks: which servers a client asks.
    """
    return Design(
        name=name,
        summary=summary,
        reference=reference,
        domain=name,
        claims=claims,
        node=node,
        workload=KvClients(Request, mix, asks, final_reads=True),
        bugs=by_name(*bugs),
        tolerates=tuple(fault for fault in FAULTS if fault != "disk-loss"),
        model=model,
        quiescent=True,
        minimum_nodes=2,  # whether one server agrees with itself is no question
    )
