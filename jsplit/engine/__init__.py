"""The engine: thousands of replicas of one policy, in parallel.

Here: `replay`, the loop over steps; `shard`, which spreads it over devices; `streams`,
the order of the samples; `tables`, outcomes as the loop gathers them; `reduce`, what is
kept of a step; `settings` and `schedule`, how long and for whom it runs. Not here: any
concrete policy; the engine knows `policies.base` only.
"""
