"""How fast the engine, the policies and the networks are, as ratios in one run.

Here: `engine`, `policies` and `models`, what they measure by default (`sizes`), and
`rivals`, the ways they are usually written.
"""
