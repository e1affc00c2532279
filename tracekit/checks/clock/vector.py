"""``clock.vector``: recorded vector timestamps."""

from __future__ import annotations

from tracekit.checks.clock.contradicting import Contradicting
from tracekit.checks.clock.findings import SHOWN, undeclared_gaps
from tracekit.checks.clock.vectors import VectorClocks
from tracekit.execution import Execution, Options
from tracekit.registry import check
from tracekit.results import CheckResult


@check("clock.vector", applies=lambda execution: "vclock" in execution.trace)
def vector(execution: Execution, options: Options) -> CheckResult:
    """Recorded vector timestamps are the ones that program order and messages give.

    Meaning
        A process's vector counts, for every process, the events of it that this one can know of. At each event it is
        the largest, component by component, of the vector before and of the vector that came with the message
        received, and one more in the process's own component. Then e happens before f exactly if V(e) < V(f).

        Each error has a name. clock-went-back: a component falls. missing-increment: an event does not advance its own
        component. own-component-jumped: it advances by more than the events there were. missing-merge: a receive knows
        less than its message brought. knowledge-from-the-future: an event, a first one too, knows more of
        another process than its predecessor and its message; or, where no send is known, more than that
        process has, where it is declared recorded; or a message brings more of its receiver's events than there were.
        unknown-process: that, of a process without any events; or a vector at a process that has no component.
        restart-reset-clock: a clock falls, or stands still, across a crash or restart. duplicate-event: two rows with
        the same (process, seq). missing-event: a gap in `seq` of a process that is declared recorded from start to end
        (elsewhere gaps are counted, and allowed for).

        An error is reported where it arises; a clock that is off by one and then counts on consistently is one error.
        Where a single value is wrong, the next event and the receivers seem wrong the other way round: these are
        counted as its consequences and not listed. So are three errors or more of one mistake: receives that are wrong
        about one sender by the same amount, and receives of one process whose merge shows one event late.

        Recorders differ, and what one does is inferred from the recording and stated: whether internal events and
        receives tick (sends always do), what the first event counts as (1 or 0; a 0 is then the first event or none),
        and whether a vector of zeros means that there is none. A convention takes three cases that follow it, and
        three times as many as break it; those that break it are the errors. With less than that it is undecided: then
        only what is wrong under each possibility is reported, and a verdict is unknown where it matters.

    Example
        n1:4  send     message 7   [5, 0]
        n2:9  receive  message 7   [3, 10]    <- missing merge: n1's component must be at least 5

    Needs
        The column `vclock`, and `tracekit.processes` for the order of components. Messages need `message` ids, or
        channels that are declared FIFO and reliable; in a trace without either, an event may have learned what it knows
        from a message that was not recorded: then the process's own component and the order within each process are
        checked, and the vectors against each other, since who knows an event knows all that it knew, and no two events
        know of each other. Knowledge of more events than were recorded of a process is an error where `coverage`
        declares it recorded, and else leaves the verdict unknown. First events are judged by what they count as only
        where `coverage` in `tracekit.run` declares the start recorded; without that, a process that begins later counts
        as one recorded from there on.

    Cannot see
        Events and messages that were not recorded: where events without a timestamp, or a gap in `seq`, lie between two
        vectors, the second may have ticked so much more and learned anything. Which of several copies of a message
        arrived. A recorder that forgets to tick at every internal event, or every receive, looks like one that does so
        on purpose.

    Cost
        One pass over the vectors, O(n p) for p components, and a few over the events. Only the previous event and the
        send are looked at; by induction, all vectors are right where nothing is reported.

    Reference
        Fidge, "Timestamps in Message-Passing Systems That Preserve the Partial Ordering", 1988; Mattern, "Virtual Time
        and Global States of Distributed Systems", 1989.
    """
    column = execution.trace.lists("vclock")
    if column is None:
        return CheckResult(applicable=False)
    doctor = VectorClocks.of(execution, column)
    findings, spoiled = doctor.findings(), doctor.spoiled
    convention, start = doctor.convention, doctor.start
    contradicting = Contradicting.of(doctor, findings.rows)
    violations = (*(doctor.violation(findings, i) for i in findings.shown(execution)), *contradicting.violations())
    return CheckResult(
        examined={"events": doctor.timed.count},
        violations=violations[:SHOWN],
        violations_total=findings.causes + len(contradicting.rows),
        method="; ".join(filter(None, ["local: previous event and send", convention.words, start.words])),
        reasons=(
            *convention.doubts,
            *contradicting.reasons(),
            *([f"{spoiled}: they may have had timestamps"] if spoiled else []),
        ),
        facts={**findings.facts, **contradicting.facts, **undeclared_gaps(execution), **doctor.facts},
        rests_on=convention.rests_on,
    )
