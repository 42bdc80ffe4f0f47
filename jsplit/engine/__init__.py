"""The engine: thousands of replicas of one policy, in parallel.

Here: `replay`, the loop over steps; `shard`, the programs and the calls to them;
`layout`, settings and replicas on devices; `pace`, how much work a call gets; `midway`,
runs that go on later; `streams`, the order of the samples; `tables`, outcomes as the
loop gathers them; `reduce` and `sums`, what is kept of a step, and brought to the host;
`settings` and `schedule`, how long and for whom it runs. Not here: any concrete policy;
the engine knows `policies.base` only.
"""

from jsplit.cores import use_all_cores

use_all_cores()
