"""The ladder of consistency models: which model implies which, and what one answer says about the others.

A model implies another if every history that it allows is one that the other allows. So what holds holds for all that
it implies, and what fails fails for all that imply it. The table is about the variants that the checks decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

import numpy as np

from tracekit.errors import TracekitError, nearest
from tracekit.execution import Execution
from tracekit.results import CheckResult, Verdict

IMPLIES: Mapping[str, tuple[str, ...]] = {
    # The linearization respects the order of each client, since that is part of real time.
    "consistency.linearizable": ("consistency.sequential",),
    # One legal order of all operations is an arbitration of the writes, and a view for every session.
    "consistency.sequential": ("consistency.causal-convergence", "consistency.causal-memory"),
    # Causal order as visibility, with the one arbitration, fulfils all four guarantees.
    "consistency.causal-convergence": (
        "consistency.causal",
        "session.read-your-writes",
        "session.monotonic-reads",
        "session.monotonic-writes",
        "session.writes-follow-reads",
    ),
    # A view that respects causal order respects the order of each session.
    "consistency.causal-memory": ("consistency.causal", "consistency.pram"),
}
"""What each model implies at once; Bouajjani et al., POPL 2017; Viotti & Vukolić, ACM Computing
Surveys 49(1), 2016. PRAM implies no session guarantee here: those have one arbitration for all sessions."""

RELATED = frozenset(IMPLIES).union(*IMPLIES.values())
"""Every model that the table has."""

FAMILIES = ("consistency", "session")


@cache
def implied(name: str) -> frozenset[str]:
    """All that a model implies, itself not among them."""
    direct = IMPLIES.get(name, ())
    return frozenset(direct).union(*(implied(other) for other in direct))


def in_turn(names: Iterable[str]) -> list[str]:
    """All else before models, in order of name; models before those that they imply, since what holds spares those.

    But for causal: it costs no more than what implies it, fails as often, and then spares all of that.
    """
    first = "consistency.causal-convergence"

    def turn(name: str) -> tuple[bool, int, bool, str]:
        rung = first if name == "consistency.causal" else name
        return name in RELATED, -len(implied(rung)), name == first, name

    return sorted(names, key=turn)


def expected(model: str) -> frozenset[str]:
    """The checks that ``--expect MODEL`` requires: that of the model, and of all that it implies.

    Raises
    ------
    TracekitError: TK301 for a model that no check decides.
    """
    from tracekit.registry import checks

    rungs = {name.partition(".")[2]: name for name in checks() if name.partition(".")[0] in FAMILIES}
    name = model if model in rungs.values() else rungs.get(model)
    if name is None:
        raise TracekitError(
            "TK301",
            f"no consistency model is named {model}",
            at="--expect",
            want=", ".join(dict.fromkeys([*nearest(model, rungs), *sorted(rungs)])),
            help="tracekit list checks shows all of them",
        )
    return implied(name) | {name}


def comparable(execution: Execution) -> frozenset[str]:
    """The models whose implications stand for this history.

    Linearizability leaves two operations of one client unordered where the clock does not tell them apart; and what
    messages order is more than what real time does. Then it is kept out.
    """
    if execution.options.causality == "sessions" and _clients_in_real_time(execution):
        return RELATED
    return RELATED - {"consistency.linearizable"}


def _clients_in_real_time(execution: Execution) -> bool:
    """Whether each client's operations end, by the clock, strictly before its next ones begin. O(n log n)."""
    operations = execution.operations
    order = np.lexsort((operations.row, operations.process))
    process, start, end = operations.process[order], operations.start[order], operations.end[order]
    same = process[1:] == process[:-1]
    return not bool((same & (end[:-1] >= start[1:]) & (end[:-1] != np.iinfo(np.int64).max)).any())


def follows(name: str, found: Mapping[str, CheckResult], names: frozenset[str]) -> CheckResult | None:
    """The result of a check by what holds or fails already; None where that says nothing.

    Parameters
    ----------
    found: results so far by check.
    names: the models whose implications stand, of `comparable`.
    """
    if name not in names:
        return None
    for other, result in found.items():
        if other not in names or result.implied_by is not None:
            continue
        if name in implied(other) and result.verdict is Verdict.HOLDS:
            return CheckResult(examined=result.examined, implied_by=other, method=f"implied by {other}")
        if other in implied(name) and result.verdict is Verdict.VIOLATED:
            return replace(
                result, implied_by=other, method=f"implied by {other}", certificate=None, facts={}, remark=""
            )
    return None


def position(results: Iterable[CheckResult]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The strongest models that hold and the weakest that fail, among those that the table relates."""
    verdicts = {r.check: r.verdict for r in results if r.check in RELATED}
    hold = {name for name, verdict in verdicts.items() if verdict is Verdict.HOLDS}
    fail = {name for name, verdict in verdicts.items() if verdict is Verdict.VIOLATED}
    strongest = [name for name in hold if not any(name in implied(other) for other in hold)]
    weakest = [name for name in fail if not any(other in implied(name) for other in fail)]
    return tuple(sorted(strongest)), tuple(sorted(weakest))


def summary(results: Iterable[CheckResult]) -> str:
    """One line: ``sequential holds, linearizable fails: 2 stale reads``; empty where the history has no place on it."""
    results = list(results)
    strongest, weakest = position(results)
    if not strongest and not weakest:
        return ""
    by_name = {r.check: r for r in results}
    parts = [f"{_names(strongest)} {'hold' if len(strongest) > 1 else 'holds'}"] if strongest else []
    if weakest:
        total = sum(by_name[name].violations_total for name in weakest)
        parts.append(
            f"{_names(weakest)} {'fail' if len(weakest) > 1 else 'fails'}: {total:,} breach{'es' if total != 1 else ''}"
        )
    stale = by_name.get("consistency.bounded-staleness")
    behind = f", {stale.remark}" if weakest and stale is not None and stale.remark else ""
    return ", ".join(parts) + behind


def _names(names: Iterable[str]) -> str:
    *rest, last = [name.partition(".")[2] for name in names]
    return f"{', '.join(rest)} and {last}" if rest else last
