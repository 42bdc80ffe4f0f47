"""Coverage of every interval of `jsplit.stats` over simulated evaluations.

    python experiments/coverage/run.py [--evaluations 10000] [--out table.md]

Each study draws many evaluations whose truth is known and counts how often the interval
holds it. Here: which studies there are. Not here: the studies (`simulation`,
`test_sets`, `whole`, `tried`), the claims, which tests/stats/test_coverage.py checks on
fewer evaluations.
"""

import argparse
import pathlib
import time

import numpy as np
import population
import simulation
import test_sets
import tried
import whole
from counting import to_markdown

SEED = 20


def study(evaluations, seed=SEED):
    """All rows of the table."""
    rng = np.random.default_rng(seed)
    pool = simulation.make_pool(seed)
    engines = max(evaluations // 10, 20)
    easy = population.draw_easy_trace
    rows = []
    for part in (
        lambda: simulation.simulation_error(pool, rng, evaluations),
        lambda: simulation.few_replicas(rng, evaluations),
        lambda: simulation.true_nulls(rng, evaluations),
        lambda: simulation.stopping(pool, rng, evaluations),
        lambda: simulation.anytime(pool, rng, evaluations),
        lambda: simulation.simultaneous(pool, rng, evaluations),
        lambda: simulation.sets_and_power(rng, evaluations),
        lambda: test_sets.fresh_test_sets(rng, evaluations, "clear"),
        lambda: test_sets.fresh_test_sets(rng, evaluations, "tie"),
        lambda: test_sets.high_rates(rng, evaluations),
        lambda: test_sets.rare_shipping(rng, evaluations),
        lambda: test_sets.training_error(rng, evaluations),
        lambda: whole.evaluated(rng, engines, population.draw_trace, "usual"),
        lambda: whole.evaluated(rng, engines, easy, "nearly always right"),
    ):
        start = time.perf_counter()
        rows += part()
        print(f"{rows[-1].study}: {time.perf_counter() - start:.0f} s", flush=True)
    return rows


def main():
    """Writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=SEED)
    here = pathlib.Path(__file__).parent
    parser.add_argument("--out", type=pathlib.Path, default=here / "table.md")
    given = parser.parse_args()
    (given.out.parent / "tried.md").write_text(
        tried.table(given.seed), encoding="utf-8"
    )
    rows = study(given.evaluations, given.seed)
    given.out.write_text(to_markdown(rows, given.seed), encoding="utf-8")


if __name__ == "__main__":
    main()
