"""`jsplit sweep --show`: what a sweep would do, before anything runs.

Here: what is printed. Not here: how the time is foreseen (`sweeps.forecast`).
"""

import datetime
from typing import Any


def show(**arguments: Any) -> None:
    """Prints the axes, the cells, the work and the time expected.

    Args:
        **arguments: of `jsplit.sweep`.
    """
    from jsplit.sweeps.forecast import forecast
    from jsplit.sweeps.plan import make_plan

    plan = make_plan(**arguments)
    for one in plan.grid.dimensions:
        for axis in one.axes:
            together = f" (with {one.name})" if len(one.axes) > 1 else ""
            print(f"{axis.name}: {', '.join(map(str, axis.values))}{together}")
    cells, work = plan.grid.num_cells(), plan.grid.num_evaluations()
    replicas = arguments["num_replicas"]
    print(
        f"{cells:,} cells, {work:,} evaluations of one policy with "
        f"{replicas:,} replicas each: {work * replicas:,} runs"
    )
    found = forecast(
        plan.blocks[0], plan.run(plan.blocks[0].places[0]), work * replicas
    )
    time = datetime.timedelta(seconds=max(1, round(found.seconds)))
    print(
        f"about {time} on this machine with all its devices, compiling included (from "
        f"{found.num_replicas:,} runs)"
    )
