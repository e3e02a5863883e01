"""The fault matrix: every fault, in every slot of every host, is made to happen, and what comes of it is looked at.

python -m tests.faults            prints the table and writes docs/fault-matrix.md
"""
