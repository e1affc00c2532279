"""The loops over events: plain functions over arrays, run interpreted on small traces and compiled on large ones.

A kernel file imports numpy and the decorator of `tracekit.kernels.engine`, nothing else of ours
but, by a relative import, other kernels. Kernels take at most
eight arrays, write results into arrays named ``*_out``, raise nothing and know no strings.
"""
