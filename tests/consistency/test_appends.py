"""Entries appended at once: orders that nobody reads are no different states."""

from __future__ import annotations

import pytest

from tests.consistency.histories import trace_of
from tests.oracle.linearizability import Op
from tracekit.checks.consistency.linearizable import linearizable as check
from tracekit.execution import Execution, Options
from tracekit.results import CheckResult, Verdict


def judge(ops: list[Op], model: str) -> CheckResult:
    options = Options(model=model, budget_s=20)
    return check(Execution(trace_of(ops, clock="true_time_ns"), options), options)


def appends(n: int) -> list[Op]:
    """Two at once, n times; the second of each pair comes first in what is read."""
    moments = [10 * (i // 2) for i in range(2 * n)]
    return [Op("append", str(i), None, "ok", moment, moment + 5) for i, moment in enumerate(moments)]


@pytest.mark.parametrize("model", ["log", "kv"])
@pytest.mark.parametrize("read", [False, True])
def test_pairs_of_appends_leave_few_configurations(model: str, read: bool) -> None:
    n = 60
    members = [str(i ^ 1) for i in range(2 * n)]
    whole = members if model == "log" else "".join(members)
    ops = [*appends(n), Op("read", None, whole[:4] if not read else whole, "ok", 0 if not read else 10 * n, 20 * n)]
    found = judge(ops, model)
    assert found.verdict is Verdict.HOLDS and found.facts["configurations"] < 40
    if read:
        wrong = [*members[:-2], members[-1], members[-2], "x"]
        bad = wrong if model == "log" else "".join(wrong)
        broken = judge([*appends(n), Op("read", None, bad, "ok", 10 * n, 20 * n)], model)
        assert broken.verdict is Verdict.VIOLATED and broken.violations[0].anomaly == "no-linearization"
