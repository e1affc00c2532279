"""How fast foreign logs are read, beside plain Python that only parses: ``python benchmarks/formats.py [EVENTS]``.

Each reader builds the whole trace; the plain alternative makes one dict an event with ``re`` and ``json`` and stops
there. The first run of a reader may compile; the second is shown.
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tracekit.formats import fastlin, jepsen_edn, jepsen_log, shiviz
from tracekit.formats.mapped import read_mapped

MAPPING = """[event]
process = "nid"
index = "seq"
kind = { column = "name", values = { send = "send", recv = "receive" }, default = "internal" }
peer = "msg.to"
"raft.term" = "term"
"raft.message_term" = "msg.term"
"raft.entry_terms" = { column = "ents[].t", optional = true }
"""


def operations(events: int) -> Iterator[tuple[int, str, str, list[int] | int | None]]:
    """Operations of 20 clients on a cas-register, half of the rows invocations."""
    for i in range(events // 2):
        value = (None, i, [i % 5, i])[i % 3]
        f = ("read", "write", "cas")[i % 3]
        yield i % 20, "invoke", f, value
        yield i % 20, "ok", f, i % 7 if value is None else value


def edn(value: list[int] | int | None) -> str:
    """A value as Clojure writes it."""
    return "nil" if value is None else str(value).replace(",", "")


def write_edn(path: Path, events: int) -> None:
    """``history.edn``, a map a line."""
    with path.open("w") as out:
        for index, (process, kind, f, value) in enumerate(operations(events)):
            what = f":type :{kind}, :f :{f}, :value {edn(value)}"
            out.write(f"{{{what}, :process {process}, :time {index * 1000}, :index {index}}}\n")


def write_json(path: Path, events: int) -> None:
    """The same as JSON Lines."""
    with path.open("w") as out:
        for index, (process, kind, f, value) in enumerate(operations(events)):
            row = {"type": kind, "f": f, "value": value, "process": process, "time": index * 1000, "index": index}
            out.write(json.dumps(row) + "\n")


def write_log(path: Path, events: int) -> None:
    """The same as log lines."""
    with path.open("w") as out:
        for process, kind, f, value in operations(events):
            out.write(f"INFO  jepsen.util - {process}\t:{kind}\t:{f}\t{edn(value)}\n")


def write_shiviz(path: Path, events: int) -> None:
    """Ten hosts, three in ten events receives."""
    rng = random.Random(1)
    clocks = [[0] * 10 for _ in range(10)]
    with path.open("w") as out:
        for i in range(events):
            host = rng.randrange(10)
            if rng.random() < 0.3:
                clocks[host] = [max(pair) for pair in zip(clocks[host], clocks[rng.randrange(10)], strict=True)]
            clocks[host][host] += 1
            clock = json.dumps({f"node{k}": n for k, n in enumerate(clocks[host]) if n})
            out.write(f"event {i} of kind {i % 7}\nnode{host} {clock}\n")


def write_fastlin(path: Path, events: int) -> None:
    """A queue."""
    with path.open("w") as out:
        out.write("# queue\n")
        for i in range(events // 2):
            out.write(f"{('enq', 'deq')[i % 2]} {i // 2} {3 * i} {3 * i + 4}\n")


def write_recording(path: Path, events: int) -> None:
    """Nested JSON Lines, as a Raft library's recording has them."""
    with path.open("w") as out:
        for i in range(events):
            row: dict[str, Any] = {"nid": i % 5, "seq": i, "name": ("send", "recv", "state")[i % 3], "term": i // 1000}
            if i % 3 < 2:
                row["msg"] = {"to": (i + 1) % 5, "term": i // 1000, "type": "MsgApp"}
            else:
                row["ents"] = [{"i": i, "t": i // 1000}]
            out.write(json.dumps(row) + "\n")


EDN_PAIR = re.compile(r":([a-z-]+) (:?[^\[,}]+|\[[^\]]*\])")
LOG_LINE = re.compile(r"INFO  jepsen.util - (\d+)\t:(\w+)\t:(\w+)\t(.*)")
SHIVIZ_EVENT = re.compile(r"(?P<event>.*)\n(?P<host>\S*) (?P<clock>{.*})")


def plain_edn(path: Path) -> int:
    """Regular expressions."""
    with path.open() as lines:
        return sum(1 for line in lines if dict(EDN_PAIR.findall(line)))


def plain_json(path: Path) -> int:
    """``json.loads`` on every line."""
    with path.open() as lines:
        return sum(1 for line in lines if json.loads(line))


def plain_log(path: Path) -> int:
    """A regular expression on every line."""
    with path.open() as lines:
        return sum(1 for line in lines if (match := LOG_LINE.match(line)) and match.groups())


def plain_shiviz(path: Path) -> int:
    """A regular expression over the whole file, ``json.loads`` on every clock."""
    return sum(1 for match in SHIVIZ_EVENT.finditer(path.read_text()) if json.loads(match["clock"]))


def plain_fastlin(path: Path) -> int:
    """``split`` and ``int``."""
    with path.open() as lines:
        next(lines)
        return 2 * sum(1 for line in lines if [int(word) for word in line.split()[1:]])


def read_recording(path: Path) -> Any:
    """Through a mapping."""
    mapping = path.with_suffix(".toml")
    mapping.write_text(MAPPING)
    return read_mapped(path, mapping)


CASES: dict[str, tuple[Callable[[Path, int], None], Callable[[Path], Any], Callable[[Path], int]]] = {
    "jepsen-edn (EDN)": (write_edn, jepsen_edn.read, plain_edn),
    "jepsen-edn (JSON)": (write_json, jepsen_edn.read, plain_json),
    "jepsen-log": (write_log, jepsen_log.read, plain_log),
    "shiviz": (write_shiviz, shiviz.read, plain_shiviz),
    "fastlin": (write_fastlin, fastlin.read, plain_fastlin),
    "JSON Lines, mapping": (write_recording, read_recording, plain_json),
}


def seconds(function: Callable[[Path], Any], path: Path) -> tuple[float, Any]:
    """CPU and wall time matter alike here: one thread does it all."""
    start = time.perf_counter()
    result = function(path)
    return time.perf_counter() - start, result


def main(events: int) -> None:
    """Prints the table."""
    print(f"{'format':<22}{'events':>10}{'MB':>7}{'reader s':>10}{'events/s':>12}{'plain s':>9}{'reader/plain':>14}")
    with tempfile.TemporaryDirectory() as folder:
        for name, (write, read, plain) in CASES.items():
            path = Path(folder) / "log.jsonl"
            write(path, events)
            read(path)
            taken, traces = seconds(read, path)
            plainly, count = seconds(plain, path)
            found = len(traces[0])
            assert found == count == events, (name, found, count)
            print(
                f"{name:<22}{found:>10,}{path.stat().st_size / 1e6:>7.0f}{taken:>10.2f}{found / taken:>12,.0f}"
                f"{plainly:>9.2f}{taken / plainly:>14.2f}"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400_000)
