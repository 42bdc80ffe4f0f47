"""Pristine, then blurred, then noisy images: who finds the split of each?

    python experiments/distortions/run.py        # writes table.md and regret.png

I-SplitEE is told which distortion holds and learns each one apart; the others find out.
"""

import pathlib

import jsplit
from jsplit import report
from jsplit.environment import drift

HERE = pathlib.Path(__file__).parent
EACH, REPLICAS = 20_000, 256
SAMPLES = {
    "pristine": "cifar10",
    "blurred": "cifar10_blurred",
    "noisy": "cifar10_noisy",
}
POLICIES = [
    "isplitee",
    "splitee_s(alpha=0.5)",
    "ucb1(alpha=0.5)",
    "sliding_window_ucb(alpha=0.5, window=2400, xi=0.1)",
    "glr_ucb(alpha=0.5)",
    "final_exit",
]


def evaluation() -> jsplit.Result:
    """Returns the replicas of every policy over the three distortions."""
    costs = jsplit.Costs.isplitee(7, offload=1.0, mu=0.1)
    scenario = jsplit.Scenario(
        {name: (jsplit.sample_trace(of), costs) for name, of in SAMPLES.items()},
        drift.abrupt(EACH, 2 * EACH),
    )
    return jsplit.evaluate(
        scenario,
        POLICIES,
        num_replicas=REPLICAS,
        horizon=3 * EACH,
        checkpoints=range(100, 3 * EACH + 1, 100),
        keep_curves=True,
        progress=True,
    )


def recovered(result: jsplit.Result) -> str:
    """Returns when replicas are back after the change to noise, as Markdown."""
    found = result.recovery(at=2 * EACH).data
    lines = [
        "| policy | back after noise, % | half after, steps | 95 % |",
        "| --- | ---: | ---: | ---: |",
    ]
    for label in found.policy.values:
        row = found.sel(policy=label)
        share, low, high = (
            100 * float(row[name])
            for name in ("recovered", "recovered_low", "recovered_high")
        )
        steps = [float(row[name]) for name in ("steps_50", "steps_95")]
        times = ["never" if s == float("inf") else f"{s:,.0f}" for s in steps]
        lines.append(
            f"| {label} | {share:.1f} [{low:.1f}, {high:.1f}] | {' | '.join(times)} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    result = evaluation()
    table = report.to_markdown(result.summarize_conditions())
    text = f"{table}\n{recovered(result)}"
    (HERE / "table.md").write_text(text, encoding="utf-8")
    report.regret_curves(result, HERE / "regret.png")
    print(text)
