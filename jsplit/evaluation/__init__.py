"""One question: what do these policies do on this scenario?

Here: `tabulating` (from arrays to tables, traceable), `feedback` (what a policy
observes), `binding` (checks and exact means), `evaluate` (fixed numbers of replicas),
`room` (the memory they take), `kept` (finished parts in a folder), `told` (what tells
one from another), `until` (as many as it takes), `rollout` (one replica, pure), `exact`
and `expected` (rules that need no replay). Not here: the loop (`engine`) or claims
(`results`).
"""
