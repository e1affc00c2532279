"""Docs follow from the code, and every command that they show works."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tracekit.trace.recorder import Recorder

ROOT = Path(__file__).parents[1]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["trace-format.md", "vocabulary.md", "checks.md"])
def test_generated_pages_are_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == generator().PAGES[name](), "run: python docs/generate.py"


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command line as it stands in the docs; ``tracekit`` is this checkout's."""
    script = folder / "bin" / "tracekit"
    if not script.exists():
        script.parent.mkdir()
        script.write_text(f"#!{sys.executable}\nfrom tracekit.cli.main import main\nmain()\n")
        script.chmod(0o755)
    env = {**os.environ, "PATH": f"{script.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=280)


def test_the_smallest_trace_of_the_docs(tmp_path: Path) -> None:
    page = (ROOT / "docs/trace-format.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert code
    subprocess.run([sys.executable, "-c", code[1]], cwd=tmp_path, check=True, timeout=60)
    done = shell("tracekit analyze tiny.parquet", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def readme_commands() -> list[str]:
    """Every line of the README that starts with a command, without what stands behind it as a note."""
    lines = [line.strip() for line in (ROOT / "README.md").read_text().splitlines()]
    return [re.split(r"\s{2,}", line)[0] for line in lines if line.startswith(("tracekit ", "python3 -m venv"))]


def test_the_readme_shows_commands() -> None:
    commands = readme_commands()
    assert sum(c.startswith("python3 -m venv") for c in commands) == 2
    assert any(c.startswith("tracekit analyze") for c in commands)


MAPPING = """
[event]
process = "node"
kind = { column = "what", values = { out = "send", in = "receive" } }
message = "id"
"""


@pytest.fixture
def readme_folder(tmp_path: Path) -> Path:
    """A folder with the files that the README's commands speak of."""
    (tmp_path / "sample_traces").symlink_to(ROOT / "sample_traces")
    history = tmp_path / "store/latest/history.edn"
    history.parent.mkdir(parents=True)
    write = "{:process 0, :type :%s, :f :write, :value 1, :index %d}\n"
    history.write_text(write % ("invoke", 0) + write % ("ok", 1))
    (tmp_path / "chord.log").write_text('a {"a":1}\nsends\nb {"b":1, "a":1}\nreceives\n')
    (tmp_path / "node.toml").write_text(MAPPING)
    (tmp_path / "node.jsonl").write_text('{"node":"a","what":"out","id":1}\n{"node":"b","what":"in","id":1}\n')
    with Recorder(tmp_path / "n1.jsonl", "n1") as n1, Recorder(tmp_path / "n2.jsonl", "n2") as n2:
        n2.extract(n1.inject({}, "request", to="n2"), "request")
    return tmp_path


def test_the_first_command_of_the_readme_but_for_the_installation(readme_folder: Path) -> None:
    first = next(c for c in readme_commands() if "simulate" in c)
    steps = [step for step in first.split(" && ") if step.startswith("tracekit ")]
    assert len(steps) == 2
    done = shell(" && ".join(steps), readme_folder)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", [c for c in readme_commands() if c.startswith("tracekit ")])
def test_the_other_commands_of_the_readme(command: str, readme_folder: Path) -> None:
    shell("tracekit simulate raft --nodes 5 --seed 7 --operations 100 -o run.parquet", readme_folder)
    done = shell(command, readme_folder)
    expected = 1 if "figure8" in command or "--mutant" in command else 0
    assert done.returncode == expected, f"{shlex.quote(command)}\n{done.stdout}{done.stderr}"
