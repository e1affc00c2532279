"""Models of one's own, from a file: what works, and how each mistake is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.consistency.test_linearizable import judge
from tracekit.errors import TracekitError
from tracekit.history.models import parse_model
from tracekit.results import Verdict
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

ROOT = Path(__file__).parents[2]
LEASE = f"{ROOT / 'docs/examples/lease.py'}:Lease"


def calls(*entries: tuple[str, str, Any, Any], run: Run | None = None) -> Trace:
    """One call after the other: client, f, argument, answer; an answer of ... is none."""
    builder = TraceBuilder(run=run)
    for client, f, argument, answer in entries:
        row = {"process": client, "f": f}
        builder.add(row | {"kind": "invoke", "value": argument})
        builder.add(row | ({"kind": "info"} if answer is ... else {"kind": "ok", "value": answer}))
    return builder.build()


def test_the_page_shows_the_example() -> None:
    page = (ROOT / "docs/models.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert code == (ROOT / "docs/examples/lease.py").read_text()


def test_a_model_of_ones_own_judges() -> None:
    fine = [("a", "take", '"a"', '"a"'), ("b", "holder", None, '"a"'), ("b", "take", '"b"', '"b"')]
    held = judge(calls(*fine), LEASE)
    assert held.verdict is Verdict.HOLDS and held.certificate["keys"][0]["order"] == ["a:0", "b:0", "b:2"]
    found = judge(calls(*fine, ("a", "give", '"a"', None)), LEASE)
    assert found.verdict is Verdict.VIOLATED
    assert '"b" held it' not in found.violations[0].summary and "b held it, not a" in found.violations[0].summary
    assert "b's" in found.violations[0].facts["possible_states"]


def test_several_states_may_follow_and_no_answer_fits_all() -> None:
    either = [("a", "take", '"a"', '"a"'), ("b", "take", '"b"', ...), ("c", "holder", None, '"b"')]
    assert judge(calls(*either), LEASE).verdict is Verdict.HOLDS
    assert judge(calls(*either[:2], ("c", "holder", None, '"a"')), LEASE).verdict is Verdict.HOLDS
    assert judge(calls(*either[:2], ("c", "holder", None, '"c"')), LEASE).verdict is Verdict.VIOLATED


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return f"{path}:M"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "mine.py has no model named M"),
        ("def M(: pass", "the file cannot be run: SyntaxError"),
        ("raise ValueError('no')", "the file cannot be run: ValueError: no"),
        ("class M: init = 0", "M has no step function"),
        ("class M:\n def step(self, *a): return 0", "M has no init"),
        ("class M:\n def __init__(self): 1/0", "M cannot be made: ZeroDivisionError"),
        ("class M:\n init = []\n def step(self, *a): return 0", "the initial state has no hash: list"),
        ("import sys\nsys.exit(0)", "the file cannot be run: SystemExit"),
        (
            "class S:\n def __init__(self): self.x = []\nclass M:\n init = S()\n def step(self, *a): return 0",
            "only itself",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(TracekitError) as caught:
        parse_model(written(tmp_path, text))
    assert caught.value.code == "TK306" and says in caught.value.summary


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(TracekitError, match="does not exist"):
        parse_model("/nowhere/mine.py:M")
    with pytest.raises(TracekitError, match="which model of the file"):
        parse_model(LEASE.rpartition(":")[0])


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("raise KeyError('k')", "step raises KeyError: 'k'"),
        ("return {1: 2}", "step returns a dict, which has no hash"),
        ("return state + 1", "a call that it names as an observer changes the state"),
        ("raise SystemExit(0)", "step raises SystemExit"),
    ],
)
def test_a_step_that_fails_is_told_with_its_call(tmp_path: Path, step: str, says: str) -> None:
    text = f"class M:\n init = 0\n observers = ('go',)\n def step(self, state, f, argument, answer): {step}"
    with pytest.raises(TracekitError) as caught:
        judge(calls(("a", "go", 3, 4)), written(tmp_path, text))
    assert says in caught.value.summary and "go(3) answered 4 in the state 0" in str(caught.value.found)


BOX = """class Box:
 def __init__(self, value=0): self.value = value
"""
BY_VALUE = """ def __eq__(self, other): return self.value == other.value
 def __hash__(self): return hash(self.value)
"""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{BOX}{BY_VALUE}class M:\n init = Box()\n def step(self, state, *a): state.value += 1; return state",
         "step changes the state that it is given"),
        (f"{BOX}class M:\n init = None\n def step(self, state, *a): return Box(1)", "equals only itself"),
    ],
)  # fmt: skip
def test_states_that_may_change_are_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(TracekitError, match=says):
        judge(calls(("a", "go", 3, 4)), written(tmp_path, text))
    fine = f"{BOX}{BY_VALUE}class M:\n init = Box()\n def step(self, state, *a): return Box(state.value + 1)"
    assert judge(calls(("a", "go", 3, 4)), written(tmp_path, fine)).verdict is Verdict.HOLDS


@pytest.mark.parametrize("body", ["while True: pass", "import time; time.sleep(60)"])
def test_a_step_without_end_spends_the_budget_and_no_more(tmp_path: Path, body: str) -> None:
    text = f"class M:\n init = 0\n def step(self, state, f, argument, answer):\n  {body}"
    found = judge(calls(("a", "go", 3, 4), ("a", "go", 5, 6)), written(tmp_path, text), budget_s=0.2)
    assert found.verdict is Verdict.UNKNOWN and found.seconds < 5
    assert "0.2 s budget spent in go(3) answered 4 of the model, in the state 0" in found.reasons[0]
    assert "1 operation is open" in found.reasons[0] and "the event before has" in found.reasons[0]


def test_the_class_of_refusals_refuses_as_well(tmp_path: Path) -> None:
    text = "from tracekit.history.models import Refused\nclass M:\n init = 0\n def step(self, *a): return Refused"
    assert judge(calls(("a", "go", 3, 4)), written(tmp_path, text)).verdict is Verdict.VIOLATED


def test_code_that_a_trace_names_is_not_run(tmp_path: Path) -> None:
    name = written(tmp_path, "import pathlib\npathlib.Path(__file__).with_name('ran').touch()")
    found = judge(calls(("a", "read", None, 1), run=Run(model=name)))
    assert found.verdict is Verdict.UNKNOWN and "code that a trace names is not run" in found.reasons[0]
    assert not (tmp_path / "ran").exists()


def test_a_model_may_be_one_object_whatever_the_keys(tmp_path: Path) -> None:
    step = "def step(self, state, f, argument, answer): return state + 1 if answer == state + 1 else []"
    text = f"class M:\n init = 0\n partition = {{}}\n {step}"
    builder = TraceBuilder()
    for key, answer in (("x", 1), ("y", 2)):
        builder.add({"process": "a", "f": "next", "key": key, "kind": "invoke"})
        builder.add({"process": "a", "f": "next", "key": key, "kind": "ok", "value": answer})
    trace = builder.build()
    assert judge(trace, written(tmp_path, text.format(False))).verdict is Verdict.HOLDS
    assert judge(trace, written(tmp_path, text.format(True))).verdict is Verdict.VIOLATED


def test_calls_without_values_are_asked_for(tmp_path: Path) -> None:
    turns = [("a", "lock", None, None), ("b", "lock", None, None)]
    step = "def step(self, state, f, argument, answer): return [] if state and f == 'lock' else f == 'lock'"
    assert judge(calls(*turns), written(tmp_path, f"class M:\n init = False\n {step}")).reasons == (
        "value is not recorded",
    )
    name = written(tmp_path, f"class M:\n init = False\n valued = False\n {step}")
    assert judge(calls(*turns), name).verdict is Verdict.VIOLATED
    assert judge(calls(turns[0], ("a", "unlock", None, None), turns[1]), name).verdict is Verdict.HOLDS
