"""An atomic register on a majority of servers: Attiya, Bar-Noy & Dolev, "Sharing Memory Robustly in Message-Passing
Systems", JACM 1995; with several writers as in Lynch & Shvartsman, "Robust Emulation of Shared Memory Using Dynamic
Quorum-Acknowledged Broadcasts", FTCS 1997.

Each key is a register of its own. In the papers every process is a server and a client at once; here a client asks one
server, which reads and writes for it (its coordinator) and is asked again where no answer comes. So servers need no
timers. Servers keep their state over crashes, which the papers do not ask for (there a crash is for ever).

What the papers speak of and this leaves out: bounded timestamps (ABD, section 5) and reconfiguration.
"""
