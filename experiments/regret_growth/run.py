"""Does regret grow like log T, and does it stay under what is proved?

    python experiments/regret_growth/run.py [--replicas 128] [--horizon 1000000]

Writes table.md and regret.png beside itself. Not here: traces, bounds and fits
(`instances`).
"""

import argparse
import pathlib
import time

import instances
import numpy as np

import jsplit
from jsplit import stats

HERE = pathlib.Path(__file__).parent
START, SEED = 1_000, 0
BOUNDS = {
    "ucb1": instances.ucb1_bound,
    "splitee": instances.splitee_bound,
    "ucb_v": instances.ucb_v_bound,
    "moss": instances.moss_bound,
}
# By the numbers for which something is proved; defaults otherwise.
NUMBERS = {"ucb_v": {"zeta": 1.2}}
STATIONARY = [
    "splitee",
    "ucb1",
    "ucb_v",
    "ucb_tuned",
    "kl_ucb",
    "bayes_ucb",
    "moss",
    "thompson_gaussian",
]
# Its regret does not grow like log T: the fits must be able to say so.
CONTRAST = ["epsilon_greedy"]


def replay(means, num_samples, policies, num_replicas, horizon):
    """Checkpoints from START on, and {policy: [checkpoint, replica] pseudo-regret}."""
    trace = instances.make_trace(means, num_samples)
    curves = {}
    for name in policies:
        start = time.perf_counter()
        result = jsplit.evaluate(
            trace,
            [jsplit.make_policy(name, alpha=0.0, **NUMBERS.get(name, {}))],
            instances.free(len(means)),
            num_replicas=num_replicas,
            horizon=horizon,
            seed=SEED,
            num_checkpoints=73,  # 12 to a decade
            keep_curves=True,
        )
        steps = result["checkpoint"].values
        late = steps >= START
        curves[name] = result["pseudo_regret_curve"].values[0][late]
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    return steps[late].astype(float), curves


def decades(steps, curves):
    """Growth [R] over the last factor of 10 in T, and over the one before."""
    last, one, two = (
        curves[int(np.argmin(np.abs(np.log(steps * factor / steps[-1]))))]
        for factor in (1, 10, 100)
    )
    return last - one, one - two


def row(label, steps, curves, means):
    """Everything the table says about one policy."""
    slopes, log_fit = instances.fit_log(steps, curves)
    exponent, power_fit = instances.fit_power(steps, curves.mean(1))
    # 100 (last / before - 1) percent.
    change = stats.relative_change(*decades(steps, curves))
    bound = share = None
    if label in BOUNDS:
        bounds = BOUNDS[label](steps, means)
        high = stats.simultaneous_band(curves).high
        bound, share = bounds[-1], float((high / bounds).max())
    return {
        "regret": stats.mean_interval(curves[-1]),
        "slope": stats.mean_interval(slopes),
        "log_fit": log_fit,
        "exponent": exponent,
        "power_fit": power_fit,
        "ratio": [1 + float(x) / 100 for x in change],
        "bound": bound,
        "share": share,
    }


def shown(interval, digits):
    mean, low, high = (f"{float(x):.{digits}f}" for x in interval)
    return f"{mean} [{low}, {high}]"


def to_markdown(name, means, rows, num_replicas, horizon, num_samples):
    lines = [
        f"## {name}",
        "",
        f"Means {', '.join(map(str, means))}; smallest slope that is possible "
        f"{instances.best_slope(means):.1f} (Lai and Robbins).",
        "",
        "| policy | regret at the end | slope against ln T | R² of a + b ln T | R² of "
        "c T^p | p | last decade / one before | bound | largest share of it |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for label, one in rows.items():
        bound = "none" if one["bound"] is None else f"{one['bound']:.0f}"
        share = "" if one["share"] is None else f"{one['share']:.3f}"
        best = "**" if one["log_fit"] > one["power_fit"] else ""
        lines.append(
            f"| {label} | {shown(one['regret'], 1)} | {shown(one['slope'], 2)} | "
            f"{best}{one['log_fit']:.4f}{best} | {one['power_fit']:.4f} | "
            f"{one['exponent']:.3f} | {shown(one['ratio'], 2)} | {bound} | {share} |"
        )
    lines += [
        "",
        f"T = {START} to {horizon}, {num_replicas} replicas, N = {num_samples}, 95 % "
        "intervals over replicas; bold: log T fits better than a power of T. Last "
        "column: the upper end of a simultaneous 95 % band over the bound, at its "
        "largest over all checkpoints.",
        "",
    ]
    return "\n".join(lines)


def draw(path, panels):
    """One panel per instance: mean regret against T on a logarithmic axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, (steps, curves, means)) in zip(
        figure.subplots(1, len(panels)), panels.items(), strict=True
    ):
        ends = []
        for label, values in curves.items():
            if label in CONTRAST:
                continue
            band = stats.simultaneous_band(values)
            (line,) = axes.plot(steps, band.mean, label=label, linewidth=1.6)
            colour = line.get_color()
            axes.fill_between(steps, band.low, band.high, color=colour, alpha=0.2)
            slopes, _ = instances.fit_log(steps, values)
            x = np.log(steps) - np.log(steps).mean()
            fitted = values.mean() + slopes.mean() * x
            axes.plot(steps, fitted, color=colour, linewidth=0.8, linestyle=":")
            ends.append(band.mean[-1])
        lowest = instances.best_slope(means) * np.log(steps)
        axes.plot(steps, lowest, color="0.4", linestyle="--", label="Lai-Robbins slope")
        axes.set(xscale="log", xlabel="steps T", ylabel="pseudo-regret", title=name)
        axes.set_ylim(0, 1.08 * max(ends))
        axes.legend(fontsize=7.5, frameon=False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=128)
    parser.add_argument("--horizon", type=int, default=1_000_000)
    parser.add_argument("--out", type=pathlib.Path, default=HERE)
    given = parser.parse_args()
    num_samples = given.horizon  # nobody meets a sample twice
    text, panels = [], {}
    for name, means in instances.INSTANCES.items():
        steps, curves = replay(
            means, num_samples, STATIONARY + CONTRAST, given.replicas, given.horizon
        )
        rows = {one: row(one, steps, curves[one], means) for one in curves}
        panels[name] = steps, curves, means
        text.append(
            to_markdown(name, means, rows, given.replicas, given.horizon, num_samples)
        )
    few = num_samples // 100
    means = next(iter(instances.INSTANCES.values()))
    steps, again = replay(means, few, ["ucb1"], given.replicas, given.horizon)
    text.append(
        to_markdown(
            "The same data 100 times over, gaps 0.2, 0.3, 0.4",
            means,
            {"ucb1": row("ucb1", steps, again["ucb1"], means)},
            given.replicas,
            given.horizon,
            few,
        )
    )
    given.out.joinpath("table.md").write_text("\n".join(text), encoding="utf-8")
    draw(given.out / "regret.png", panels)
    print("\n".join(text))


if __name__ == "__main__":
    main()
