"""Who comes back after a change, and when.

    python experiments/drift_recovery/run.py        # writes table.md and regret.png

Both changes are made so that what was learned before them holds on: the best arm falls
below one that stays as it was, and its mean over all steps is slow to follow.
"""

import pathlib

import numpy as np

import jsplit
from jsplit import report
from jsplit.environment import drift

HERE = pathlib.Path(__file__).parent
CHANGE, HORIZON, EVERY = 20_000, 40_000, 100
REPLICAS = 256
WINDOWS = (600, 1_200, 2_400)
GAMMAS = (0.995, 0.9975, 0.999)
MEANS = {"before": (0.2, 0.6, 0.9, 0.2), "after": (0.2, 0.6, 0.1, 0.2)}
DRAWN = (
    "ucb1",
    "splitee",
    "sliding_window_ucb(window=1200, xi=0.1)",
    "discounted_ucb(gamma=0.999, xi=0.02)",
    "glr_ucb",
    "contextual_ucb",
)


def fixed_gaps() -> jsplit.Scenario:
    """Returns exits that are right and sure of it in chosen shares, for free."""
    rng = np.random.default_rng(0)
    traces = {}
    for name, means in MEANS.items():
        right = (rng.random((CHANGE, len(means))) < means).astype(np.float32)
        traces[name] = jsplit.Trace.from_arrays(right, correct=right)
    free = jsplit.Costs([0.0] * len(MEANS["before"]))
    return jsplit.Scenario(
        {name: (trace, free) for name, trace in traces.items()}, drift.abrupt(CHANGE)
    )


def dear_link() -> jsplit.Scenario:
    """Returns MobileNetV2's exits, shipping free at first and then for 0.4."""
    trace = jsplit.sample_trace("cifar10")
    links = {
        name: (trace, jsplit.Costs.splitee(7, offload=price, layer=0.02, head=0.0))
        for name, price in (("cheap", 0.0), ("dear", 0.4))
    }
    return jsplit.Scenario(links, drift.abrupt(CHANGE))


def published() -> list[str]:
    """Returns policies with published constants, each split answering for itself."""
    return [
        "splitee(alpha=0)",
        "ucb1(alpha=0)",
        *(f"sliding_window_ucb(window={w}, alpha=0)" for w in WINDOWS),
        *(f"discounted_ucb(gamma={g}, alpha=0)" for g in GAMMAS),
        "glr_ucb(alpha=0)",
    ]


def chosen() -> list[str]:
    """Returns stationary learners, learners that forget, and one that is told."""
    return [
        "splitee",
        "ucb1",
        "sliding_window_ucb",
        "discounted_ucb",
        *(f"sliding_window_ucb(window={w}, xi=0.1)" for w in WINDOWS),
        *(f"discounted_ucb(gamma={g}, xi=0.02)" for g in GAMMAS),
        "glr_ucb",
        "exp3_s",
        "contextual_ucb",
    ]


def evaluation(scenario: jsplit.Scenario, policies: list[str]) -> jsplit.Result:
    """Returns the replicas of every policy before and after the change."""
    return jsplit.evaluate(
        scenario,
        policies,
        num_replicas=REPLICAS,
        horizon=HORIZON,
        checkpoints=range(EVERY, HORIZON + 1, EVERY),
        keep_curves=True,
        progress=True,
    )


def table(result: jsplit.Result) -> str:
    """Returns recovery and dynamic regret of every policy as Markdown."""
    found = result.recovery(at=CHANGE).data
    regret = result["pseudo_regret_curve"]
    before = regret.sel(checkpoint=CHANGE)
    after = regret.sel(checkpoint=HORIZON) - before
    lines = [
        "| policy | recovered, % | 5 % after, steps | half | 95 % | regret before | "
        "regret after |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for label in result.policies:
        row = found.sel(policy=label)
        steps = [float(row[name]) for name in ("steps_5", "steps_50", "steps_95")]
        cells = [
            f"{100 * float(row.recovered):.1f} [{100 * float(row.recovered_low):.1f}, "
            f"{100 * float(row.recovered_high):.1f}]",
            *("never" if s == float("inf") else f"{s:,.0f}" for s in steps),
            f"{float(before.sel(policy=label).mean()):,.0f}",
            f"{float(after.sel(policy=label).mean()):,.0f}",
        ]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    gaps = evaluation(fixed_gaps(), published())
    link = evaluation(dear_link(), chosen())
    text = (
        f"## Fixed gaps, published constants\n\n{table(gaps)}\n"
        f"## A link that turns dear\n\n{table(link)}"
    )
    (HERE / "table.md").write_text(text, encoding="utf-8")
    report.regret_curves(link, HERE / "regret.png", policies=DRAWN)
    print(text)
