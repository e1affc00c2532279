"""A model of one's own: a lease. Whoever asks gets the lease, or is told who has it; a lease may end by itself."""

from tracekit.history.models import Refused


class Lease:
    """At most one holder."""

    init = None
    observers = ("holder",)

    def step(self, state, f, argument, answer):
        if f == "take":  # the argument is the client's name; the answer, the holder's
            after = argument if state is None else state
            possible = {after, argument}  # the old lease may just have ended: then it is the caller's
            return [holder for holder in possible if holder == answer] or Refused(f"{state} held it")
        if f == "give":
            return None if state == argument else Refused(f"{state} held it, not {argument}")
        return state if answer == state else Refused(f"the holder was {state}")

    def describe(self, state):
        return "nobody's" if state is None else f"{state}'s"
