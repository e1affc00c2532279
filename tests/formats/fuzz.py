"""Bytes that no reader may stumble over: random ones, valid files damaged, valid files cut off."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from tracekit.errors import TracekitError
from tracekit.registry import Format
from tracekit.trace.trace import Trace


def damaged(*samples: bytes) -> st.SearchStrategy[bytes]:
    """Random bytes; or one of the samples with a stretch replaced by random bytes or by a piece of another sample."""
    sample = st.sampled_from(samples)
    place = st.floats(0, 1)

    def splice(text: bytes, start: float, end: float, piece: bytes) -> bytes:
        first, last = sorted((int(start * len(text)), int(end * len(text))))
        return text[:first] + piece + text[last:]

    def cut(text: bytes, start: float, end: float) -> bytes:
        return splice(text, start, end, b"")

    def flip(text: bytes, where: float, byte: int) -> bytes:
        at = int(where * (len(text) - 1))
        return text[:at] + bytes([byte]) + text[at + 1 :]

    def stretch(text: bytes, start: float) -> bytes:
        return text[int(start * len(text)) :][:200]

    pieces = st.binary(max_size=20) | st.builds(stretch, sample, place)
    return (
        st.binary(max_size=200)
        | st.builds(splice, sample, place, place, pieces)
        | st.builds(cut, sample, place, st.just(1.0))
        | st.builds(flip, sample, place, st.integers(0, 255))
    )


def survives(format: Format, folder: Path, data: bytes) -> list[Trace]:
    """Reads the bytes as the format: traces whose every event can be looked at, or a TracekitError TK1xx or TK2xx."""
    path = folder / "fuzzed.log"
    path.write_bytes(data)
    format.can_read(path, data[: 1 << 16])
    try:
        traces = format.read(path)
    except TracekitError as error:
        assert error.code.startswith(("TK1", "TK2")), error
        str(error)
        return []
    for trace in traces:
        for row in range(min(len(trace), 5)):
            trace.event(row), trace.fields(row), trace.source(row)
        assert trace.set_aside.count >= len(trace.set_aside.first)
    return traces
