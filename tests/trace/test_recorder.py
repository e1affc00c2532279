"""Recorder: the clocks are right whatever the program does, and nothing that was recorded is lost."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit
from tests.trace.recorded import joined
from tracekit.errors import TracekitError
from tracekit.results import Result, Verdict
from tracekit.trace.context import HEADER
from tracekit.trace.recorder import Recorder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

CLOCKS = ["clock.lamport", "clock.vector", "channel.delivery"]
HERE = Path(__file__).parent


def rows(path: Path) -> list[dict[str, Any]]:
    return [row for row in map(json.loads, path.read_text().splitlines()) if "kind" in row]


def judged(trace: Trace) -> Result:
    result = tracekit.analyze(trace, check=CLOCKS)
    assert [(c.check, c.verdict, c.violations) for c in result.checks if c.verdict is Verdict.VIOLATED] == []
    return result


steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["event", "send", "receive", "reopen"]), st.integers(0, 5)),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_clocks_are_the_ones_that_happens_before_gives(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("r")
    recorders = {name: Recorder(folder / f"{name}.jsonl", name) for name in "abc"}
    sent: list[str] = []
    for process, step, number in steps:
        recorder = recorders[process]
        if step == "send":
            sent.append(recorder.send("m"))
        elif step == "receive" and sent:
            assert recorder.receive(sent[number % len(sent)], "m") in recorders
        elif step == "reopen":
            recorder.close()
            recorders[process] = Recorder(folder / f"{process}.jsonl", process)
        else:
            recorder.event("e")
    for recorder in recorders.values():
        recorder.close()
    trace = joined(*(recorder.path for recorder in recorders.values()))
    assert trace.complete and not trace.set_aside.count
    execution = tracekit.Execution(trace)
    every = list(range(len(trace)))
    recorded = [trace.fields(row) for row in every]
    assert [f["lamport"] for f in recorded] == execution.happens_before.lamport(every).tolist()
    wanted = [dict(zip(trace.processes, v, strict=True)) for v in execution.happens_before.frontiers(every).tolist()]
    found = [dict(zip(trace.processes, f["vclock"], strict=False)) for f in recorded]
    assert found == [{p: n for p, n in v.items() if p in f} for v, f in zip(wanted, found, strict=True)]
    assert not any(n for v, f in zip(wanted, found, strict=True) for p, n in v.items() if p not in f)
    if steps:
        assert judged(trace).exit_code == 0


class TestFile:
    def test_every_event_is_there_before_the_call_returns(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "n1.jsonl", "n1", Run(system="shop"), time_ns=lambda: 7)
        assert json.loads((tmp_path / "n1.jsonl").read_text()) == {
            "tracekit.version": 1,
            "tracekit.run": {"system": "shop"},
        }
        for number in range(5):
            assert recorder.event("step", {"demo.n": number}) == f"n1:{number}"
            last = rows(tmp_path / "n1.jsonl")[-1]
            assert last == {
                "process": "n1", "seq": number, "kind": "internal", "name": "step", "time_ns": 7,
                "lamport": number + 1, "vclock": {"n1": number + 1}, "demo.n": number,
            }  # fmt: skip

    def test_one_event_is_one_write(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        recorder = Recorder(tmp_path / "n1.jsonl", "n1")
        written: list[bytes] = []
        real = os.write
        monkeypatch.setattr(os, "write", lambda file, data: written.append(data) or real(file, data))
        recorder.send("m", to="n2")
        assert len(written) == 1 and written[0].endswith(b"\n")

    def test_closed_means_complete_unless_the_block_ends_with_an_error(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "a.jsonl", "a") as recorder:
            recorder.event("e")
        assert joined(tmp_path / "a.jsonl").complete
        with pytest.raises(RuntimeError), Recorder(tmp_path / "b.jsonl", "b") as recorder:
            recorder.event("before")
            raise RuntimeError
        trace = joined(tmp_path / "b.jsonl")
        assert (len(trace), trace.complete) == (1, False)
        Recorder(tmp_path / "a.jsonl", "a")
        assert not joined(tmp_path / "a.jsonl").complete

    def test_operations(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "c.jsonl", "c1") as client:
            write = client.invoke("write", "x", "text")
            client.ok(write)
            read = client.invoke("read", "x")
            client.ok(read, "text")
            client.info(client.invoke("cas", "x", ["text", 3]))
            client.fail(client.invoke("cas", "x", ["no", 3]))
            with pytest.raises(ValueError, match="not open"):
                client.ok(read)
        trace = joined(tmp_path / "c.jsonl")
        operations = tracekit.Execution(trace).operations
        assert len(operations) == 4
        assert [trace.fields(r).get("value") for r in operations.row] == ['"text"', None, '["text",3]', '["no",3]']
        result = tracekit.analyze(
            trace, check=["consistency.linearizable"], options=tracekit.Options(model="cas-register")
        )
        assert result.exit_code == 0, result.checks

    def test_faults_have_no_clocks(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "f.jsonl", "nemesis") as nemesis:
            nemesis.event("partition", {"nemesis.value": "n1"})
            with pytest.raises(ValueError, match="faults only"):
                nemesis.send("m")
        (row,) = rows(tmp_path / "f.jsonl")
        assert row["kind"] == "fault" and not {"lamport", "vclock"} & row.keys()

    def test_mistakes_are_told_and_record_nothing(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "n1.jsonl", "n1")
        with pytest.raises(ValueError, match="lamport"):
            recorder.event("e", {"lamport": 3})
        with pytest.raises(TypeError):
            recorder.event("e", {"demo.object": object()})
        assert recorder.event("e") == "n1:0"
        recorder.event("surrogate \udc80", {"demo.large": 1 << 80})
        assert len(rows(tmp_path / "n1.jsonl")) == 2
        recorder.close()
        with pytest.raises(ValueError, match="closed"):
            recorder.event("e")
        with pytest.raises(ValueError, match="name"):
            Recorder(tmp_path / "n2.jsonl", "")


class TestRestart:
    def test_seq_and_clocks_go_on(self, tmp_path: Path) -> None:
        path = tmp_path / "n1.jsonl"
        with Recorder(path, "n1") as n1, Recorder(tmp_path / "n2.jsonl", "n2") as n2:
            n1.receive(n2.send("m"), "m")
        with Recorder(path, "n1") as n1:
            n1.event("again")
        assert [(r["seq"], r["kind"], r["lamport"]) for r in rows(path)] == [
            (0, "receive", 2), (1, "restart", 3), (2, "internal", 4),
        ]  # fmt: skip
        assert rows(path)[-1]["vclock"] == {"n1": 3, "n2": 1}
        assert judged(joined(path, tmp_path / "n2.jsonl")).exit_code == 0

    @pytest.mark.parametrize("cut", range(1, 60, 7))
    def test_a_torn_last_line_is_left_alone_and_told(self, tmp_path: Path, cut: int) -> None:
        path = tmp_path / "n1.jsonl"
        with Recorder(path, "n1") as recorder:
            recorder.event("one")
            recorder.event("two")
        text = path.read_bytes().rpartition(b'{"tracekit.complete')[0]
        path.write_bytes(text[:-cut])
        torn = cut > 1
        trace = joined(path)
        assert (len(trace), trace.set_aside.count) == ((1, 1) if torn else (2, 0))
        with Recorder(path, "n1") as recorder:
            recorder.event("three")
        trace = joined(path)
        assert trace.seq.tolist() == list(range(3 if torn else 4))
        restart = trace.fields(1 if torn else 2)
        assert restart.get("recorder.torn") is (True if torn else None)
        assert list(trace.set_aside.counts) == (
            ["a torn line: its writer was stopped while writing it"] if torn else []
        )
        assert judged(trace).checks

    @pytest.mark.parametrize("cut", [0, 1, 20])
    def test_a_watcher_records_the_crash_and_the_program_its_own_restart(self, tmp_path: Path, cut: int) -> None:
        path = tmp_path / "n1.jsonl"
        first = Recorder(path, "n1")
        first.event("one")
        first.event("two")
        first.close(complete=False)
        path.write_bytes(path.read_bytes()[: -cut or None])
        seen = 1 if cut > 1 else 2
        with Recorder(path, "n1", restarts=False) as watcher:
            assert watcher.events == seen
            watcher.crash("demo.crash")
        with Recorder(path, "n1", restarts=False) as again:
            again.restart("demo.restart", {"demo.items": 3})
            assert again.events == seen + 2
        trace = joined(path)
        assert trace.complete
        assert [trace.fields(row).get("name") for row in range(seen, seen + 2)] == ["demo.crash", "demo.restart"]
        assert trace.fields(seen + 1)["demo.items"] == 3
        assert trace.seq.tolist() == list(range(seen + 2))
        assert list(trace.set_aside.counts) == (
            ["a torn line: its writer was stopped while writing it"] if cut > 1 else []
        )
        assert judged(trace).checks

    @pytest.mark.parametrize("size", [0, 1, 10, 21, 35])
    def test_a_torn_first_line(self, tmp_path: Path, size: int) -> None:
        path = tmp_path / "n1.jsonl"
        Recorder(path, "n1").close(complete=False)
        path.write_bytes(path.read_bytes()[:size])
        with Recorder(path, "n1") as recorder:
            assert recorder.event("e") == "n1:0"
        assert joined(path).set_aside.count == 0

    def test_long_lines_and_a_long_file(self, tmp_path: Path) -> None:
        path = tmp_path / "n1.jsonl"
        with Recorder(path, "n1") as recorder:
            recorder.event("long", {"demo.text": "x" * 3_000_000})
        with path.open("ab") as file:
            file.write(b"rubbish" * 100_000)
        with Recorder(path, "n1") as recorder:
            assert recorder.event("next") == "n1:2"

    def test_other_files_are_not_touched(self, tmp_path: Path) -> None:
        path = tmp_path / "n1.jsonl"
        for content in (b"hello\n", b'{"a":1}\n', b'{"tracekit"', b"\0\0\0"):
            path.write_bytes(content)
            with pytest.raises(TracekitError) as error:
                Recorder(path, "n1")
            assert error.value.code == "TK110"
            assert path.read_bytes() == content
        path.unlink()
        with Recorder(path, "n2") as recorder:
            recorder.event("e")
        with pytest.raises(TracekitError, match="not this process's log"):
            Recorder(path, "n1")
        with path.open("a") as file:
            file.write('{"process":"n2","kind":"internal"}\n')
        with pytest.raises(TracekitError, match="not this process's log"):
            Recorder(path, "n2")

    def test_one_recorder_a_file(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "n1.jsonl", "n1")
        with pytest.raises(TracekitError) as error:
            Recorder(tmp_path / "n1.jsonl", "n1")
        assert error.value.code == "TK111"
        recorder.close()
        Recorder(tmp_path / "n1.jsonl", "n1").close()

    def test_a_full_disk_loses_the_event_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorder = Recorder(tmp_path / "n1.jsonl", "n1")
        recorder.event("before")
        real = os.write
        with monkeypatch.context() as full:
            full.setattr(os, "write", lambda file, data: real(file, data[:20]))
            with pytest.raises(OSError, match="space"):
                recorder.event("lost")
        assert recorder.event("after") == "n1:1"
        recorder.close()
        trace = joined(tmp_path / "n1.jsonl")
        assert (trace.seq.tolist(), trace.set_aside.count) == ([0, 1], 1)

    def test_an_interrupt_between_writing_and_counting(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        recorder = Recorder(tmp_path / "n1.jsonl", "n1")
        real = os.write

        def interrupted(file: int, data: bytes) -> int:
            real(file, data)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                recorder.event("written all the same")
        assert recorder.event("next") == "n1:1"
        assert [r["seq"] for r in rows(tmp_path / "n1.jsonl")] == [0, 1]


def test_kill_9_loses_nothing_whose_call_had_returned(tmp_path: Path) -> None:
    path = tmp_path / "n1.jsonl"
    random.seed(9)
    known: list[str] = []
    for _ in range(20):
        command = [
            sys.executable,
            "-m",
            "tests.trace.crashing_writer",
            str(path),
            str(random.choice([10, 5000, 20000])),
        ]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HERE.parents[1])
        assert writer.stdout
        known.append(writer.stdout.readline().decode().strip())
        time.sleep(random.uniform(0, 0.03))
        writer.send_signal(signal.SIGKILL)
        known += writer.stdout.read().decode().split()
        writer.wait()
        writer.stdout.close()
        names = {f"n1:{row['seq']}" for row in valid_rows(path)}
        assert set(known) <= names
    trace = joined(path)
    assert trace.seq.tolist() == list(range(len(trace)))
    assert (trace.kind == 8).sum() == 19
    assert trace.set_aside.count <= 20
    judged(trace)


def valid_rows(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if "kind" in row:
            found.append(row)
    return found


class TestContext:
    def test_headers(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "é.jsonl", "é 1") as a, Recorder(tmp_path / "b.jsonl", "b") as b:
            headers = a.inject({"Accept": "*/*"}, "request", to="b")
            assert headers["Accept"] == "*/*"
            assert headers[HEADER].isascii() and headers[HEADER].isprintable()
            for form in (
                headers, {k.upper(): v for k, v in headers.items()}, list(headers.items()),
                [(k.encode(), v.encode()) for k, v in headers.items()],
            ):  # fmt: skip
                assert b.extract(form, "request") == "é 1"
        trace = joined(a.path, b.path)
        assert judged(trace).exit_code == 0
        assert len(tracekit.Execution(trace).messages.receives) == 4

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_nothing_that_a_message_carries_raises_or_breaks_the_clocks(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        folder = tmp_path_factory.mktemp("h")
        with Recorder(folder / "a.jsonl", "a") as a, Recorder(folder / "b.jsonl", "b") as b:
            good = a.inject({}, "request")
            numbers = st.integers(-5, 2**70)
            names = st.sampled_from(["a", "b", "c", "", "nemesis", "x\ny"])
            parts = {
                "process": names | numbers, "message": st.sampled_from(["a:0", 7]), "lamport": numbers | st.booleans(),
                "vclock": st.dictionaries(names, numbers | st.floats() | st.none()),
            }  # fmt: skip
            forged = st.fixed_dictionaries({}, optional=parts)
            text = good[HEADER]
            place = data.draw(st.integers(0, len(text)))
            hostile = (
                st.text(max_size=30) | st.binary(max_size=30) | forged.map(json.dumps) | st.just("[" * 100_000)
                | st.just(text[:place] + "9" + text[place:]) | st.just(text[:place]) | st.none() | st.integers()
            )  # fmt: skip
            value = data.draw(hostile)
            headers: Any = data.draw(
                st.sampled_from([{HEADER: value}, [(HEADER, value)], value, [value], {None: 1}, object()])
            )
            sender = b.extract(headers, "m")
            b.event("after")
        received, after = rows(folder / "b.jsonl")
        assert (sender is None) == ("message" not in received) == ("recorder.context" in received)
        assert after["vclock"]["b"] == 2 and 0 < after["lamport"] < 2**63
        assert not joined(folder / "b.jsonl").set_aside.count

    def test_knowledge_of_events_that_are_not_there_is_refused(self, tmp_path: Path) -> None:
        with Recorder(tmp_path / "a.jsonl", "a") as a:
            context = json.loads(a.send("m")) | {"vclock": {"a": 1, "b": 5}}
        with Recorder(tmp_path / "b.jsonl", "b") as b:
            assert b.receive(json.dumps(context)) is None
        assert rows(tmp_path / "b.jsonl")[0]["recorder.context"] == "it knows more events of b than there are"


class TestConcurrency:
    def test_threads(self, tmp_path: Path) -> None:
        a, b = (Recorder(tmp_path / f"{name}.jsonl", name) for name in "ab")

        def work() -> None:
            for number in range(1000):
                if number % 4 == 0:
                    b.extract(a.inject({}, "request", to="b"), "request")
                elif number % 4 == 1:
                    a.receive(b.send("answer", to="a"), "answer")
                else:
                    a.event("step")

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        a.close()
        b.close()
        trace = joined(a.path, b.path)
        assert len(trace) == 8 * 1500
        for code in range(2):
            of = trace.seq[trace.process == code]
            assert of.tolist() == list(range(len(of)))
        assert judged(trace).exit_code == 0

    def test_asyncio(self, tmp_path: Path) -> None:
        a, b = (Recorder(tmp_path / f"{name}.jsonl", name) for name in "ab")

        async def run() -> None:
            queue: asyncio.Queue[dict[str, str]] = asyncio.Queue(3)

            async def client(number: int) -> None:
                for _ in range(20):
                    await queue.put(a.inject({}, "request", to="b", fields={"demo.client": number}))
                    await asyncio.sleep(0)

            async def server() -> None:
                for _ in range(100):
                    b.extract(await queue.get(), "request")
                    await asyncio.sleep(0)

            await asyncio.gather(server(), *(client(number) for number in range(5)))

        asyncio.run(run())
        a.close()
        b.close()
        trace = joined(a.path, b.path)
        assert len(trace) == 200
        assert judged(trace).exit_code == 0

    def test_a_signal_handler_that_interrupts_a_step_is_told(self, tmp_path: Path) -> None:
        def nested() -> int:
            recorder.event("from the handler")
            return 0

        recorder = Recorder(tmp_path / "n1.jsonl", "n1", time_ns=nested)
        with pytest.raises(RuntimeError, match="signal handler"):
            recorder.event("outer")
        recorder._time_ns = time.time_ns
        assert recorder.event("next") == "n1:0"


def in_child(recorder: Recorder, context: str) -> None:
    recorder.receive(context, "start")
    recorder.event("in the child")
    recorder.close()


class TestChildren:
    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_a_child_has_its_own_name_and_file(self, tmp_path: Path, method: str) -> None:
        parent = Recorder(tmp_path / "n1.jsonl", "n1")
        start = multiprocessing.get_context(method)
        children = [start.Process(target=in_child, args=(parent, parent.send("start"))) for _ in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == 0
        parent.event("after")
        parent.close()
        names = {f"n1.{child.pid}" for child in children}
        assert {path.stem for path in tmp_path.iterdir()} == {"n1", *names}
        trace = joined(*sorted(tmp_path.iterdir()))
        assert set(trace.processes) == {"n1", *names}
        assert trace.complete
        assert judged(trace).exit_code == 0

    def test_a_child_that_records_nothing_leaves_nothing_and_holds_nothing(self, tmp_path: Path) -> None:
        code = (
            "import os, sys, time\nfrom tracekit.trace.recorder import Recorder\n"
            "recorder = Recorder(sys.argv[1], 'n1')\nif os.fork() == 0:\n    os.write(1, b'%d\\n' % os.getpid())\n"
            "time.sleep(100)"
        )
        path = tmp_path / "n1.jsonl"
        parent = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, cwd=HERE.parents[1])
        assert parent.stdout
        child = int(parent.stdout.readline())
        try:
            with pytest.raises(TracekitError):
                Recorder(path, "n1")
            parent.kill()
            parent.wait()
            Recorder(path, "n1").close()  # the child lives, and the file is free
            os.kill(child, 0)
        finally:
            os.kill(child, signal.SIGKILL)
            parent.stdout.close()
        assert [file.name for file in tmp_path.iterdir()] == ["n1.jsonl"]

    def test_a_copy_is_no_second_writer(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "n1.jsonl", "n1")
        copy = pickle.loads(pickle.dumps(recorder))
        assert copy.process == f"n1.{os.getpid()}"
        copy.close()
