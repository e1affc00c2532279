"""The lock service as tracekit offers it: promises, faults, mutants, workload."""

from __future__ import annotations

from reference_impls.protocols.lock.messages import DRIFT_PPM, LEASES
from reference_impls.protocols.lock.mutants import BUGS
from reference_impls.protocols.lock.node import LockNode
from reference_impls.runtime.faults import FAULTS
from reference_impls.runtime.plan import Design
from reference_impls.workloads.locking import Locking
from tracekit.protocols import Setting

DESIGN = Design(
    name="lock",
    summary="A replicated lock service with leases and fencing tokens, and a storage that compares the tokens",
    reference="Gray & Cheriton, Leases, 1989; Burrows, The Chubby Lock Service for Loosely-Coupled Distributed "
    "Systems, 2006; fencing tokens: Kleppmann, How to do distributed locking, 2016",
    domain="lock",
    claims=(
        "clock.*",
        "channel.delivery",
        "lock.mutual-exclusion",
        "lock.fencing",
        "lock.lease",
        "lock.owner-release",
    ),
    node=LockNode,
    workload=Locking(),
    bugs=BUGS,
    # Leases rest on clocks whose rates are bounded, and promises on disks that keep what was stored.
    tolerates=tuple(fault for fault in FAULTS if fault not in ("clock-step", "disk-loss")),
    bounds={"drift_ppm": DRIFT_PPM},
    arguments=lambda simulation, place: {"lease": LEASES[simulation.settings["lease"]]},
    settings={"lease": Setting("How long a lease lasts by the clock of the server that leads.", tuple(LEASES))},
)
