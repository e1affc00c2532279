"""Paxos checks on runs written by hand: the smallest violations, gaps in recordings, and events that make no sense."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.paxos.machine import trace_of
from tests.paxos.test_oracle import results
from tracekit.execution import Execution, Options
from tracekit.registry import checks
from tracekit.results import CheckResult, Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.trace import SetAside, SetAsides, Trace

Row = dict[str, Any]


def row(process: str, name: str, kind: str = "internal", **fields: Any) -> Row:
    """An event; fields go without their prefix, but for message, peer and index."""
    named = {k if k in ("message", "peer", "index") else f"paxos.{k}": v for k, v in fields.items()}
    return {"process": process, "kind": kind, "name": f"paxos.{name}", **named}


def check(trace: Trace, name: str) -> CheckResult:
    return checks()[f"paxos.{name}"].run(Execution(trace), Options())


def indexed(rows: Sequence[Row]) -> list[Row]:
    """As one recorder writes them."""
    return [{**r, "index": i} for i, r in enumerate(rows)]


ACCEPTORS = [row(name, "init", acceptors=["a", "b", "c"]) for name in "abc"]
SUBMIT = row("a", "submit", value="x")
TWO_LEARNED = [row("a", "learn", value="x"), row("b", "learn", value="y")]


def accepts(process: str, ballot: int, value: str) -> Row:
    return row(process, "accepted", "send", ballot=ballot, value=value, accepted_ballot=ballot, accepted_value=value)


def proposes(process: str, ballot: int, value: str) -> list[Row]:
    """It sends a request, having accepted the proposal itself."""
    own = row(process, "accepted", ballot=ballot, value=value, accepted_ballot=ballot, accepted_value=value)
    return [own, row(process, "accept", "send", ballot=ballot, value=value, message=ballot)]


def promises(process: str, ballot: int, **fields: Any) -> Row:
    return row(process, "promise", "send", ballot=ballot, promised=ballot, **fields)


def test_two_values_learned() -> None:
    (found,) = check(trace_of(TWO_LEARNED), "agreement").violations
    assert found.anomaly == "two-values-chosen"
    assert found.summary == "Two values are chosen: a learned x, and b learned y."
    assert [event.event for event in found.events] == ["a:0", "b:0"]


def test_two_values_accepted_by_majorities_are_chosen_though_nobody_learned_them() -> None:
    rows = [*ACCEPTORS, *(accepts(p, 1, "x") for p in "ab"), *(accepts(p, 2, "y") for p in "bc")]
    (found,) = check(trace_of(rows), "agreement").violations
    assert "x was accepted by a and b, a majority" in found.summary
    assert check(trace_of(rows[3:]), "agreement").verdict is Verdict.NOT_APPLICABLE, "how many acceptors are there?"
    assert check(trace_of(rows[3:], n=3), "agreement").verdict is Verdict.VIOLATED


def test_acceptances_under_different_ballots_choose_nothing() -> None:
    rows = [*ACCEPTORS, accepts("a", 1, "x"), accepts("b", 2, "x"), accepts("c", 3, "y"), accepts("a", 3, "y")]
    assert check(trace_of(rows), "agreement").verdict is Verdict.HOLDS


def test_the_same_value_twice_is_no_conflict_and_instances_are_apart() -> None:
    assert check(trace_of([row("a", "learn", value="x"), row("b", "learn", value="x")]), "agreement").examined == {
        "instances": 1
    }
    rows = [{**r, "paxos.instance": i} for i, r in enumerate(TWO_LEARNED)]
    assert check(trace_of(rows), "agreement").verdict is Verdict.HOLDS


def test_a_value_that_nobody_put_forward() -> None:
    rows = [SUBMIT, row("a", "accept", "send", ballot=1, value="z", message=1)]
    (found,) = check(trace_of(rows), "validity").violations
    assert found.summary == "a used the value z, which nobody had put forward."
    partial = trace_of(rows, coverage={"a": {"start": False, "end": True}})
    assert check(partial, "validity").verdict is Verdict.UNKNOWN
    assert check(trace_of(rows[1:]), "validity").reasons == ("no value put forward is recorded (paxos.submit)",)


def test_a_value_put_forward_for_another_instance_is_not_enough() -> None:
    proposed = row("a", "accept", "send", ballot=1, value="x", instance=2)
    assert check(trace_of([row("a", "submit", value="x", instance=1), proposed]), "validity").violations_total == 1
    assert check(trace_of([SUBMIT, proposed]), "validity").verdict is Verdict.HOLDS


def test_a_promise_broken_and_a_promise_lowered() -> None:
    (broken,) = check(trace_of([promises("a", 7), row("a", "restart", "restart"), accepts("a", 5, "x")]),
                      "promise-monotonic").violations  # fmt: skip
    assert broken.anomaly == "promise-broken"
    assert broken.summary == (
        "a had promised ballot 7, and then accepted the proposal of ballot 5. It restarted in between (a:1)."
    )
    (lowered,) = check(trace_of([promises("a", 7), promises("a", 5)]), "promise-monotonic").violations
    assert lowered.anomaly == "promise-lowered"


def test_a_promise_for_all_instances_binds_each() -> None:
    rows = [promises("a", 7), {**accepts("a", 5, "x"), "paxos.instance": 3}]
    assert check(trace_of(rows), "promise-monotonic").violations_total == 1
    rows = [promises("a", 7, instance=1), {**accepts("a", 5, "x"), "paxos.instance": 3}]
    assert check(trace_of(rows), "promise-monotonic").verdict is Verdict.HOLDS
    rows = [promises("a", 7, instance=1), promises("a", 5), {**accepts("a", 6, "x"), "paxos.instance": 3}]
    assert check(trace_of(rows), "promise-monotonic").violations_total == 1


def test_state_that_is_only_repeated_is_no_new_acceptance() -> None:
    rows = [accepts("a", 5, "x"), promises("a", 7, accepted_ballot=5, accepted_value="x"),
            row("a", "prepare", "receive", promised=7, accepted_ballot=5, accepted_value="x")]  # fmt: skip
    assert check(trace_of(rows), "promise-monotonic").verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("rows", "anomaly"),
    [
        ([row("a", "accept", "send", ballot=4, value=v, message=i) for i, v in enumerate("xy")],
         "ballot-with-two-values"),
        ([row(p, "prepare", "send", ballot=4, message=i) for i, p in enumerate("ab")], "ballot-of-two-proposers"),
        ([row("a", "start_ballot", ballot=4), row("a", "restart", "restart"), row("a", "start_ballot", ballot=4)],
         "ballot-begun-twice"),
        ([row("a", "start_ballot", ballot=4), row("b", "accept", "send", instance=1, ballot=4, value="x", message=1)],
         "ballot-of-two-proposers"),
    ],
)  # fmt: skip
def test_a_number_used_twice(rows: list[Row], anomaly: str) -> None:
    (found,) = check(trace_of(rows), "unique-ballot").violations
    assert found.anomaly == anomaly


def test_requests_sent_again_use_no_number_twice() -> None:
    rows = [row("a", "start_ballot", ballot=4)]
    rows += [row("a", "prepare", "send", ballot=4, message=i) for i in range(4)]
    rows += [row("a", "accept", "send", ballot=4, value="x", message=i) for i in range(4, 8)]
    assert check(trace_of(rows), "unique-ballot").verdict is Verdict.HOLDS


def test_a_value_that_no_majority_leaves() -> None:
    rows = [*ACCEPTORS, accepts("a", 1, "x"), accepts("b", 1, "x"), accepts("c", 0, "w"), *proposes("c", 3, "y")]
    (found,) = check(trace_of(rows), "value-choice").violations
    assert found.anomaly == "value-not-left-by-a-quorum"
    assert found.summary == (
        "c used y for ballot 3, though a and b had accepted x (ballot 1). Every majority "
        "of the 3 acceptors includes one of these."
    )
    assert found.events[-1].event == "c:3"
    rows[4:6] = [accepts("b", 4, "x"), accepts("c", 0, "y")]  # not below 3: b and c leave the value
    assert check(trace_of(rows), "value-choice").violations_total == 0


def test_an_acceptance_without_its_value_has_that_of_its_ballot() -> None:
    request = row("d", "accept", "send", ballot=1, value="x", message=9)
    told = [row(p, "accepted", "send", ballot=1, message=i) for i, p in enumerate("ab")]
    rows = [*ACCEPTORS, request, *told, accepts("c", 0, "w"), *proposes("c", 3, "y")]
    assert check(trace_of(rows), "value-choice").verdict is Verdict.VIOLATED
    del rows[3]
    found = check(trace_of(rows), "value-choice")
    assert found.verdict is Verdict.HOLDS or found.reasons
    assert found.violations_total == 0
    assert check(trace_of(rows), "agreement").verdict is not Verdict.HOLDS


CHOSEN = [*ACCEPTORS, SUBMIT, promises("a", 1), promises("b", 1), accepts("a", 1, "x"), accepts("b", 1, "x"),
          row("a", "learn", value="x")]  # fmt: skip


def test_a_quorum_by_one_recorders_order() -> None:
    assert check(trace_of(indexed(CHOSEN)), "quorum").verdict is Verdict.HOLDS
    early = [*CHOSEN[:7], CHOSEN[8], CHOSEN[7], accepts("c", 2, "x")]
    (found,) = check(trace_of(indexed(early)), "quorum").violations
    assert found.anomaly == "learned-without-quorum"
    assert found.facts["accepted"] == ["a"]
    assert found.facts["needed"] == 2
    assert check(trace_of(early), "quorum").verdict is Verdict.UNKNOWN, "there is no order"


def test_a_request_before_the_promises_of_a_majority() -> None:
    rows = [*ACCEPTORS, *(promises(name, 0) for name in "abc"), row("a", "promise", ballot=1, promised=1),
            row("a", "accept", "send", ballot=1, value="x", message=1), promises("b", 1)]  # fmt: skip
    (found,) = check(trace_of(indexed(rows)), "quorum").violations
    assert found.anomaly == "proposed-without-quorum"
    assert found.facts["promised"] == ["a"]


@pytest.mark.parametrize(
    "run",
    [{"n": 5}, {"coverage": {"b": {"start": True, "end": False}}}, {"coverage": {"c": {"start": False, "end": True}}}],
)
def test_what_is_not_recorded_may_excuse(run: dict[str, Any]) -> None:
    rows = [SUBMIT, promises("a", 1), promises("b", 1), promises("c", 1), accepts("a", 1, "x"),
            row("a", "learn", value="x"), accepts("b", 1, "x"), accepts("b", 2, "y"), accepts("a", 2, "y"),
            accepts("c", 0, "w")]  # fmt: skip
    assert check(trace_of(indexed(rows)), "quorum").verdict is Verdict.VIOLATED
    assert check(trace_of(indexed(rows)), "value-choice").verdict is Verdict.VIOLATED
    doubtful = trace_of(indexed(rows), **run)
    assert check(doubtful, "quorum").verdict is Verdict.UNKNOWN
    assert check(doubtful, "value-choice").verdict is Verdict.UNKNOWN


def test_an_acceptor_without_any_record_may_have_accepted() -> None:
    rows = [row("a", "init", acceptors=["a", "b", "c"]), accepts("a", 1, "x"), row("a", "learn", value="x")]
    found = check(trace_of(indexed(rows)), "quorum")
    assert found.verdict is Verdict.UNKNOWN
    assert "too many acceptances before it may not be recorded" in found.reasons[0]


def test_acceptors_that_change_are_not_followed() -> None:
    rows = [*CHOSEN, row("d", "init", acceptors=["a", "b", "d"])]
    for name in ("quorum", "value-choice"):
        assert "not the same everywhere" in check(trace_of(indexed(rows)), name).reasons[0]


@pytest.mark.parametrize("missing", ["paxos.value", "paxos.instance", "paxos.ballot"])
def test_an_event_without_what_it_needs_leaves_doubt(missing: str) -> None:
    rows = [{**r, "paxos.instance": 1} for r in indexed(CHOSEN)]
    rows[-1] = {k: v for k, v in rows[-1].items() if k != missing}
    rows.insert(4, {**row("a", "accept", "send", ballot=1, value="x", instance=1, message=1), "index": 3})
    rows[4] = {k: v for k, v in rows[4].items() if k != missing}
    verdicts = {name: result.verdict for name, result in results(trace_of(rows)).items()}
    assert Verdict.UNKNOWN in verdicts.values()
    assert Verdict.VIOLATED not in {v for n, v in verdicts.items() if n != "paxos.quorum"}


def test_what_was_set_aside_may_excuse_or_break_a_rule() -> None:
    for rows in (CHOSEN, TWO_LEARNED):
        trace = replace(
            trace_of(indexed(rows)), set_aside=SetAsides.of([SetAside("x:3", "no integer", "", "paxos.instance")])
        )
        assert check(trace, "agreement").verdict is Verdict.UNKNOWN


NAMES = ("init", "submit", "start_ballot", "prepare", "promise", "accept", "accepted", "learn", "restart", "odd")
KINDS = ("internal", "send", "receive", "restart", "crash", "fault", "invoke", "ok")
EXTREMES = (-(2**63), -1, 0, 2**31, 2**62, 2**63 - 1)


def event(draw: random.Random) -> Row:
    """A row of drawn fields, each with a drawn value or absent."""
    fields = {
        "process": draw.choice(("a", "b", "c", "nemesis")), "kind": draw.choice(KINDS),
        "name": f"paxos.{draw.choice(NAMES)}",
    }  # fmt: skip
    maybe = {
        f"paxos.{name}": draw.choice(EXTREMES) if draw.random() < 0.2 else draw.randrange(4)
        for name in ("ballot", "promised", "accepted_ballot", "last_ballot")
    }
    maybe |= {"paxos.value": draw.choice("xyz"), "paxos.accepted_value": draw.choice("xyz")}
    maybe |= {"paxos.instance": draw.randrange(3), "message": draw.randrange(8), "peer": draw.choice("abq")}
    maybe["paxos.acceptors"] = [draw.choice(("a", "b", "", None)) for _ in range(draw.randrange(3))]
    return fields | {name: value for name, value in maybe.items() if draw.random() < 0.5}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(6))
def test_any_events(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(30):
        builder = TraceBuilder()
        for _ in range(draw.randrange(1, 40)):
            builder.add(event(draw))
        for result in results(builder.build()).values():
            result.to_json()


@pytest.mark.parametrize("name", ["paxos.value", "paxos.ballot", "paxos.promised", "paxos.instance", "paxos.acceptors"])
@pytest.mark.parametrize("value", [1.5, True, "text", 7, ["x"], [1, 2]])
def test_columns_of_other_types(name: str, value: Any) -> None:
    rows = [{**r, name: value} for r in indexed(CHOSEN)]
    for result in results(trace_of(rows)).values():
        result.to_json()


def test_instances_that_cannot_be_read_leave_everything_open() -> None:
    rows = [{**r, "paxos.instance": [i]} for i, r in enumerate(indexed(TWO_LEARNED))]
    for result in results(trace_of(rows)).values():
        assert "paxos.instance is not recorded as string or int64" in result.reasons[0]


def test_a_proposer_that_never_records_its_own_steps_may_have_taken_them() -> None:
    others = [step for name in "abc" for step in (promises(name, 0), accepts(name, 0, "w"))]
    rows = [*ACCEPTORS, SUBMIT, row("a", "prepare", "send", ballot=3, message=1), promises("b", 3),
            row("a", "accept", "send", ballot=3, value="x", message=2), row("b", "accepted", ballot=3, value="x"),
            row("a", "learn", value="x"), *others]  # fmt: skip
    found = check(trace_of(indexed(rows)), "quorum")
    assert found.verdict is Verdict.UNKNOWN
    assert found.violations_total == 0
    told = [*rows[:5], promises("a", 3), *rows[5:8], accepts("a", 3, "x"), *rows[8:]]
    assert check(trace_of(indexed(told)), "quorum").verdict is Verdict.HOLDS
    elsewhere = [*rows, row("a", "start_ballot", ballot=9, promised=9), *proposes("a", 9, "y")]
    assert check(trace_of(indexed(elsewhere)), "quorum").verdict is Verdict.VIOLATED, "it does record its own"


IN_INSTANCE = [
    {**row, "paxos.instance": 1}
    for row in (accepts("a", 5, "x"), accepts("b", 6, "y"), accepts("c", 7, "x"), row("d", "accept", "send", ballot=8,
                value="y", message=1, peer="b"), accepts("b", 0, "y"))
]  # fmt: skip
"""A run of Paxos: of b and c, and of a and c, x is left to ballot 8; of a and b it is y."""


def test_an_acceptance_that_cannot_be_read_may_be_the_one_that_leaves_the_value() -> None:
    assert check(trace_of([*ACCEPTORS, *IN_INSTANCE]), "value-choice").verdict is Verdict.HOLDS
    nameless = {k: v for k, v in IN_INSTANCE[1].items() if k != "paxos.instance"}
    rows = [*ACCEPTORS, IN_INSTANCE[0], nameless, *IN_INSTANCE[2:]]
    assert check(trace_of(rows), "value-choice").verdict is Verdict.UNKNOWN
    assert check(trace_of([*ACCEPTORS, IN_INSTANCE[0], *IN_INSTANCE[2:4]]), "value-choice").verdict is Verdict.UNKNOWN
    cut = [*ACCEPTORS, IN_INSTANCE[0], *IN_INSTANCE[2:]]
    assert check(trace_of(cut), "value-choice").verdict is Verdict.VIOLATED
    assert check(replace(trace_of(cut), complete=False), "value-choice").verdict is Verdict.VIOLATED
    logs = trace_of(sorted(cut, key=lambda row: str(row["process"])))
    assert check(replace(logs, complete=False), "value-choice").verdict is Verdict.UNKNOWN


ACCEPTED_NOTHING = [accepts(name, 1, "x") for name in "abc"]
"""Acceptors that show what they accept: of whatever else is learned, nobody has accepted it."""


def test_a_file_that_lost_its_end_may_have_lost_who_put_a_value_forward() -> None:
    used = [*ACCEPTED_NOTHING[:2], row("b", "learn", value="y"), ACCEPTED_NOTHING[2]]
    trace = trace_of([SUBMIT, *used])  # logs, one behind the other
    assert check(trace, "validity").verdict is Verdict.VIOLATED
    found = check(replace(trace, complete=False), "validity")
    assert found.verdict is Verdict.UNKNOWN
    assert "not marked complete" in found.reasons[0]
    written = trace_of([SUBMIT, *used, SUBMIT])
    assert check(replace(written, complete=False), "validity").verdict is Verdict.VIOLATED


def round_of(process: str, number: int) -> list[Row]:
    """What passes between the proposer d and an acceptor in ballot 1, without what d receives."""
    return [
        row("d", "prepare", "send", ballot=1, message=number, peer=process),
        row(process, "prepare", "receive", ballot=1, promised=1, message=number, peer="d"),
        row(process, "promise", "send", ballot=1, promised=1, message=number + 1, peer="d"),
    ]


def test_receipts_that_nobody_records_leave_open_what_was_known() -> None:
    request = row("d", "accept", "send", ballot=1, value="x", message=9, peer="b")
    heard = row("d", "promise", "receive", ballot=1, message=2, peer="b")
    rows = [*ACCEPTORS, *round_of("b", 1), *round_of("c", 3)]
    found = check(trace_of([*rows, request]), "quorum")
    assert found.verdict is Verdict.UNKNOWN
    assert "no receipt of paxos.promise is recorded" in found.reasons[0]
    assert check(trace_of([*rows, heard, request]), "quorum").verdict is Verdict.VIOLATED
    # promises that nobody gave cannot have been known, where all acceptors show that they record them
    alone = [*ACCEPTORS, *round_of("b", 1), request]
    assert check(trace_of(alone), "quorum").verdict is Verdict.UNKNOWN
    assert check(trace_of([*alone, promises("a", 0), promises("c", 0)]), "quorum").verdict is Verdict.VIOLATED


def test_places_that_two_events_share_are_no_total_order() -> None:
    rows = [*ACCEPTORS, promises("a", 1), promises("b", 1), row("a", "accept", "send", ballot=1, value="x")]
    assert check(trace_of(indexed(rows)), "quorum").verdict is Verdict.HOLDS
    shared = indexed(rows)
    shared[-2]["index"] = shared[-1]["index"]
    assert check(trace_of(shared), "quorum").verdict is Verdict.UNKNOWN


def test_whom_requests_are_sent_to_is_an_acceptor_though_nothing_of_it_is_recorded() -> None:
    asked = [row("a", "prepare", "send", ballot=1, peer=name) for name in "bde"]
    rows = [
        accepts("a", 1, "x"),
        accepts("b", 1, "x"),
        accepts("c", 0, "w"),
        *proposes("c", 2, "y"),
    ]
    assert check(trace_of(rows), "value-choice").verdict is Verdict.VIOLATED
    found = check(trace_of([*asked, *rows]), "value-choice")
    assert found.verdict is Verdict.UNKNOWN
    assert "and 2 more to which requests were sent" in found.rests_on[0]


@pytest.mark.parametrize(
    "rows",
    [
        [row("a", "submit", value=17), row("b", "accepted", ballot=1, accepted_ballot=1, accepted_value=17.0)],
        [row("a", "submit", value=True), row("b", "learn", value=False)],
        [row("a", "init", acceptors=[1, 2, 3]), row("a", "learn", value="x")],
        [row("a", "init", acceptors="a b c"), row("a", "learn", value="x")],
    ],
)
def test_fields_of_other_types_leave_everything_open(rows: list[Row]) -> None:
    for name, found in results(trace_of(rows)).items():
        assert found.verdict is Verdict.UNKNOWN, name
        assert "but as" in found.reasons[0]


def test_a_method_tells_of_majorities_only_where_they_were_counted() -> None:
    changing = [row("a", "init", acceptors=["a", "b"]), row("b", "init", acceptors=["a"]), accepts("a", 1, "x")]
    assert check(trace_of([*changing, row("a", "learn", value="x")]), "agreement").method == "values learned"


def test_a_value_learned_and_never_proposed_is_told_as_learned() -> None:
    learned = row("b", "learn", value="y")
    assert check(trace_of([SUBMIT, learned]), "validity").verdict is Verdict.UNKNOWN
    (found,) = check(trace_of([SUBMIT, *ACCEPTED_NOTHING, learned]), "validity").violations
    assert found.summary == "b learned that y is chosen, a value that nobody had put forward."
