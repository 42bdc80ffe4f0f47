"""Races whose best cell is known: how often it is lost, how many replicas are saved.

    python experiments/racing/run.py [--races 500] [--sweeps 40]

First the rule alone on drawn values, then whole sweeps of rules that do not learn,
whose means are exact. The sweeps also show what a winner's gain is on fresh replicas.
"""

import argparse

import numpy as np

import jsplit
from jsplit.sweeps.racing import surely_worse

RUNNERS, MOST, FIRST = 40, 4096, 256
GAPS = {
    "all but alike": np.append(0.0, np.full(RUNNERS - 1, 1e-4)),
    "spread": np.linspace(0.0, 1.0, RUNNERS),
}


def drawn(kind, gaps, rng):
    """Values [runners, replicas] that share what a stream does to all of them."""
    shape = (len(gaps), MOST)
    if kind == "normal":
        return rng.normal(size=MOST) + 0.5 * rng.normal(size=shape) - gaps[:, None]
    if kind == "skewed":
        own = rng.exponential(size=shape) ** 2 / np.sqrt(20) - 2 / np.sqrt(20)
        return rng.normal(size=MOST) + 0.5 * own - gaps[:, None]
    # Right or wrong with a small probability, the hardest of bounded values.
    return (rng.random(shape) < 0.05 + 0.05 * gaps[:, None]) * -1.0


def race(values):
    """Returns whether runner 0 stays to the end, and the share of replicas saved."""
    totals = [FIRST * 2**i for i in range(int(np.log2(MOST // FIRST)) + 1)]
    alive, used, done = np.arange(len(values)), 0, 0
    for total in totals:
        used += (total - done) * len(alive)
        done = total
        out = surely_worse(
            values[alive, :total],
            num_started=len(values),
            num_looks=len(totals) - 1,
            higher_is_better=True,
        )
        alive = alive[~out]
    return 0 in alive, 1 - used / values.size


def of_rule(races):
    """Prints a line for each kind of values."""
    print("| values | gaps | best lost | replicas saved |\n| --- | --- | --- | --- |")
    for kind in ("normal", "skewed", "rare"):
        for name, gaps in GAPS.items():
            rng = np.random.default_rng(1)
            found = [race(drawn(kind, gaps, rng)) for _ in range(races)]
            kept, saved = np.mean(found, axis=0)
            print(f"| {kind} | {name} | {1 - kept:.1%} | {saved:.0%} |")


def a_trace(rng, samples=200, exits=6):
    """A trace whose answers are right as often as they are sure."""
    confidence = np.sort(rng.uniform(0.3, 1.0, (samples, exits)), axis=1)
    correct = rng.random((samples, exits)) < confidence
    return jsplit.Trace.from_arrays(confidence, correct=correct)


def of_sweeps(number):
    """Prints what became of the best cell, which is known, over whole sweeps."""
    trace = a_trace(np.random.default_rng(2))
    policies = [*(f"fixed_split(depth={i})" for i in range(1, 6)), "offload_all"]
    over = {"alpha": np.linspace(0.4, 0.95, 8)}
    cells = (trace, policies, jsplit.Costs.splitee, over)
    # A whole pass over the samples is exact.
    exact = jsplit.sweep(*cells, num_replicas=2)["mean"].sel(metric="reward")
    best = exact.max().item()
    kept, saved, first, fresh, true = [], [], [], [], []
    for seed in range(number):
        how = {"horizon": 30, "seed": seed, "race": "reward", "confirm": {"reward": 1}}
        how["baseline"] = "offload_all"
        runs = jsplit.sweep(*cells, num_replicas=1024, **how)
        replicas = runs["replicas"].sel(metric="reward")
        kept.append(replicas.where(exact >= best - 1e-12).max().item() == 1024)
        saved.append(runs.attrs["replicas_saved"] / runs.attrs["replicas_at_most"])
        few = jsplit.sweep(*cells, num_replicas=16, **{**how, "race": None})
        (row,) = few.confirmed("reward").itertuples()
        first.append(row.first_difference)
        fresh.append(row.fresh_difference)
        at = exact.sel(policy=row.policy)
        at = at.isel(alpha=0) if np.isnan(row.alpha) else at.sel(alpha=row.alpha)
        true.append(at.item() - exact.sel(policy="offload_all").isel(alpha=0).item())
    print(f"\n{number} sweeps of {exact.size} cells: the best was lost in ", end="")
    print(f"{np.sum(~np.array(kept))}, {np.mean(saved):.0%} of the replicas saved.")
    error = np.std(np.subtract(fresh, true)) / np.sqrt(number)
    print(
        "Gain of the winner of 16 replicas over final_exit, mean over sweeps: ", end=""
    )
    print(f"{np.mean(first):.5f} at first, {np.mean(fresh):.5f} on fresh replicas, ")
    print(f"{np.mean(true):.5f} in truth (standard error {error:.5f}).")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--races", type=int, default=500)
    parser.add_argument("--sweeps", type=int, default=40)
    given = parser.parse_args()
    of_rule(given.races)
    of_sweeps(given.sweeps)
