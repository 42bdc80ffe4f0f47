"""Who comes back after the link turns dear, and when.

    python experiments/drift_recovery/run.py        # writes table.md and regret.png

For 20,000 steps shipping is nearly free and split 1 is best; then its price rises and
the final exit is best for 20,000 steps more. Split 1 had paid off for so long that its
mean over all steps needs 20,000 x 0.12 / 0.08 = 30,000 more to fall below.
"""

import pathlib

import jsplit
from jsplit import drift, report

HERE = pathlib.Path(__file__).parent
CHANGE, HORIZON, EVERY = 20_000, 40_000, 100
WINDOWS = (600, 1_200, 2_400)
GAMMAS = (0.995, 0.9975, 0.999)
DRAWN = (
    "ucb1",
    "splitee",
    "sliding_window_ucb(window=1200, xi=0.1)",
    "discounted_ucb(gamma=0.999, xi=0.02)",
    "glr_ucb",
    "contextual_ucb",
)


def policies() -> list[str]:
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


def evaluation() -> "jsplit.results.Dataset":
    """Returns 256 replicas of every policy before and after the change."""
    trace = jsplit.sample_trace("cifar10")
    links = {
        name: (trace, jsplit.Costs.splitee(7, offload=price, layer=0.02, head=0.0))
        for name, price in (("cheap", 0.0), ("dear", 0.2))
    }
    return jsplit.evaluate(
        jsplit.Scenario(links, drift.abrupt(CHANGE)),
        policies(),
        num_replicas=256,
        horizon=HORIZON,
        checkpoints=range(EVERY, HORIZON + 1, EVERY),
        progress=True,
    )


def table(result: "jsplit.results.Dataset") -> str:
    """Returns recovery and dynamic regret of every policy as Markdown."""
    found = jsplit.recovery(result, at=CHANGE)
    regret = result.pseudo_regret
    before = regret.sel(checkpoint=CHANGE)
    after = regret.sel(checkpoint=HORIZON) - before
    lines = [
        "| policy | recovered, % | 5 % after, steps | half | 95 % | regret before | "
        "regret after |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for label in result.policy.values:
        row = found.sel(policy=label)
        steps = [float(row[name]) for name in ("early", "half", "late")]
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
    result = evaluation()
    (HERE / "table.md").write_text(table(result), encoding="utf-8")
    report.regret_curves(result, HERE / "regret.png", policies=DRAWN)
    print(table(result))
