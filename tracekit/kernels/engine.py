"""Whether kernels run interpreted or compiled, and where compiled ones are kept."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

COMPILE_FROM = 50_000
"""Total work (events, or steps of a search) from which compiling, or loading compiled code (about 0.3 s), pays."""

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Marks a loop over arrays: itself in an interpreted module, compiled by numba in a compiled one."""
    if not function.__module__.startswith("tracekit.kernels.compiled."):
        return function
    import numba

    compiled: F = numba.njit(cache=_use_cache(), nogil=True, error_model="numpy")(function)
    return compiled


def kernels(name: str, work: int) -> ModuleType:
    """The kernel file `name`, compiled where the total work of the caller's whole task is worth it.

    Parameters
    ----------
    name: file under ``tracekit/kernels``, without ending.
    work: events times passes, or expected search steps, of the whole task and not of one call.
    """
    package = "tracekit.kernels.compiled" if work >= COMPILE_FROM else "tracekit.kernels"
    return importlib.import_module(f"{package}.{name}")


@cache
def _use_cache() -> bool:
    """Points numba's cache at a private folder keyed by all kernel sources; numba does not notice an edited helper."""
    import numba

    folder = cache_folder()
    if folder is None:
        return False
    numba.config.CACHE_DIR = str(folder)
    return True


def cache_folder() -> Path | None:
    """The folder of compiled kernels, made if need be; None where no private folder can be written."""
    base = os.environ.get("TRACEKIT_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    folder = Path(base) / "tracekit" / f"kernels-{sources_digest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    owned = not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
    return folder if owned and os.access(folder, os.W_OK) else None


def has_compiled() -> bool:
    """Whether compiled kernels lie ready from an earlier run."""
    folder = cache_folder()
    return folder is not None and any(folder.iterdir())


@cache
def sources_digest() -> str:
    """Hex SHA-256 over the sources of all kernels."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
