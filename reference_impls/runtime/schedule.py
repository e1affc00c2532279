"""Which faults a run gets: kinds by name, drawn from the seed, or one by one from a file.

A file is TOML, one table a fault, as in `SCHEDULE`. `for` may be left out: the fault lasts until the clients are done.
Which other keys a fault takes is in its `needs`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from reference_impls.runtime.faults import FAULTS, Ambush, Nemesis, Step
from tracekit.errors import TracekitError, nearest
from tracekit.protocols import Simulation

SCHEDULE = """\
[[fault]]
at = "300ms"
fault = "partition"
groups = [["n1"], ["n2", "n3"]]
for = "500ms"

[[fault]]
at = "1s"
fault = "crash"
process = "n2"
"""
"""An example of a file."""

UNITS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
NEMESIS = "nemesis"
"""What stands for the default, faults drawn from the seed, where a name has to be given."""


@dataclass(frozen=True)
class Scripted:
    """A fault at its time; `for_ns` 0: until the clients are done."""

    at_ns: int
    fault: str
    step: Step
    for_ns: int = 0


@dataclass(frozen=True)
class Schedule:
    """The faults of a run.

    Attributes
    ----------
    names: kinds that come at random, or that are there all the time.
    script: single ones, each at its time.
    ambushes: crashes and partitions just after events.
    """

    names: tuple[str, ...] = ()
    script: tuple[Scripted, ...] = ()
    ambushes: tuple[Ambush, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every kind of fault in it, in the order of the schedule."""
        ambushes = (ambush.fault for ambush in self.ambushes)
        return tuple(dict.fromkeys([*self.names, *(entry.fault for entry in self.script), *ambushes]))

    @property
    def delays(self) -> bool:
        """Whether something arrives later than the network promises."""
        return any(FAULTS[kind].delays for kind in self.kinds)

    def begin(self, nemesis: Nemesis) -> None:
        """Sets the nemesis to work."""
        nemesis.begin(self.names, self.ambushes)
        for entry in self.script:
            nemesis.world.later(
                entry.at_ns, lambda entry=entry: nemesis.bring(entry.fault, entry.step, entry.for_ns)  # type: ignore[misc]  # bound at once
            )  # fmt: skip

    def check(self, names: Collection[str]) -> None:
        """Whether all processes that it names are at risk.

        Raises
        ------
        TracekitError: TK406 where one is not.
        """
        for entry in self.script:
            for name in (entry.step.process, *(name for group in entry.step.groups for name in group)):
                if name and name not in names:
                    raise TracekitError(
                        "TK406",
                        f"the schedule of faults names {name}, which takes no part",
                        at="--faults",
                        want=", ".join(names),
                    )


def schedule_of(simulation: Simulation, tolerated: Collection[str]) -> Schedule:
    """The faults that a run was asked to get; where nothing was said, some of those tolerated.

    Raises
    ------
    TracekitError: TK403 for a fault that does not exist, TK406 for a file that is no schedule.
    """
    asked = simulation.faults
    if asked is None or asked == (NEMESIS,):
        return Schedule(drawn(simulation.seed, tolerated))
    if len(asked) == 1 and asked[0].endswith(".toml"):
        return Schedule(script=from_file(Path(asked[0])))
    for name in asked:
        if name not in FAULTS:
            raise _unknown(name, "--faults")
    return Schedule(tuple(dict.fromkeys(asked)))


def drawn(seed: int, tolerated: Iterable[str]) -> tuple[str, ...]:
    """Two to four of the faults tolerated, drawn from the seed."""
    names = list(tolerated)
    random = Random(f"{seed}/fault names")
    count = min(len(names), random.randint(2, 4))
    return tuple(sorted(random.sample(names, count), key=names.index))


def from_file(path: Path) -> tuple[Scripted, ...]:
    """The schedule of a file, in order of time.

    Raises
    ------
    TracekitError: TK406 where it cannot be read, is no TOML or no schedule; TK403 for a fault that does not exist.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TracekitError("TK406", "the schedule of faults cannot be read", at=str(path), found=str(error)) from None
    entries = content.get("fault")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries) or len(content) > 1:
        raise TracekitError(
            "TK406",
            "this is no schedule of faults",
            at=str(path),
            found=f"keys {', '.join(content) or '(none)'}",
            want='tables [[fault]] with at = "300ms", fault = "crash", process = "n1", for = "1s"',
        )
    script = [_scripted(entry, f"{path}, fault {place}") for place, entry in enumerate(entries, 1)]
    return tuple(sorted(script, key=lambda entry: entry.at_ns))


def _scripted(entry: Mapping[str, Any], at: str) -> Scripted:
    name = str(entry.get("fault") or "")
    if not name:
        raise TracekitError(
            "TK406", "an entry of the schedule does not say which fault it is", at=at,
            found=f"keys {', '.join(sorted(entry)) or '(none)'}", want=f"fault = NAME, one of {', '.join(FAULTS)}",
        )  # fmt: skip
    if name not in FAULTS:
        raise _unknown(name, at)
    needs = FAULTS[name].needs
    unknown, missing = set(entry) - {"at", "fault", "for", *needs}, {"at", *needs} - set(entry)
    if unknown or missing:
        raise TracekitError(
            "TK406",
            f"the fault {name} does not take these keys" if unknown else f"the fault {name} needs more",
            at=at,
            found=", ".join(sorted(unknown)) or f"no {', '.join(sorted(missing))}",
            want=", ".join(["at", *needs]) + ", and for",
        )
    step = Step(
        process=_text(entry.get("process", ""), "process", at),
        groups=_groups(entry.get("groups", []), at),
        rate=_rate(entry.get("rate"), at),
        time_ns=_time(entry.get("time", "0ns"), "time", at),
        drawn=False,
    )
    for_ns = _time(entry.get("for", "0ns"), "for", at)
    return Scripted(abs(_time(entry["at"], "at", at)), name, step, abs(for_ns))


def _unknown(name: str, at: str) -> TracekitError:
    near = nearest(name, FAULTS)
    return TracekitError(
        "TK403",
        f"no fault is named {name}",
        at=at,
        want=", ".join(FAULTS),
        help=f"{' or '.join(near)} may be meant" if near else None,
    )


def _wrong(key: str, value: object, want: str, at: str) -> TracekitError:
    return TracekitError("TK406", f"{key} has no meaning", at=at, found=repr(value)[:80], want=want)


def _text(value: object, key: str, at: str) -> str:
    if not isinstance(value, str):
        raise _wrong(key, value, 'the name of a process, "n1"', at)
    return value


def _groups(value: object, at: str) -> tuple[tuple[str, ...], ...]:
    groups: list[Any] = value if isinstance(value, list) else [None]
    if not all(isinstance(group, list) and all(isinstance(name, str) for name in group) for group in groups):
        raise _wrong("groups", value, 'lists of names of processes, [["n1"], ["n2", "n3"]]', at)
    return tuple(tuple(group) for group in groups)


def _rate(value: object, at: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise _wrong("rate", value, "a share of messages, 0.1, or the rate of a clock, 1.05", at)
    return float(value)


def _time(value: object, key: str, at: str) -> int:
    """``300ms``, ``-1.5s``; ns."""
    text = value if isinstance(value, str) else ""
    number = text.rstrip("numsh ")
    try:
        return int(float(number) * UNITS[text[len(number) :].strip()])
    except (KeyError, ValueError, OverflowError):
        raise _wrong(key, value, 'a time with its unit, "300ms"', at) from None
