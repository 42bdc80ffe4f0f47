"""Figures: everything that imports matplotlib.

Here: of an evaluation, what accuracy costs (`cost`) and how regret grows (`regret`);
of a sweep, lines over an axis (`curves`), a map of two axes (`heat`), the front of all
settings (`front`), and what these share (`sweeps`). All share how a policy looks
(`looks`), names beside what is drawn (`names`), and the paper (`canvas`). Only Figure
objects are made, never the global state of pyplot, so figures work without a display
and inside programs that plot for themselves. Not here: the statistics (`stats`).
"""
