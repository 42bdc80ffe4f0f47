"""What each difference between published mathematics and released code is worth.

    python experiments/protocol_switches/run.py [--replicas 4096] [--out table.md]

Recorded traces, one switch of `jsplit.Protocol` at a time, the same streams with and
without. Not here: why the code differs (`jsplit.Protocol`).
"""

import argparse
import dataclasses
import pathlib
import time
import tomllib

import numpy as np

import jsplit
from jsplit import stats

HERE = pathlib.Path(__file__).parent
TRACES = ("imdb", "cifar10")
OFFLOAD, ALPHA, SEED = 0.5, 0.7, 0  # SplitEE's costs and alpha, as published
POLICIES = [
    "splitee",
    "splitee_s",
    "random_exit",
    "confidence_cascade",
    "final_exit",
]
METRICS = ("accuracy", "cost", "reward", "pseudo_regret")
ROUNDING = 1e-9  # of sums in another order; no effect


def protocols():
    """The paper's protocol with one switch turned, by name, then with all."""
    paper, released = jsplit.Protocol(), jsplit.Protocol.named("released")
    turned = {
        name: dataclasses.replace(paper, **{name: value})
        for name, value in released.switches().items()
    }
    return {**turned, "all (released)": released}


def costs_of(trace):
    return jsplit.Costs.splitee(trace.num_exits, offload=OFFLOAD)


def replay(trace, protocol, num_replicas):
    """[policy, replica] values of every metric."""
    result = jsplit.evaluate(
        trace,
        POLICIES,
        costs_of(trace),
        num_replicas=num_replicas,
        protocol=protocol,
        seed=SEED,
        num_checkpoints=2,
    )
    return {metric: result.metric(metric) for metric in METRICS}


def study(trace, num_replicas):
    """Values by the paper, and by switch: (values, paired differences) per metric."""
    paper = replay(trace, jsplit.Protocol(), num_replicas)
    effects = {}
    for name, protocol in protocols().items():
        start = time.perf_counter()
        turned = replay(trace, protocol, num_replicas)
        effects[name] = {
            metric: (turned[metric], stats.paired_difference(turned[metric], values))
            for metric, values in paper.items()
        }
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    return paper, effects


def concerns(effect, i):
    """Tells whether a switch changes anything about policy i, in any replica."""
    return any(
        paired.low[i] < -ROUNDING or paired.high[i] > ROUNDING
        for _, paired in effect.values()
    )


def judge(effects, expected, trace):
    """Lines that say of every expectation whether it was met."""
    costs = costs_of(trace)
    heads = costs.mu * float(costs.head[:-1].sum())  # that exit L does not evaluate
    amounts = {
        "unchanged": 0.0,
        "all heads more": heads,
        "all heads less": -heads,
        "all heads more, every step": heads * trace.num_samples,
    }
    lines = []
    for switch, wanted in expected.items():
        effect = effects[switch]
        for i, policy in enumerate(POLICIES):
            told = wanted.get(policy)
            if told is None:
                met = not concerns(effect, i)
                lines.append((switch, policy, "no effect", met))
                continue
            for metric, rule in told.items():
                _, paired = effect[metric]
                mean, low, high = (float(x[i]) for x in paired[:3])
                if rule == "lower":
                    met = high < 0
                elif rule == "higher":
                    met = low > 0
                elif rule == "none":
                    met = low - ROUNDING <= 0 <= high + ROUNDING
                else:
                    met = bool(np.isclose(mean, amounts[rule], rtol=1e-5, atol=1e-7))
                lines.append((switch, policy, f"{metric}: {rule}", met))
    return lines


def number(value, digits):
    text = f"{value:+.{digits}f}"
    return text if float(text) else "0"


def shown(paired, i, digits, scale=1.0):
    mean, low, high = (scale * float(x[i]) for x in paired[:3])
    if abs(high - low) <= ROUNDING * scale:
        return number(mean, digits)
    return f"{number(mean, digits)} [{number(low, digits)}, {number(high, digits)}]"


def spread(values, i):
    return float(np.std(values[i], ddof=1))


def to_markdown(name, paper, effects, lines, num_replicas):
    rows = [
        f"## {name}",
        "",
        "| by the paper | accuracy % | cost | reward | pseudo-regret | sd of reward |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for i, policy in enumerate(POLICIES):
        mean = {metric: float(values[i].mean()) for metric, values in paper.items()}
        rows.append(
            f"| {policy} | {100 * mean['accuracy']:.3f} | {mean['cost']:.4f} | "
            f"{mean['reward']:.4f} | {mean['pseudo_regret']:.1f} | "
            f"{spread(paper['reward'], i):.5f} |"
        )
    rows += [
        "",
        "| switch | policy | accuracy, points | cost | reward | pseudo-regret | sd of "
        "reward |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for switch, effect in effects.items():
        for i, policy in enumerate(POLICIES):
            if concerns(effect, i):
                rows.append(
                    f"| {switch} | {policy} | "
                    f"{shown(effect['accuracy'][1], i, 4, 100)} | "
                    f"{shown(effect['cost'][1], i, 5)} | "
                    f"{shown(effect['reward'][1], i, 5)} | "
                    f"{shown(effect['pseudo_regret'][1], i, 2)} | "
                    f"{spread(effect['reward'][0], i):.5f} |"
                )
    missed = [line for line in lines if not line[-1]]
    met = f"{len(lines) - len(missed)} of {len(lines)}"
    rows += [
        "",
        f"Offload {OFFLOAD}, alpha {ALPHA}, {num_replicas} replicas over shuffles, "
        f"seed {SEED}. Second table: released minus paper, 95 % paired intervals over "
        "replicas (simulation error); a number alone is the same in every replica. "
        "What a switch does not change, in no replica and no metric, is left out; the "
        "last column is that of the switched protocol. Expectations (expected.toml): "
        f"{met} met.",
    ]
    for switch, policy, rule, _ in missed:
        rows.append(f"Not met: {switch}, {policy}, {rule}.")
    return "\n".join(rows) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=4096)
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "table.md")
    given = parser.parse_args()
    expected = tomllib.loads((HERE / "expected.toml").read_text("utf-8"))
    parts = []
    for name in TRACES:
        trace = jsplit.sample_trace(name)
        paper, effects = study(trace, given.replicas)
        lines = judge(effects, expected, trace)
        parts.append(to_markdown(name, paper, effects, lines, given.replicas))
    text = "\n".join(parts)
    given.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
