"""Which check catches which bug: ``python -m reference_impls.matrix > docs/mutants.md`` (half an hour; less by name).

One table a protocol, in Markdown: a row for the correct protocol and one for each of its mutants, a column for each
check that some run violates. A cell counts the runs that violate the check; the check that the mutant names is in bold.
Every mutant runs over ten seeds or more: until its check has caught it, fifty at most. Exit code 0: every mutant was
caught by the check that it names, and the correct protocol by none.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from itertools import count

from reference_impls.sweep import judge
from tracekit.protocols import Mutant, Protocol, Simulation, protocols

PATIENCE = 50
"""Seeds within which a bug has to show."""


@dataclass(frozen=True)
class Row:
    """What came of one mutant, or of the correct protocol (None)."""

    mutant: Mutant | None
    runs: int
    violated: Counter[str]
    first: int | None

    @property
    def right(self) -> bool:
        """A bug was caught by its check; a correct run by none."""
        return self.first is not None if self.mutant else not self.violated


def rows(protocol: Protocol, seeds: int, operations: int) -> list[Row]:
    """Runs the protocol and all its mutants."""
    return [_row(protocol, mutant, seeds, operations) for mutant in (None, *protocol.mutants)]


def _row(protocol: Protocol, mutant: Mutant | None, seeds: int, operations: int) -> Row:
    violated: Counter[str] = Counter()
    first = None
    for seed in count():
        name = mutant.name if mutant else None
        nodes, network = protocol.default_nodes, protocol.networks[0]
        simulation = Simulation(nodes, seed, network, mutant=name, operations=operations)
        found = judge(protocol.name, simulation)[2]
        violated.update(found)
        if mutant and first is None and mutant.caught_by in found:
            first = seed
        if seed + 1 >= (seeds if first is not None or mutant is None else PATIENCE):
            return Row(mutant, seed + 1, violated, first)
    raise AssertionError("count() does not end")


def table(protocol: Protocol, found: list[Row]) -> str:
    """The protocol's part of the page."""
    names = {name for row in found for name in row.violated}
    named = {mutant.caught_by for mutant in protocol.mutants}
    columns = sorted(names | named, key=lambda name: (name not in named, name))
    lines = [f"## {protocol.name}", "", protocol.reference + ".", ""]
    lines.append(f"| runs violated | {' | '.join(columns)} | first seed |")
    lines.append(f"|---|{'---|' * (len(columns) + 1)}")
    for row in found:
        title = "correct" if row.mutant is None else f"`{row.mutant.name}`"
        cells = [_cell(row, name) for name in columns]
        lines.append(f"| {title}, {row.runs} runs | {' | '.join(cells)} | {'' if row.first is None else row.first} |")
    lines += ["", *(f"- `{mutant.name}` breaks: {mutant.breaks}." for mutant in protocol.mutants), ""]
    return "\n".join(lines)


def _cell(row: Row, name: str) -> str:
    number = str(row.violated[name] or ".")
    return f"**{number}**" if row.mutant and row.mutant.caught_by == name else number


HEAD = """\
# Mutants and the checks that catch them

Made by `python -m reference_impls.matrix`. Every protocol runs with its default settings, correctly and with each of
its named bugs, over ten seeds, or over as many more as it takes to catch the bug. Numbers count the runs that violate a
check; in bold is the check that the mutant names. A correct run violates none.
"""


def main() -> int:
    """Prints the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("protocols", nargs="*", help="names; default: all that have mutants")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--operations", type=int, default=1000)
    arguments = parser.parse_args()
    known = protocols()
    unknown = set(arguments.protocols) - set(known)
    if unknown:
        parser.error(f"no protocol is named {', '.join(sorted(unknown))}")
    print(HEAD)
    right = True
    for name in arguments.protocols or [name for name, protocol in known.items() if protocol.mutants]:
        found = rows(known[name], arguments.seeds, arguments.operations)
        right &= all(row.right for row in found)
        print(table(known[name], found), flush=True)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
