"""The house's rules, as tests: which room may import which, and what starting up may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracekit.reading import read_trace
from tracekit.trace.join import join
from tracekit.trace.parquet import write_parquet
from tracekit.trace.recorder import Recorder

ROOT = Path(__file__).parents[1]

FLOORS = [
    {"errors", "version", "kernels"},
    {"trace"},
    {"vocabulary"},
    {"formats", "order", "history"},
    {"results", "execution"},
    {"registry", "protocols", "reading"},
    {"checks"},
    {"analysis"},
    {"exports", "report"},
    {"cli"},
]
"""A room imports from lower floors and from its own; the registry and the reader stand beside what they find."""
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}

DECLARED_UPWARD = {
    ("formats", "registry"): "a format is declared in the registry's terms",
    ("registry", "checks"): "the registry looks into the package, by name only",
    ("registry", "formats"): "the registry looks into the package, by name only",
    ("registry", "exports"): "the registry looks into the package, by name only",
}


def modules() -> Iterator[Path]:
    yield from sorted((ROOT / "tracekit").rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "tracekit").parts[0].removesuffix(".py")


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Every import outside of ``if TYPE_CHECKING``, those inside functions as well."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.lineno, node.module


@pytest.mark.parametrize("path", list(modules()), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    for line, name in imports_of(path):
        assert not name.startswith("reference_impls"), f"{path}:{line}: tracekit never imports reference_impls"
        if not name.startswith("tracekit."):
            continue
        other = name.split(".")[1]
        if room == "kernels":
            assert other == "kernels", f"{path}:{line}: kernels import nothing of ours"
        allowed = FLOOR[other] <= FLOOR[room] or (room, other) in DECLARED_UPWARD
        assert allowed, f"{path}:{line}: {room} (floor {FLOOR[room]}) imports {other} (floor {FLOOR[other]})"


def test_reference_implementations_know_only_the_trace() -> None:
    """And its reader: real processes leave logs, which are read and joined as anybody's are."""
    allowed = ("tracekit.trace", "tracekit.vocabulary", "tracekit.errors", "tracekit.protocols", "tracekit.reading")
    for path in (ROOT / "reference_impls").rglob("*.py"):
        if path.name in ("sweep.py", "matrix.py"):  # the scripts that simulate and analyse are users of both
            continue
        for line, name in imports_of(path):
            assert not name.startswith("tracekit") or name.startswith(allowed), f"{path}:{line}: {name}"


def test_kernels_use_numpy_only() -> None:
    for path in (ROOT / "tracekit/kernels").glob("*.py"):
        if path.name == "engine.py":
            continue
        for line, name in imports_of(path):
            assert name.split(".")[0] in ("__future__", "typing", "numpy", "tracekit"), f"{path}:{line}: {name}"


def loaded_by(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(out.stdout.split())


HEAVY = {"pandas", "numba", "scipy", "plotly", "numpy", "pyarrow", "networkx", "duckdb", "jinja2"}


def test_help_imports_nothing_heavy() -> None:
    run = "from tracekit.cli.main import tracekit_command\ntry: tracekit_command.main(['--help'])\nexcept SystemExit: 0"
    assert not loaded_by(run) & HEAVY


def test_importing_tracekit_costs_nothing() -> None:
    assert not loaded_by("import tracekit") & HEAVY


def test_a_small_analysis_needs_none_of_the_heavy_packages(tmp_path: Path) -> None:
    with Recorder(tmp_path / "a.jsonl", "a") as a, Recorder(tmp_path / "b.jsonl", "b") as b:
        b.receive(a.send("ping", to="b"), "ping")
    write_parquet(join([read_trace(tmp_path / "a.jsonl"), read_trace(tmp_path / "b.jsonl")]), tmp_path / "t.parquet")
    code = (
        f"import tracekit\nassert tracekit.analyze(tracekit.read_trace({str(tmp_path / 't.parquet')!r})).exit_code == 0"
    )
    assert not loaded_by(code) & {"pandas", "numba", "plotly", "scipy", "duckdb", "networkx", "jinja2"}
