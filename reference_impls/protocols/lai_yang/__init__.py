"""Lai & Yang, "On Distributed Snapshots", Information Processing Letters 25, 1987: snapshots without FIFO channels.

Every process is white until it records its state, then red; a message has the colour that its sender had. A white
process records its state before it takes a red message. The state of a channel is the white messages that a red process
receives.

Snapshots are taken again and again: a colour is the number of the latest snapshot that the process has recorded, red
for that one and those before it.

Where this differs from the paper: there, processes keep the history of the white messages sent and received on each
channel, the channel's state is their difference, and no control messages are needed. Here a process that has recorded
its state tells each receiver how many white messages it had sent to it, so that the receiver knows when it has them
all; the histories need not be kept. This message is red as well, so every process records its state in the end.
"""
