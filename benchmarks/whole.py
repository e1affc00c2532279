"""Whole `tracekit analyze` processes, measured from outside: start-up, reading, every check, what is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ANALYZE = "import sys; from tracekit.cli.main import main; sys.exit(main(['analyze', *sys.argv[1:]]))"

MEASURE = """
import json, os, sys, time
began = time.perf_counter()
child = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ)
_, status, used = os.wait4(child, 0)
took = time.perf_counter() - began
print(json.dumps([os.waitstatus_to_exitcode(status), took, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20]))
"""
"""A small process between: a child's peak of memory is at least that of the process that started it."""

VERDICTS = {0: "holds", 1: "violated", 3: "unknown"}


@dataclass(frozen=True)
class Whole:
    """What one process said and took. cpu_s is of all its threads; on a busy machine it says more than elapsed_s."""

    verdict: str
    elapsed_s: float
    cpu_s: float
    gib: float
    text: str


def analyze(path: Path, *options: str, runs: int = 2) -> Whole:
    """The last of some processes; the first may compile."""
    # The second run finds byte code as well as kernels, as an installed tool does.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-S", "-c", MEASURE, "-c", ANALYZE, str(path), *options]
    for _ in range(runs):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True, env=environment
        )
    text = done.stdout
    *lines, told = text.splitlines()
    code, elapsed, cpu, gib = json.loads(told)
    if code not in VERDICTS:
        raise SystemExit(text)
    return Whole(VERDICTS[code], elapsed, cpu, gib, "\n".join(lines))
