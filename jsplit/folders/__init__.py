"""Folders that are worked in: who writes them, and what they are of.

Here: `lock` (one process at a time), `taken` (several processes, each at its part),
`described` (what a folder is of, and whether this is the same). Not here: what is in
them, and how a file is written (`writing`).
"""
