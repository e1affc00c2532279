"""Checks of the global predicates that the caller gives: ``--never EXPR`` and ``--inevitable EXPR``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tracekit.checks.channel import may_miss_events
from tracekit.execution import Execution, Options
from tracekit.order.cuts import unjoined
from tracekit.order.expressions import fields_of, parse
from tracekit.order.predicates import Detection, definitely, possibly
from tracekit.registry import check
from tracekit.results import CheckResult, Violation

SHOWN = 20
"""Processes that a witness shows."""


@check("predicate.never", applies=lambda execution: True, asked=lambda options: bool(options.never))
def never(execution: Execution, options: Options) -> CheckResult:
    """No global state that the run may have passed through fulfils the expression.

    Meaning
        A run of a distributed system has no single sequence of states: what processes did concurrently may have
        happened in any order. A consistent cut is a choice of how far each process had come that contradicts no
        message; the system may have been in the state of every one of them, whatever the clocks say. The check is
        violated if some consistent cut fulfils the expression given by --never ("possibly" of Cooper and Marzullo).
        With --skew E, cuts are left out that clocks which differ by at most E exclude.

        An expression speaks of the values that processes recorded last; `tracekit show TRACE --possibly EXPR` shows
        the state that fulfils it.

    Example
        --never 'raft.role["n1"] == "leader" and raft.role["n2"] == "leader"'
            n1:4   raft.become_leader  term 1
            n2:9   raft.become_leader  term 2      concurrent with n1's stepping down, so both led
            n1:7   raft.become_follower  term 2

    Needs
        Happens-before (messages, or vector clocks) and the fields that the expression names.

    Cannot see
        States between two recorded events of a process: fields change where they are recorded. A field keeps its value
        through a crash: write `and up`, where a crashed process should not count. Where rows, or fields that matter,
        were set aside, a process's start is not recorded, or receives and sends are not joined (they carry no id), a
        message that nobody knows may forbid the state: then a verdict is unknown.

    Cost
        Conditions on single processes, combined by and, or, not and count: O(n + p^2 m) for m stretches of true states.
        Sums and messages in flight: a minimum cut. Anything that compares processes with each other: the consistent
        cuts one by one, exponential in processes, within the budget; then unknown.

    Reference
        Cooper and Marzullo, "Consistent Detection of Global Predicates", 1991. Garg and Waldecker, "Detection of Weak
        Unstable Predicates in Distributed Programs", IEEE TPDS 5(3), 1994.
    """
    found = [
        possibly(execution, text, skew_ns=options.skew_ns or None, budget_s=options.budget_s) for text in options.never
    ]
    found = [_excused(execution, text, one, yes=True) for text, one in zip(options.never, found, strict=True)]
    violations = [
        _violation(execution, text, "possible-state", f"The run may have been in a state in which {text}", one)
        for text, one in zip(options.never, found, strict=True)
        if one.answer
    ]
    return _result(options.never, found, violations)


@check("predicate.inevitable", applies=lambda execution: True, asked=lambda options: bool(options.inevitable))
def inevitable(execution: Execution, options: Options) -> CheckResult:
    """However the run went, it passed through a global state that fulfils the expression.

    Meaning
        An observation is one way in which the whole run may have gone, event by event, in an order that contradicts no
        message. The check holds if every observation passes through a state that fulfils the expression given by
        --inevitable ("definitely" of Cooper and Marzullo), so that it certainly was so at some moment; it is violated
        if the processes may have come from the beginning to the end without.

    Example
        --inevitable 'count(raft.role == "leader") == 1'
            n1:4   raft.become_leader  term 1
            n1:9   crash                             and nobody else was ever elected: then it holds,
                                                     since every order of events passes n1:4

    Needs
        Happens-before (messages, or vector clocks) and the fields that the expression names.

    Cannot see
        States between two recorded events of a process. Whether the state lasted. Where events may be missing, these
        may have fulfilled it; where receives and sends are not joined, a message may rule out the order that avoids it:
        then a verdict is unknown.

    Cost
        One conjunction of conditions on single processes: O(n + p^2 m) for m stretches of true states. Anything else:
        the consistent cuts that do not fulfil it, exponential in processes, within the budget; then unknown.

    Reference
        Cooper and Marzullo, "Consistent Detection of Global Predicates", 1991. Garg and Waldecker, "Detection of Strong
        Unstable Predicates in Distributed Programs", IEEE TPDS 7(12), 1996.
    """
    skew, budget = options.skew_ns or None, options.budget_s
    found = [definitely(execution, text, skew_ns=skew, budget_s=budget) for text in options.inevitable]
    found = [_excused(execution, text, one, yes=False) for text, one in zip(options.inevitable, found, strict=True)]
    violations = [
        _avoidable(execution, text) for text, one in zip(options.inevitable, found, strict=True) if one.answer is False
    ]
    return _result(options.inevitable, found, violations)


def _excused(execution: Execution, text: str, found: Detection, yes: bool) -> Detection:
    """The answer, undecided where events that the recording lacks could turn it. yes: which answer is a violation.

    A missing message may forbid a cut that looks consistent; any missing event may fulfil what was never fulfilled.
    """
    trace = execution.trace
    why = trace.set_aside.spoiling(lambda name: name in text or name in {"message", "vclock", "peer", "time_ns"})
    if not why and yes and found.answer:
        late = sorted(name for name, ends in trace.run.coverage.items() if ends.get("start") is False)
        why = (
            f"the start of {', '.join(late[:3])} is not recorded"
            if late
            else unjoined(execution.happens_before, found.cut)
        )
    elif not why and not yes and found.answer is False:
        why = may_miss_events(execution)
        if not why and (why := unjoined(execution.happens_before)):
            never = possibly(execution, text, budget_s=execution.options.budget_s).answer is False
            why = "" if never else why  # what no order of events reaches, no message can make certain
    if not why or found.answer is None:
        return found
    seen = "some state fulfils it" if found.answer else "no state fulfils it"
    if not yes:
        seen = "every order passes it" if found.answer else "some order avoids it"
    return replace(found, answer=None, reason=f"{why}; by what is left, {seen}")


def _result(texts: Sequence[str], found: Sequence[Detection], violations: Sequence[Violation]) -> CheckResult:
    undecided = [(text, one) for text, one in zip(texts, found, strict=True) if one.answer is None]
    return CheckResult(
        examined={"expressions": len(texts)},
        violations=tuple(violations),
        violations_total=len(violations),
        reasons=tuple(f"{text}: {one.reason}" for text, one in undecided),
        method="; ".join(dict.fromkeys(one.method for one in found)),
        remark="; ".join(one.reason for one in found if one.answer is not None and one.reason),
        facts={"cuts_examined": sum(one.examined for one in found)},
    )


def _avoidable(execution: Execution, text: str) -> Violation:
    if possibly(execution, text, budget_s=execution.options.budget_s).answer is False:
        sentence = f"No state that the run may have been in fulfils {text}."
    else:
        sentence = f"The run may have been in a state in which {text}, or may have gone past: some order avoids it."
    return Violation("avoidable-state", sentence, facts={"expression": text})


def _violation(execution: Execution, text: str, anomaly: str, sentence: str, found: Detection) -> Violation:
    """The cut, as the last event in it of each process that the expression reads, with the state that it left."""
    assert found.cut is not None, "a possible state has its cut"
    trace, order = execution.trace, execution.happens_before
    states, fields = found.states(), fields_of(parse(text))
    witness = []
    for row in sorted(found.cut.last.tolist(), key=lambda row: (int(order.lamport(row)), row)):
        state = states[trace.processes[trace.process[row]]]
        told = ", ".join(f"{name} {state[name]}" for name in fields if name in state)
        if told:
            witness.append((row, told))
    counts = {name: int(n) for name, n in zip(trace.processes, found.cut.counts.tolist(), strict=True)}
    return Violation(
        anomaly,
        f"{sentence}: after these events, before the next ones of their processes.",
        execution.witness(witness[:SHOWN]),
        facts={"expression": text, "cut": counts, "in_flight": len(found.cut.in_flight)},
    )
