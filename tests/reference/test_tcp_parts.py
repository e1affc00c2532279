"""What real processes are made of: frames, the journal, the host that carries out effects, the proxy, the leash."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impls.protocols.eventual_kv.protocol import DESIGN as EVENTUAL
from reference_impls.protocols.kv_store import Command
from reference_impls.protocols.multi_paxos.machine import Machine
from reference_impls.protocols.raft.messages import AppendEntries, ClientRequest, Entry
from reference_impls.protocols.replica import Stamp, Update, Updates
from reference_impls.runtime.effects import (
    CancelTimer,
    Done,
    Effect,
    Note,
    Operation,
    Persist,
    Send,
    SetTimer,
)
from reference_impls.runtime.network import Network
from reference_impls.runtime.process import Stable
from reference_impls.runtime.tcp import node
from reference_impls.runtime.tcp.host import Host
from reference_impls.runtime.tcp.link import HOME, Link
from reference_impls.runtime.tcp.processes import COMMAND
from reference_impls.runtime.tcp.proxy import Proxy
from reference_impls.runtime.tcp.storage import Storage, records, take_back
from reference_impls.runtime.tcp.wire import (
    Envelope,
    Foreign,
    Frame,
    Hello,
    Slow,
    Start,
    Told,
    Watch,
    dumps,
    loads,
    pack,
)
from tests.strategies import examples
from tracekit.protocols import Simulation
from tracekit.trace.recorder import Recorder

COMMAND_X = Command("c1", 1, "cas", "k1", "[1,2]")


class TestFrames:
    @pytest.mark.parametrize(
        "value",
        [
            AppendEntries(3, 1, 1, (Entry(2, COMMAND_X), Entry(3, None)), 1),
            Updates((Update("n1", 1, Stamp(4, "n1"), {"n2": 3}, COMMAND_X, ("a", "b")),)),
            Envelope("n1", "n2", "{}", b"\0\xff"),
            {"term": 3, "votes": frozenset({"n1"}), "set": {1, 2}, "none": [None, 1.5, (True, b"x")]},
        ],
    )
    def test_values_come_back_as_they_were(self, value: Any) -> None:
        again = loads(dumps(value))
        assert again == value
        assert type(again) is type(value)

    def test_a_checkpoint_keeps_a_whole_machine(self) -> None:
        machine = Machine()
        machine.apply(Command("c1", 1, "write", "k1", "5"))
        again = loads(dumps({"checkpoint": (1, machine), "random": Random(3)}))
        assert again["checkpoint"][1].digest == machine.digest != Machine().digest
        assert again["random"].random() == Random(3).random()

    @pytest.mark.parametrize(
        "thing",
        [
            os.system,
            eval,
            getattr,
            subprocess.Popen,
            Path("/"),
            Recorder,
            Host,
            Storage,
            Network,
            Network(Random(1)),
            sys.exit,
        ],
        ids=lambda thing: getattr(thing, "__name__", type(thing).__name__),
    )
    def test_nothing_but_data_is_made(self, thing: Any) -> None:
        with pytest.raises(Foreign, match="no class of protocols"):
            loads(pickle.dumps(thing, protocol=5))

    def test_no_code_runs(self, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> Any:
                return os.system, (f"touch {tmp_path / 'owned'}",)

        for harmful in (
            pickle.dumps(Evil()),
            b"creference_impls.runtime.tcp.node\nos.system\n(S'true'\ntR.".decode("unicode_escape").encode(),
            b"\x80\x04\x8c\x21reference_impls.runtime.tcp.node\x8c\x09os.system\x93.",
        ):
            with pytest.raises(Foreign):
                loads(harmful)
        assert not (tmp_path / "owned").exists()

    @examples(200)
    @given(st.binary(max_size=60))
    def test_any_bytes_are_a_value_or_foreign(self, data: bytes) -> None:
        """But for those that number a memo: they can ask for all memory, which is why strangers are not unpickled."""
        data = data.replace(b"r", b"").replace(b"p", b"")
        for candidate in (data, dumps(ClientRequest(COMMAND_X))[: len(data)] + data):
            with suppress(Foreign):
                loads(candidate)


cells = st.dictionaries(st.sampled_from(["term", "vote"]), st.integers(0, 9), max_size=2)
persists = st.lists(st.tuples(cells, st.integers(0, 4), st.lists(st.integers(0, 9), max_size=3)), max_size=8)


def stable_at(path: Path) -> Stable:
    """What the next life finds."""
    storage = Storage(path, lambda: 0)
    storage.close()
    return storage.stable


class TestJournal:
    def path(self, folder: pytest.TempPathFactory) -> Path:
        return folder.mktemp("journal") / "n1.journal"

    def written(self, path: Path, steps: Sequence[tuple[Mapping[str, int], int, list[int]]]) -> list[Stable]:
        """Writes, each after one more event; what was stable after each."""
        count = 0
        storage = Storage(path, lambda: count)
        states = [Stable(dict(storage.stable.cells), list(storage.stable.log))]
        for count, step in enumerate(steps):  # noqa: B007  # the storage reads it
            storage.write(*step)
            states.append(Stable(dict(storage.stable.cells), list(storage.stable.log)))
        storage.close()
        return states

    @examples(60)
    @given(persists, st.integers(0, 400))
    def test_a_torn_end_leaves_what_was_whole(
        self, tmp_path_factory: pytest.TempPathFactory, steps: Any, cut: int
    ) -> None:
        path = self.path(tmp_path_factory)
        states = self.written(path, steps)
        assert stable_at(path) == states[-1]
        data = path.read_bytes()
        path.write_bytes(data[: max(0, len(data) - cut)])
        left = len(list(records(path)))
        assert stable_at(path) == states[left]
        assert left == len(steps) if cut == 0 else True

    @examples(60)
    @given(persists, st.integers(0, 9))
    def test_what_no_event_followed_is_taken_back(
        self, tmp_path_factory: pytest.TempPathFactory, steps: Any, events: int
    ) -> None:
        """The record before which there were k events stands if there are k + 1 or more."""
        path = self.path(tmp_path_factory)
        states = self.written(path, steps)
        with path.open("ab") as file:
            file.write(b"torn")
        take_back(path, events)
        storage = Storage(path, lambda: events)
        assert storage.stable == states[min(events, len(steps))]
        storage.write({"term": 10}, 0, ())
        storage.close()
        assert stable_at(path).cells["term"] == 10, "what follows a torn end is read again"

    def test_a_flipped_bit_ends_the_journal(self, tmp_path: Path) -> None:
        path = tmp_path / "n1.journal"
        states = self.written(path, [({"term": 1}, 0, []), ({"term": 2}, 0, [])])
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        assert stable_at(path) == states[1]

    def test_it_is_forced_to_the_disk_before_anything_leaves(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[str] = []
        monkeypatch.setattr(os, "fsync", lambda file: told.append("forced"))

        async def scene() -> None:
            recorder = Recorder(tmp_path / "n1.jsonl", "n1")
            storage = Storage(tmp_path / "n1.journal", lambda: recorder.events)
            told.clear()
            step = [Persist({"term": 1}), Note({"raft.term": 1}, "raft.x"), *[Send("n2", ClientRequest(COMMAND_X))] * 2]
            host = Host(Scripted(step), recorder, storage, lambda frame: told.append("sent"), lambda: 0, again=False)
            host.take(Start())

        asyncio.run(scene())
        assert told == ["forced", "sent", "sent"]


class Scripted:
    """A process that answers every input with the same effects."""

    def __init__(self, effects: Sequence[Effect], later: Sequence[Effect] = ()) -> None:
        self.effects = effects
        self.later = later

    def on_start(self, stable: Stable) -> Sequence[Effect]:
        return self.effects

    def on_message(self, now_ns: int, sender: str, message: Any) -> Sequence[Effect]:
        return self.effects

    def on_timer(self, now_ns: int, name: str) -> Sequence[Effect]:
        return [Note({"demo.timer": name}, "demo.timer"), *self.later]


class Lasting:
    """Storage in memory."""

    def __init__(self) -> None:
        self.stable = Stable()

    def write(self, cells: Mapping[str, Any], log_from: int, entries: Sequence[Any]) -> None:
        self.stable.write(cells, log_from, entries)

    def force(self) -> None:
        pass


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [row for row in map(json.loads, path.read_text().splitlines()) if "kind" in row]


def played(
    folder: Path, process: Scripted, scene: Callable[[Host], Coroutine[Any, Any, None]], again: bool = False
) -> tuple[list[dict[str, Any]], list[Frame]]:
    """The rows that a host records in a scene, and the frames that it sends."""
    sent: list[Frame] = []

    async def play() -> None:
        recorder = Recorder(folder / "n1.jsonl", "n1", restarts=False)
        host = Host(process, recorder, Lasting(), sent.append, lambda: 7, again)
        await scene(host)
        host.stop()
        recorder.close()

    asyncio.run(play())
    return rows_of(folder / "n1.jsonl"), sent


async def begun(host: Host) -> None:
    host.take(Start())


def message(folder: Path) -> Envelope:
    """What n2 sends to n1."""
    with Recorder(folder / "n2.jsonl", "n2") as n2:
        request = ClientRequest(COMMAND_X)
        return Envelope("n2", "n1", n2.send(request.event, to="n1"), dumps(request))


class TestHost:
    """Rows are those that `effects` promises, as in the simulator."""

    def test_a_nameless_note_joins_the_receive_and_a_named_one_does_not(self, tmp_path: Path) -> None:
        for place, (step, rows) in enumerate(
            [
                ([Note({"demo.a": 1})], [("receive", "raft.client_request", 1)]),
                (
                    [Note({"demo.a": 1}, "demo.n")],
                    [("receive", "raft.client_request", None), ("internal", "demo.n", 1)],
                ),
                ([], [("receive", "raft.client_request", None)]),
            ]
        ):
            folder = tmp_path / str(place)
            folder.mkdir()

            async def scene(host: Host, folder: Path = folder) -> None:
                host.take(message(folder))

            recorded, _ = played(folder, Scripted(step), scene)
            assert [(row["kind"], row.get("name"), row.get("demo.a")) for row in recorded] == rows
            assert recorded[0]["peer"] == "n2"

    @pytest.mark.parametrize("again", [False, True])
    def test_the_first_note_of_a_start_names_it(self, tmp_path: Path, again: bool) -> None:
        rows, _ = played(tmp_path, Scripted([SetTimer("t", 10**12), Note({"demo.a": 1}, "demo.start")]), begun, again)
        kind = "restart" if again else "internal"
        assert [(row["kind"], row["name"], row["demo.a"]) for row in rows] == [(kind, "demo.start", 1)]

    def test_a_restart_that_notes_nothing_is_a_row_and_a_start_is_none(self, tmp_path: Path) -> None:
        rows, _ = played(tmp_path, Scripted([SetTimer("t", 10**12)]), begun)
        assert rows == []
        rows, _ = played(tmp_path, Scripted([SetTimer("t", 10**12)]), begun, again=True)
        assert [row["kind"] for row in rows] == ["restart"]

    def test_what_is_stable_is_followed_by_the_row_that_tells_it(self, tmp_path: Path) -> None:
        """Killed after the receive and before the note, the process must not keep what the note would have told."""
        events: list[int] = []

        async def scene(host: Host) -> None:
            write = host.storage.write

            def look(*what: Any) -> None:
                events.append(host.recorder.events)
                write(*what)

            host.storage.write = look  # type: ignore[method-assign]
            host.take(message(tmp_path))

        rows, _ = played(tmp_path, Scripted([Persist({"a": 1}), Note({"demo.a": 1}, "demo.n")]), scene)
        assert rows[events[0]]["name"] == "demo.n"

    def test_operations_have_json_values_and_the_recorders_numbers(self, tmp_path: Path) -> None:
        step = [
            Operation("invoke", 41, "cas", "k1", "[1,2]"),
            Operation("ok", 41, "cas", "k1", "[1,2]", "n3"),
            Operation("invoke", 42, "read", "k1", None),
            Operation("info", 42, "read", "k1", None),
            Done(),
        ]
        rows, sent = played(tmp_path, Scripted(step), begun)
        assert [(row["kind"], row["op"], row.get("value"), row.get("replica.server")) for row in rows] == [
            ("invoke", 0, [1, 2], None),
            ("ok", 0, [1, 2], "n3"),
            ("invoke", 2, None, None),
            ("info", 2, None, None),
        ]
        assert sent == [Told("completed"), Told("completed"), Told("done")]

    def test_timers_replace_each_other_and_can_be_cancelled(self, tmp_path: Path) -> None:
        step = [SetTimer("a", 10**12), SetTimer("a", 1_000), SetTimer("b", 1_000), CancelTimer("b"), CancelTimer("c")]

        async def scene(host: Host) -> None:
            host.take(Start())
            await asyncio.sleep(0.05)

        rows, _ = played(tmp_path, Scripted(step), scene)
        assert [row["demo.timer"] for row in rows] == ["a"]

    def test_a_slow_process_works_off_one_thing_after_the_other(self, tmp_path: Path) -> None:
        process = Scripted([SetTimer("a", 1_000), Note({}, "demo.n")])

        async def scene(host: Host) -> None:
            host.take(Slow(30_000_000))
            for _ in range(4):
                host.take(Start())
            assert host.recorder.events == 1
            host.take(Slow(0))
            await asyncio.sleep(0.1)

        rows, _ = played(tmp_path, process, scene)
        assert [row["name"] for row in rows] == ["demo.n"] * 4 + ["demo.timer"]

    def test_what_happens_after_the_end_is_nothing(self, tmp_path: Path) -> None:
        async def scene(host: Host) -> None:
            host.take(Start())
            host.take(Start())
            await asyncio.sleep(0.02)

        rows, _ = played(tmp_path, Scripted([SetTimer("a", 1_000), Note({}, "demo.n"), Done()]), scene)
        assert [row["name"] for row in rows] == ["demo.n"]

    def test_watched_events_are_told(self, tmp_path: Path) -> None:
        async def scene(host: Host) -> None:
            host.take(Watch("demo.n"))
            host.take(Start())
            host.take(message(tmp_path))

        _, sent = played(tmp_path, Scripted([Note({}, "demo.n")]), scene)
        assert sent == [Told("event", "demo.n")] * 2


class Fast(Network):
    """Everything arrives, soon."""

    def delay(self, now: int) -> int:
        return 1_000_000


class TestProxy:
    def run(self, scene: Callable[[Proxy, int], Coroutine[Any, Any, None]]) -> None:
        async def play() -> None:
            loop = asyncio.get_running_loop()
            proxy = Proxy(Fast(Random(1)), lambda: int(loop.time() * 1e9), "secret")
            port = await proxy.listen()
            try:
                async with asyncio.timeout(20):
                    await scene(proxy, port)
            finally:
                await proxy.close()

        asyncio.run(play())

    @pytest.mark.parametrize(
        "bytes_",
        [
            pack(Hello("n1", "guess")),
            pack(Hello("n1", None)),  # type: ignore[arg-type]
            pack(Start()),
            b"GET / HTTP/1.1\r\n\r\n",
            b"\xff" * 9,
            b"\0\0\0\4evil",
            b"\0\0\0\2[]",
            b"\0\0\0\7[[], 1]",
            b"\0\0\0",
        ],
    )
    def test_strangers_are_not_answered(self, bytes_: bytes) -> None:
        async def scene(proxy: Proxy, port: int) -> None:
            reader, writer = await asyncio.open_connection(HOME, port)
            writer.write(bytes_)
            writer.write_eof()
            assert await reader.read() == b""
            assert proxy.connections == {}
            writer.close()

        self.run(scene)

    def test_messages_pass_unless_the_link_is_cut_and_nobody_can_pretend_to_be_another(self, tmp_path: Path) -> None:
        async def scene(proxy: Proxy, port: int) -> None:
            readers = {}
            links = {}
            for name in ("n1", "n2"):
                links[name] = await Link.open(port, name, "secret")
                readers[name] = links[name]._reader
            proxy.network.blocked.add(("n1", "n3"))
            proxy.network.blocked.add(("n1", "n2"))
            links["n1"].send(Envelope("n1", "n2", "", b"lost"))
            while not proxy.connections.keys() >= {"n1", "n2"}:
                await asyncio.sleep(0.001)
            await proxy_has_read(proxy, links["n1"])
            proxy.network.blocked.clear()
            for text in (b"first", b"second"):
                links["n1"].send(Envelope("somebody", "n2", "", text))
            got = [await received(readers["n2"]) for _ in range(2)]
            assert got == [Envelope("n1", "n2", "", b"first"), Envelope("n1", "n2", "", b"second")]
            links["n1"].send(Envelope("n1", "nobody", "", b""))
            for link in links.values():
                await link.close()

        self.run(scene)


async def proxy_has_read(proxy: Proxy, link: Link) -> None:
    """Whatever the link has sent so far was taken: so is what it tells now."""
    told = asyncio.Event()
    proxy.on_told = lambda name, what: told.set()
    link.send(Told("event", "x"))
    await told.wait()


async def received(reader: asyncio.StreamReader) -> Frame | None:
    from reference_impls.runtime.tcp.wire import receive

    return await receive(reader)


def test_a_node_ends_when_its_leash_does(tmp_path: Path) -> None:
    """Where the kernel does not kill it along with its parent."""

    async def scene() -> None:
        connected = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connected.set()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, HOME, 0)
        port = server.sockets[0].getsockname()[1]
        job = node.Job(Simulation(1), "eventual-kv", 0, 1, str(tmp_path), port, "secret", 0, os.getpid())
        process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(job.to_json().encode() + b"\n")
        await asyncio.wait_for(connected.wait(), 30)
        assert process.poll() is None
        process.stdin.close()
        await asyncio.to_thread(process.wait, 30)
        assert (process.returncode, process.stderr.read()) == (node.FAILED, b"")
        process.stderr.close()
        server.close()

    asyncio.run(scene())


def test_a_jobs_line_keeps_what_it_says() -> None:
    simulation = Simulation(3, 5, faults=None, mutant="m", settings={"a": "b"}, transport="tcp")
    job = node.Job(simulation, "raft", 1, 2, "/x", 80, "s", 5, 6)
    assert node.Job.from_json(job.to_json()) == job
    assert node.design_of("eventual-kv") is EVENTUAL
