"""The engine: thousands of replicas of one policy, in parallel.

`tables` packs outcomes, `replay` is the loop, `reduce` says what is kept of it, and
`shard` spreads it over devices. Knows `policies.base` and no concrete policy.
"""
