"""Three-phase commit, after Skeen, "Nonblocking Commit Protocols", SIGMOD 1981, in the form of Bernstein, Hadzilacos &
Goodman, "Concurrency Control and Recovery in Database Systems", 1987, section 7.5.

To be read beside the book: comments give its rules. Between the votes and the commit stands a phase in which everybody
learns that all have voted yes. So no process can have committed while an operational one is still uncertain, and
operational processes never wait for a failed one: they elect a new coordinator, which decides by their states.

The book's assumptions, on which correctness rests: sites fail by crashing, messages are neither lost nor cut off, and
their delay has a known bound, so that a timeout means a failure. Where one is broken, two sites may decide differently;
the runs show it, and the broken assumption stands beside the verdict.

What is done about recovery: a process that has crashed since it voted takes no more part in elections; it asks the
others until one of them knows the decision. If all participants have crashed (total failure) the last one to fail has
to be among those that decide; here they wait until all are back, which is simpler than finding out who was the last,
and then decide by the states in their logs. For this, pre-commits are logged.

What the book has and this leaves out: the protocol of 7.5 that also survives communication failures by majorities; and
removing records from the log (7.4).
"""
