"""Many random histories of sessions against the definitions; the tests run a few hundred, this as many as one likes.

python -m tests.consistency.many_sessions --histories 100000 --seed 1 [--only pram]

Every property is compared on so many histories that its check decides. Failed operations, operations that were never
answered and values that nobody wrote are among them; certificates are checked as well.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.consistency.programs import Call, program_of, rows_of_call, trace_of_calls
from tests.oracle.causal import Op, is_cc, is_ccv, is_cm, is_pram, is_sequential
from tests.oracle.certificates import refuted
from tests.oracle.eventual import converged, states_converge
from tests.oracle.sessions import MR, MW, RYW, WFR, satisfiable
from tests.oracle.staleness import Timed, behind, least_k
from tracekit.checks.consistency.staleness import bounded_staleness
from tracekit.execution import Execution, Options
from tracekit.registry import checks
from tracekit.results import Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run

Calls = list[list[Call]]
"""The calls of each session in program order."""

Oracle = Callable[[list[list[Op]]], bool]

Tally = Counter[tuple[str, str]]
"""How often each check came to each verdict."""

ORACLES: dict[str, tuple[int, Oracle]] = {
    "consistency.causal": (5, is_cc),
    "consistency.causal-convergence": (5, is_ccv),
    "consistency.causal-memory": (5, is_cm),
    "consistency.pram": (7, is_pram),
    "consistency.sequential": (8, is_sequential),
    "session.read-your-writes": (6, lambda p: satisfiable(p, frozenset({RYW}))),
    "session.monotonic-reads": (6, lambda p: satisfiable(p, frozenset({MR}))),
    "session.monotonic-writes": (6, lambda p: satisfiable(p, frozenset({MR, MW}))),
    "session.writes-follow-reads": (6, lambda p: satisfiable(p, frozenset({WFR}))),
}
"""Checks of sessions, the most operations for which the definition is affordable, and the definition."""


def draw(rng: random.Random, most: int, unique: bool = True) -> Calls:
    """Up to `most` calls of two or three sessions at one or two keys; some failed, some never answered."""
    keys, sessions = rng.choice(("x", "xy", "xy")), rng.choice((2, 2, 3))
    crashing = rng.random() < 0.4
    out: Calls = [[] for _ in range(sessions)]
    values: dict[str, list[int | None]] = {key: [None] for key in keys}
    shape = []
    for place in range(rng.randint(2, most)):
        f, key = rng.choice("rw"), rng.choice(keys)
        value = place + 1 if unique else rng.randint(1, 2)
        outcome = rng.choice(("ok", "ok", "ok", "info", "lost", "fail")) if crashing else "ok"
        shape.append((rng.randrange(sessions), f, key, value, outcome))
        if f == "w":
            values[key].append(value)
    for session, f, key, value, outcome in shape:
        answer = value if f == "w" else 99 if rng.random() < 0.03 else rng.choice(values[key])
        out[session].append(Call(f, key, answer, outcome))
    # Who goes on after an operation was told that it has no answer.
    return [[c._replace(outcome="info") if c.outcome == "lost" else c for c in own[:-1]] + own[-1:] for own in out]


def sessions_problem(names: tuple[str, ...], rng: random.Random, tally: Tally, unique: bool = True) -> str:
    """Draws one history and compares checks of sessions on it; says what is wrong, empty where nothing is."""
    calls = draw(rng, min(ORACLES[name][0] for name in names), unique)
    program = program_of(calls)
    ops = [op for session in program for op in session]
    if not {"r", "w"} <= {op.f for op in ops} or all(op.open for op in ops if op.f == "w"):
        return ""
    execution = Execution(trace_of_calls(calls, rng))
    for name in names:
        found = checks()[name].run(execution, execution.options)
        wanted = Verdict.HOLDS if ORACLES[name][1](program) else Verdict.VIOLATED
        tally[name, str(found.verdict)] += 1
        if found.verdict is not wanted:
            return f"{name}: {found.verdict} {found.reasons}, by definition {wanted}\n{calls}"
        if found.verdict is Verdict.HOLDS and found.certificate is not None:
            tally[name, "certificates"] += 1
            if why := refuted(found.certificate, calls):
                return f"{name}: the certificate is none: {why}\n{found.certificate}\n{calls}"
    return ""


def repeated_problem(names: tuple[str, ...], rng: random.Random, tally: Tally) -> str:
    """Values that were written twice: a check may leave it open, and never say what the definition does not."""
    calls = draw(rng, min(ORACLES[name][0] for name in names), unique=False)
    program = program_of(calls)
    ops = [op for session in program for op in session]
    if not {"r", "w"} <= {op.f for op in ops} or all(op.open for op in ops if op.f == "w"):
        return ""
    execution = Execution(trace_of_calls(calls, rng))
    for name in names:
        found = checks()[name].run(execution, execution.options)
        tally[name, f"{found.verdict}"] += 1
        if found.verdict is not Verdict.UNKNOWN and (found.verdict is Verdict.HOLDS) != ORACLES[name][1](program):
            return f"{name}: {found.verdict}, and it is not\n{calls}"
        if found.verdict is Verdict.HOLDS and (why := refuted(found.certificate, calls)):
            return f"{name}: the certificate is none: {why}\n{found.certificate}\n{calls}"
        if found.verdict is Verdict.UNKNOWN and "NP-hard" not in found.reasons[0]:
            return f"{name}: {found.reasons}\n{calls}"
    return ""


def eventual_problem(names: tuple[str, ...], rng: random.Random, tally: Tally) -> str:
    """Quiescent convergence of operations one after the other."""
    [name] = names
    calls = draw(rng, 10)
    left = [list(session) for session in calls]
    history: list[tuple[str, Op]] = []
    builder = TraceBuilder(run=Run(quiescent=True))
    while any(left):
        s = rng.choice([s for s, session in enumerate(left) if session])
        call = left[s].pop(0)
        for row in rows_of_call(f"s{s}", call):
            builder.add(row)
        history += [(f"s{s}", op) for op in program_of([[call]])[0]]
    kinds = Counter((op.f, op.open) for _, op in history)
    if not kinds["r", False] or not kinds["w", False]:
        return ""
    execution = Execution(builder.build())
    found = checks()[name].run(execution, execution.options)
    agreed = converged(history)
    wanted = Verdict.UNKNOWN if agreed is None else Verdict.HOLDS if agreed else Verdict.VIOLATED
    tally[name, str(found.verdict)] += 1
    return "" if found.verdict is wanted else f"{name}: {found.verdict} {found.reasons}, wanted {wanted}\n{history}"


def strong_problem(names: tuple[str, ...], rng: random.Random, tally: Tally) -> str:
    """States after random deliveries of few updates."""
    [name] = names
    rows: list[dict[str, Any]] = []
    for _ in range(rng.randint(2, 14)):
        process, number = rng.choice("abc"), rng.randrange(3)
        kind = rng.choice(("deliver", "deliver", "state", "state", "reset"))
        row: dict[str, Any] = {"process": process, "kind": "internal", "name": f"replica.{kind}"}
        if kind != "reset":
            row["replica.update" if kind == "deliver" else "replica.digest"] = number
        rows.append(row)
    if not {"replica.deliver", "replica.state"} <= {row["name"] for row in rows}:
        return ""
    builder = TraceBuilder()
    for row in rows:
        builder.add(row)
    execution = Execution(builder.build())
    found = checks()[name].run(execution, execution.options)
    same = states_converge(rows)
    wanted = Verdict.UNKNOWN if same is None else Verdict.HOLDS if same else Verdict.VIOLATED
    tally[name, str(found.verdict)] += 1
    return "" if found.verdict is wanted else f"{name}: {found.verdict} {found.reasons}, wanted {wanted}\n{rows}"


NEVER = 10**6
"""The end of an operation that was never answered, for the definition."""


def staleness_problem(names: tuple[str, ...], rng: random.Random, tally: Tally) -> str:
    """A declared bound on versions, the most versions behind, and the bounds of the history's k."""
    [name] = names
    ops: list[Timed] = []
    outcomes: list[str] = []
    values: list[int | None] = [None]
    for number in range(rng.randint(2, 7)):
        start = rng.randint(0, 12)
        f = rng.choice("rw")
        outcome = rng.choice(("ok",) * 8 + ("fail", "info"))
        end = NEVER if outcome == "info" else start + rng.randint(0, 5)
        if f == "w" and outcome != "fail":
            values.append(number)
        ops.append(Timed(f, number if f == "w" else rng.choice(values), start, end))
        outcomes.append(outcome)
    done = [op for op, o in zip(ops, outcomes, strict=True) if o != "fail" and not (op.f == "r" and o == "info")]
    written = {op.value for op in done if op.f == "w"}
    reads = [op for op in done if op.f == "r"]
    if not reads or not any(op.end < NEVER for op in done if op.f == "w"):
        return ""
    early = [op for op in reads if any(w.f == "w" and w.value == op.value and op.end < w.start for w in done)]
    kept = [op for op in done if op not in early]
    worst = max((behind(kept, op)[0] for op in kept if op.f == "r"), default=0)
    bound = rng.randint(0, 2)
    execution = Execution(_timed(ops, outcomes, Run(bounds={"staleness_versions": bound})))
    found = bounded_staleness(execution, Options())
    strange = early or any(op.value is not None and op.value not in written for op in reads)
    wanted = Verdict.VIOLATED if worst > bound or strange else Verdict.HOLDS
    tally[name, str(found.verdict)] += 1
    if found.verdict is not wanted or found.facts["most_versions_behind"] != worst:
        return f"{name}: {found.verdict} {found.facts}, wanted {wanted}, {worst} behind\n{ops} {outcomes}"
    exact, k = least_k(done), found.facts["k"]
    if strange:
        return ""
    if exact is None or not (k["at_least"] <= exact <= (k["at_most"] or exact)):
        return f"{name}: k is {exact}, by the check {k}\n{ops} {outcomes}"
    tally[name, "k exact" if k["at_least"] == k["at_most"] else "k between bounds"] += 1
    return ""


def _timed(ops: list[Timed], outcomes: list[str], run: Run) -> Any:
    rows: list[tuple[int, int, dict[str, Any]]] = []
    for number, (op, outcome) in enumerate(zip(ops, outcomes, strict=True)):
        common = {"process": f"c{number}", "f": "read" if op.f == "r" else "write", "key": "x"}
        asked = op.value if op.f == "w" else None
        rows.append((op.start, 0, common | {"kind": "invoke", "value": asked, "true_time_ns": op.start}))
        if outcome != "info":
            rows.append((op.end, 1, common | {"kind": outcome, "value": op.value, "true_time_ns": op.end}))
    builder = TraceBuilder(run=run)
    for _, _, row in sorted(rows, key=lambda entry: entry[:2]):
        builder.add(row)
    return builder.build()


COMPARED: tuple[tuple[tuple[str, ...], Callable[[tuple[str, ...], random.Random, Tally], str]], ...] = (
    (
        (
            "session.read-your-writes",
            "session.monotonic-reads",
            "session.monotonic-writes",
            "session.writes-follow-reads",
            "consistency.pram",
            "consistency.sequential",
        ),
        sessions_problem,
    ),
    (("consistency.eventual",), eventual_problem),
    (("consistency.strong-eventual",), strong_problem),
    (("consistency.bounded-staleness",), staleness_problem),
    (("consistency.causal", "consistency.causal-convergence", "consistency.causal-memory"), sessions_problem),
    (("consistency.sequential",), partial(sessions_problem, unique=False)),
    (tuple(name for name in ORACLES if name != "consistency.sequential"), repeated_problem),
)
"""Checks that are compared on the same histories, and what draws and compares one."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="part of a check's name")
    arguments = parser.parse_args()
    for number, (names, compare) in enumerate(COMPARED):
        if not any(arguments.only in name for name in names):
            continue
        rng, tally, began = random.Random(f"{arguments.seed} {number}"), Counter[tuple[str, str]](), time.monotonic()
        while sum(tally[names[0], str(verdict)] for verdict in Verdict) < arguments.histories:
            problem = compare(names, rng, tally)
            if problem:
                raise SystemExit(problem)
        lines = [f"{count:8,}  {name} {what}" for (name, what), count in sorted(tally.items())]
        sys.stdout.write("\n".join([*lines, f"          {time.monotonic() - began:.0f} s"]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
