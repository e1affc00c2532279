"""Protocols as real processes: the same nodes and clients as in the simulator, over TCP on this machine.

Every node is an operating-system process (`node`). It has one connection, to a proxy in the parent (`proxy`), through
which all its messages pass; there they are delayed, lost, doubled and cut off by the same `Network` as in the
simulator. A `host` carries out what the node asks for: it sends, sets timers, records with a `Recorder` of its own, and
keeps its stable state in a journal that is forced to the disk (`storage`). Faults are signals (`processes`): SIGKILL,
SIGSTOP and SIGCONT. Clients run in the parent (`clients`), as Jepsen's do, each with a connection and a recorder of its
own. `cluster` is the World of the faults and the Stage of the workload; `run` joins the logs into one trace.

Nothing listens but the proxy, on 127.0.0.1, and it hears nobody who does not know the run's secret. Nothing outlives
the run: see `processes`.
"""
