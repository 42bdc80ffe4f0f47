"""One question: what do these policies do on this scenario?

Here: `binding` (a policy and a scenario to tables), `feedback` (what a policy
observes), `evaluate` (fixed numbers of replicas), `until` (as many as it takes),
`exact` (rules that need no replay). Not here: the loop (`engine`) or claims
(`results`).
"""
