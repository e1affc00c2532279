"""The session guarantees by definition, over every order of writes and every visibility. Shares nothing with them.

Viotti and Vukolić, "Consistency in Non-Transactional Distributed Storage Systems", ACM Computing Surveys 49(1), 2016:
vis says which writes are visible to an operation, ar is a total order; so is session order.

RVal              a read returns the ar-last visible write of its key, the initial value if there is none.
ReadYourWrites    w so r  =>  w vis r                              for writes w and reads r
MonotonicReads    w vis r and r so r'  =>  w vis r'
MonotonicWrites   w so w'  =>  w ar w'
WritesFollowReads w vis r and r so w'  =>  w ar w'

`info` writes may be left out, and session order leads into them only (see `tests.oracle.causal`).
"""

from __future__ import annotations

from itertools import chain, combinations, permutations, product

from tests.oracle.causal import Op, Program, variants

RYW, MR, MW, WFR = "ryw", "mr", "mw", "wfr"


def satisfiable(program: Program, guarantees: frozenset[str]) -> bool:
    """Whether some visibility and some order of the writes give these answers and keep the guarantees."""
    return any(_explained(ops, session, so, guarantees) for ops, session, so in variants(program))


def _explained(ops: list[Op], session: list[int], so: frozenset[tuple[int, int]], guarantees: frozenset[str]) -> bool:
    writes = [o for o, op in enumerate(ops) if op.f == "w"]
    subsets = [frozenset(s) for s in chain.from_iterable(combinations(writes, k) for k in range(len(writes) + 1))]
    for ar in permutations(writes):
        at = {w: i for i, w in enumerate(ar)}
        if MW in guarantees and any(at[a] > at[b] for a, b in so if a in at and b in at):
            continue
        if all(_session_explained(ops, s, session, so, at, subsets, guarantees) for s in set(session)):
            return True
    return False


def _session_explained(
    ops: list[Op],
    s: int,
    session: list[int],
    so: frozenset[tuple[int, int]],
    at: dict[int, int],
    subsets: list[frozenset[int]],
    guarantees: frozenset[str],
) -> bool:
    """Whether the reads of a session have visibilities; those of different sessions do not touch each other."""
    reads = [o for o, op in enumerate(ops) if op.f == "r" and session[o] == s]
    answers = [[v for v in subsets if _answer(ops, ops[r].key, v, at) == ops[r].value] for r in reads]
    for choice in product(*answers):
        vis = dict(zip(reads, choice, strict=True))
        if RYW in guarantees and any(a in at and b in vis and a not in vis[b] for a, b in so):
            continue
        if MR in guarantees and any(a in vis and b in vis and not vis[a] <= vis[b] for a, b in so):
            continue
        follows = ((w, b) for a, b in so if a in vis and b in at for w in vis[a])
        if WFR in guarantees and any(w == b or at[w] > at[b] for w, b in follows):
            continue
        return True
    return False


def _answer(ops: list[Op], key: str, visible: frozenset[int], at: dict[int, int]) -> int | None:
    candidates = [w for w in visible if ops[w].key == key]
    return ops[max(candidates, key=at.__getitem__)].value if candidates else None
