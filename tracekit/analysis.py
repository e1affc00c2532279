"""analyze(): which checks apply and are required, run them, collect what they found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from tracekit.checks.consistency import effort, ladder
from tracekit.execution import Execution, Interrupted, Options
from tracekit.registry import Check, checks, select_checks
from tracekit.results import CheckResult, Result, TraceSummary, Verdict
from tracekit.trace.schema import Kind
from tracekit.trace.trace import Trace
from tracekit.version import TOOL

Progress = Callable[[str, int, int], None]


def analyze(
    trace: Trace | Execution,
    *,
    check: Sequence[str] = (),
    expect: str | None = None,
    options: Options | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Result:
    """Runs every applicable check on one trace. The required ones decide the verdict, the others are shown.

    Parameters
    ----------
    check: names or globs of the checks that are required; empty: the trace's claims; without claims, the defaults.
    expect: a consistency model; of the ladder it and what it implies is required, and nothing else.
    progress: called with a check's name before it runs, how many are done, how many there are.

    Raises
    ------
    TracekitError: TK301 for an unknown check or consistency model, TK302 for an unknown specification.

    An interrupt (Ctrl-C) ends the running check and those after it as unknown; what was found until then is returned.
    """
    started = time.perf_counter()
    execution = trace if isinstance(trace, Execution) else Execution(trace, options)
    named = {name for pattern in check for name in select_checks(pattern)}
    wanted = ladder.expected(expect) if expect else None
    candidates = {name: c for name, c in checks().items() if c.asked is None or c.asked(execution.options)}
    applicable = {name: c for name, c in candidates.items() if c.applies(execution)}
    required = {name for name, c in applicable.items() if _is_required(c, execution, named, wanted)}
    found, left = _outcomes(applicable, execution, required, named | (wanted or set()), progress)
    results = [replace(found[name], check=name, required=name in required) for name in sorted(found)]
    if not named:
        results += _unknown_claims(execution.trace.run.claims or ())
    return Result(
        trace=_summary(execution.trace),
        checks=tuple(results),
        rests_on=_rests_on(execution, results),
        not_checked=_not_checked(list(applicable.values()), execution, left),
        ladder=ladder.summary(results),
        broken_assumptions=tuple(
            dict.fromkeys(
                [*execution.trace.run.broken_assumptions, *(b for r in results for b in r.broken_assumptions)]
            )
        ),
        seconds=time.perf_counter() - started,
        tool=TOOL,
        command=command,
        again=execution.trace.run.command,
    )


def _outcomes(
    applicable: Mapping[str, Check],
    execution: Execution,
    required: set[str],
    asked: set[str],
    progress: Progress | None,
) -> tuple[dict[str, CheckResult], list[str]]:
    """Every check's result by name, and what was left out as too much work for what nobody requires.

    Required ones run first. What the ladder answers is not run, unless it was asked for by name.
    """
    found: dict[str, CheckResult] = {}
    left: list[str] = []
    models = ladder.comparable(execution) if any(name in ladder.IMPLIES for name in applicable) else frozenset()
    interrupted, measured_s = False, 0.0
    for done, name in enumerate(sorted(ladder.in_turn(applicable), key=lambda name: name not in required)):
        if progress:
            progress(name, done, len(applicable))
        answer = None if name in asked else ladder.follows(name, found, models)
        cost = 0.0 if name in required else effort.seconds(name, execution)
        if answer is not None:
            found[name] = answer
        elif interrupted:
            found[name] = CheckResult(reasons=("interrupted before it began",))
        elif name not in required and (applicable[name].search or measured_s + cost > effort.MEASURED_S):
            left.append(name)
        else:
            measured_s += cost
            try:
                found[name] = _run(applicable[name], execution, name in required)
            except Interrupted as stopped:
                interrupted = True
                found[name] = stopped.result
            except KeyboardInterrupt:
                interrupted = True
                found[name] = CheckResult(reasons=("interrupted",))
    for name in models & applicable.keys():
        # What a weaker model shows to be wrong is wrong for all above it, however hard they are to decide.
        if name not in found or found[name].verdict is Verdict.UNKNOWN:
            answer = ladder.follows(name, found, models)
            found |= {name: answer} if answer is not None else {}
    return found, [name for name in left if name not in found]


def _is_required(candidate: Check, execution: Execution, named: set[str], expected: frozenset[str] | None) -> bool:
    """What the caller asks, names or expects; else what the run claims; else the defaults of the checks."""
    if candidate.asked is not None or candidate.name in named:
        return True
    if expected is not None and candidate.family in ladder.FAMILIES:
        return candidate.name in expected
    if named:
        return False
    claims = execution.trace.run.claims
    if claims is not None:
        return any(_is_claimed(candidate, claim) for claim in claims)
    return not candidate.measured or candidate.declared(execution)


def _unknown_claims(claims: Sequence[str]) -> list[CheckResult]:
    """Claims that name no check: mistyped, or of another version. What was promised and not examined is no pass."""
    why = "the run claims it, and no check of this tracekit has that name"
    return [
        CheckResult(check=claim, required=True, reasons=(why,))
        for claim in claims
        if not any(_is_claimed(known, claim) for known in checks().values())
    ]


def _is_claimed(candidate: Check, claim: str) -> bool:
    return fnmatchcase(candidate.name, claim) or candidate.family == claim


def _run(candidate: Check, execution: Execution, required: bool) -> CheckResult:
    started = time.perf_counter()
    missing = _unusable_columns(candidate, execution)
    options = execution.options
    if not required:
        options = replace(options, budget_s=min(options.budget_s, effort.MEASURED_S))
    outcome = CheckResult(reasons=missing) if missing else candidate.run(execution, options)
    return replace(outcome, seconds=time.perf_counter() - started)


def _unusable_columns(candidate: Check, execution: Execution) -> tuple[str, ...]:
    """Why the check cannot read what it needs."""
    return tuple(reason for name in candidate.columns if (reason := execution.unusable(name)))


def _summary(trace: Trace) -> TraceSummary:
    first = tuple(
        {"place": s.place, "reason": s.reason, "text": s.text, "field": s.field} for s in trace.set_aside.first
    )
    return TraceSummary(
        path=trace.path or "",
        digest=trace.digest,
        events=len(trace),
        processes=trace.processes,
        set_aside=trace.set_aside.count,
        set_aside_counts=trace.set_aside.counts,
        set_aside_first=first,
        title=title(trace),
    )


def title(trace: Trace) -> str:
    """``raft: 5 nodes, 4 clients, seed 7, async network``: what is known of it."""
    run = trace.run
    invoking = {trace.processes[code] for code in set(trace.process[trace.is_kind(Kind.INVOKE)].tolist())}
    # A client that goes on under a new name after an unanswered operation (c1.2) is still the client c1.
    clients = len({name if name.rpartition(".")[0] not in invoking else name.rpartition(".")[0] for name in invoking})
    count, what = (run.n, "node") if run.n else (trace.components or len(trace.processes), "process")
    parts = [f"1 {what}" if count == 1 else f"{count} {what}{'es' if what == 'process' else 's'}"]
    if clients:
        parts.append(f"{clients} clients" if clients > 1 else "1 client")
    if run.seed is not None:
        parts.append(f"seed {run.seed}")
    if run.network:
        parts.append(f"{run.network} network")
    subject = run.protocol or run.system
    return (f"{subject}: " if subject else "") + ", ".join(parts)


def _rests_on(execution: Execution, results: Sequence[CheckResult]) -> tuple[str, ...]:
    """What the verdicts suppose, each said once."""
    trace = execution.trace
    phrases = []
    if "vclock" in trace or bool(trace.is_kind(Kind.SEND, Kind.RECEIVE).any()):
        phrases.append(execution.happens_before.words)
    gaps = len(execution.program_order.gaps(trace))
    if gaps:
        phrases.append(f"gaps in seq, where events were not recorded: {gaps:,}")
    if not trace.run.coverage:
        phrases.append(f"coverage: the recording is whole{' otherwise' if gaps else ''} (assumed)")
    if not trace.complete:
        phrases.append("the file is not marked complete: its end may be missing")
    same_place = _sharing_places(execution)
    if same_place:
        have = "event has" if same_place == 1 else "events have"
        phrases.append(f"{same_place:,} {have} the place (process:seq) of another event: taken in file order")
    phrases += trace.inferred
    phrases += [phrase for r in results for phrase in r.rests_on]
    return tuple(dict.fromkeys(phrases))


def _sharing_places(execution: Execution) -> int:
    """Events whose public name another event of the trace has as well."""
    trace, rows = execution.trace, execution.program_order.rows
    again = (trace.seq[rows[1:]] == trace.seq[rows[:-1]]) & (trace.process[rows[1:]] == trace.process[rows[:-1]])
    return int(again.sum())


def _not_checked(applicable: Sequence[Check], execution: Execution, left: Sequence[str]) -> tuple[str, ...]:
    there = {c.family for c in applicable}
    absent = sorted({c.family for c in checks().values() if c.asked is None} - there)
    phrases = ["liveness"] if not execution.trace.run.quiescent else []
    if absent:
        phrases.append(
            f"{len(absent)} families that have no events here ({', '.join(absent)})"
            if len(absent) > 1
            else f"{absent[0]}, which has no events here"
        )
    for searches, why in ((True, "a search that may take long (NP-hard)"), (False, "much work")):
        names = [name for name in left if checks()[name].search is searches]
        if names:
            phrases.append(f"{', '.join(names)}: {why}, so run only where required (--check NAME, --expect MODEL)")
    return tuple(phrases)
