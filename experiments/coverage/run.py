"""Coverage of every interval of `jsplit.stats` over simulated evaluations.

    python experiments/coverage/run.py [--evaluations 10000] [--out table.md]

Each study draws many evaluations whose truth is known and counts how often the interval
holds it. Not here: the claims themselves, which tests/test_coverage.py checks on a
smaller number of evaluations.
"""

import argparse
import pathlib
import time

import numpy as np
import population

import jsplit
from jsplit import stats
from jsplit.engine import streams
from jsplit.stats import moments

SEED = 20
BATCH = 500
POOL = 65_536
LEARNERS = ["splitee", "splitee_s", "ucb1"]


class Row:
    """One line of the table: a claim, the share of successes, and what is wanted."""

    def __init__(self, study, name, hits, low, high):
        """Counts `hits`, a bool array; low and high are the range that is wanted."""
        self.study, self.name = study, name
        self.hits, self.count = int(np.sum(hits)), int(np.size(hits))
        self.low, self.high = low, high

    @property
    def share(self):
        """Share of successes in percent."""
        return 100 * self.hits / self.count

    @property
    def error(self):
        """Binomial standard error of the share at its nominal value, in points."""
        return 100 * np.sqrt(0.05 * 0.95 / self.count)

    def holds(self, tolerance=0.0):
        """Tells whether the share is in its range, give or take standard errors."""
        slack = tolerance * self.error
        return self.low - slack <= self.share <= self.high + slack


def holds(interval, truth):
    return (interval.low <= truth) & (truth <= interval.high)


def batches(evaluations, size=BATCH):
    return [min(size, evaluations - done) for done in range(0, evaluations, size)]


def gather(evaluations, one_batch, size=BATCH):
    """Joins what `one_batch(count)` returns, a dict of [count] arrays."""
    parts = [one_batch(count) for count in batches(evaluations, size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def make_pool(seed):
    """Many replicas of learners on one test set: their means are the known truth."""
    trace = population.draw_trace(np.random.default_rng(seed), 80)
    costs = jsplit.Costs.splitee(trace.num_exits, offload=0.3)
    result = jsplit.evaluate(
        trace,
        LEARNERS,
        costs,
        num_replicas=POOL,
        seed=seed,
        num_checkpoints=16,
        keep_curves=True,
    )
    pool = {name: result.metric(name) for name in ("accuracy", "cost", "reward")}
    pool["regret"] = result.metric("pseudo_regret")
    pool["curve"] = result["pseudo_regret_curve"].values[0].T.copy()  # [pool, points]
    return pool


def simulation_error(pool, rng, evaluations):
    """Means, paired differences and ratios over replicas of shuffled streams."""
    rows = []
    for num_replicas in (128, 60):

        def one_batch(count, num_replicas=num_replicas):
            pick = rng.integers(pool["cost"].shape[-1], size=(count, num_replicas))
            found = {}
            for metric in ("accuracy", "cost", "reward", "regret"):
                values = pool[metric][:, pick]
                truth = pool[metric].mean(-1)
                found[f"mean of {metric}"] = holds(
                    stats.mean_interval(values[0]), truth[0]
                )
                if metric in ("accuracy", "cost"):
                    found[f"paired difference of {metric}"] = holds(
                        stats.paired_difference(values[0], values[1]),
                        truth[0] - truth[1],
                    )
                if metric == "cost":
                    found["relative change of cost"] = holds(
                        stats.relative_change(values[0], values[1]),
                        100 * (truth[0] / truth[1] - 1),
                    )
            return found

        for name, hits in gather(evaluations, one_batch).items():
            label = f"{name}, R = {num_replicas}"
            rows.append(Row("simulation error", label, hits, 94, 97))
    return rows


def few_replicas(rng, evaluations):
    """Laws of rare and skewed replicas, few of them: covered or said to be unknown."""
    rows = []
    for law, (draw, truth) in population.LAWS.items():
        for num_replicas in (4, 8, 30, 99, 100, 300):

            def one_batch(count, draw=draw, truth=truth, num_replicas=num_replicas):
                values = draw(rng, (count, num_replicas))
                found = stats.mean_interval(values)
                known = np.isfinite(found.low)
                return {"hit": holds(found, truth), "known": known}

            found = gather(evaluations, one_batch)
            known = found["known"]
            label = (
                f"{law}, R = {num_replicas}, unknown in {100 * np.mean(~known):.0f} %"
            )
            rows.append(Row("few replicas", label, found["hit"] | ~known, 93, 100))
    return rows


def high_rates(rng, evaluations, num_sets=64):
    """Rates near 1 of fresh test sets, exactly and by resampling."""
    rows = []
    for num_samples in (50, 200, 872, 10_000):
        for rate in population.RATES:

            def one_batch(count, num_samples=num_samples, rate=rate):
                right = rng.binomial(num_samples, rate, count)
                share = right[:, None] / num_samples
                sets = rng.binomial(num_samples, share, (count, num_sets))
                sets = sets.repeat(streams.ORDERS, 1) / num_samples
                resampled = stats.Streams("bootstrap", streams.ORDERS)
                possible = stats.SampleRange(0.0, 1.0, num_samples)
                several = stats.mean_interval(
                    sets, streams=resampled, possible=possible
                )
                plain = stats.mean_interval(sets, streams=resampled)
                counts, which = np.unique(right, return_inverse=True)
                tests = np.arange(num_samples) < counts[:, None]
                exact = stats.sample_interval(tests)
                exact = stats.Interval(*(part[which] for part in exact))
                return {
                    "one fixed rule": holds(exact, rate),
                    "bootstrap": holds(several, rate),
                    "bootstrap, range not known (not used)": holds(plain, rate),
                }

            for name, hits in gather(evaluations, one_batch).items():
                # A handful of misses is covered more often than it should.
                most = 98 if num_samples * (1 - rate) >= 10 else 100
                low, high = (0, 100) if "not used" in name else (93.5, most)
                label = f"rate {rate}, N = {num_samples}, {name}"
                rows.append(Row("rates near 1", label, hits, low, high))
    return rows


def fresh_test_sets(rng, evaluations, case):
    """Bootstrap streams of fresh test sets against the population they come from."""
    orders, num_sets, num_samples = streams.ORDERS, 64, 1000
    chances = population.POPULATIONS[case]

    def values_of(counts):
        values = {
            "fixed plan": population.fixed(counts, 1),
            "learner": population.learner(rng, counts, 50),
        }
        values["learner - fixed plan"] = values["learner"] - values["fixed plan"]
        return values

    fresh = population.draw_test_sets(rng, num_samples, chances, 1_000_000)
    truth = {name: value.mean() for name, value in values_of(fresh).items()}

    def one_batch(count):
        tests = population.draw_test_sets(rng, num_samples, chances, count)
        share = tests[:, None] / num_samples
        sets = population.draw_test_sets(rng, num_samples, share, (count, num_sets))
        found = {}
        for name, values in values_of(sets.repeat(orders, axis=1)).items():
            for num_orders in (orders, 1):
                streams = stats.Streams("bootstrap", num_orders)
                interval = stats.mean_interval(values, streams=streams)
                found[name, num_orders] = holds(interval, truth[name])
        exact = stats.wilson_interval(tests @ population.KINDS[:, 1], num_samples)
        rate = truth["fixed plan"] + population.COSTS[1]
        found["accuracy of the fixed plan, Wilson", orders] = holds(exact, rate)
        return found

    rows = []
    for (name, num_orders), hits in gather(evaluations, one_batch, 250).items():
        what = f"{name}, {case}"
        if num_orders == 1 and name != "fixed plan":
            label = f"{what}, spread of replicas (not used)"
            rows.append(Row("test-set error", label, hits, 96, 100))
        elif num_orders == orders:
            # Near a tie resampling smooths the learner: never too narrow, says `stats`.
            is_hard = case == "tie" and "learner" in name
            rows.append(Row("test-set error", what, hits, 94, 100 if is_hard else 96))
    return rows


def training_error(rng, evaluations, num_samples=200, num_replicas=64):
    """Several trainings on one test set against training again on another."""

    def one_batch(count, num_traces):
        skill = 0.8 + 0.03 * rng.normal(size=(count, num_traces, 1))
        shared = 0.1 * rng.normal(size=(count, 1, num_samples))
        correct = rng.random((count, num_traces, num_samples)) < skill + shared
        weights = rng.multinomial(
            num_samples,
            np.full(num_samples, 1 / num_samples),
            size=(count, num_replicas),
        )
        values = correct @ weights.swapaxes(-1, -2) / num_samples
        interval = stats.training_interval(values, streams=stats.Streams("bootstrap"))
        return {"": holds(interval, MEAN)}

    rows = []
    # The mean of min(p, 1) over the two normals, by quadrature: some p exceed 1.
    points = np.linspace(-8, 8, 200_001)
    weight = np.exp(-(points**2) / 2)
    total = np.clip(0.8 + np.hypot(0.03, 0.1) * points, 0, 1)
    MEAN = (total * weight).sum() / weight.sum()
    for num_traces in (3, 5, 10):
        hits = gather(evaluations, lambda count, s=num_traces: one_batch(count, s))[""]
        label = f"{num_traces} traces, bootstrap streams"
        rows.append(Row("training error", label, hits, 93, 97))
    return rows


def stopping(pool, rng, evaluations, chunk=64, longest=4096):
    """Rules that look after every chunk of replicas."""
    rows = []
    for metric in ("reward", "regret"):
        values = pool[metric][0]
        truth, wanted = values.mean(), 1.96 * values.std() / np.sqrt(700)

        def one_batch(count, values=values, truth=truth, wanted=wanted):
            draws = values[rng.integers(values.size, size=(count, longest))]
            hit, stopped_at = np.zeros(count, bool), np.zeros(count, int)
            running = np.arange(count)
            for num in range(stats.MIN_REPLICAS, longest + 1, chunk):
                seen = draws[running, :num]
                stop = stats.half_width(seen) <= wanted
                hit[running[stop]] = holds(stats.mean_interval(seen[stop]), truth)
                stopped_at[running[stop]] = num
                running = running[~stop]
                if not running.size:
                    break
            return {"hit": hit, "replicas": stopped_at}

        found = gather(evaluations, one_batch)
        label = f"t rule, {metric}, stops at {found['replicas'].mean():.0f} on average"
        rows.append(Row("stopping", label, found["hit"], 93, 97))
    return rows


def anytime(pool, rng, evaluations, longest=4096, looks=40):
    """Intervals that must hold at every look."""
    values = pool["regret"][0]
    at = np.unique(np.geomspace(stats.MIN_REPLICAS, longest, looks).astype(int))

    def one_batch(count):
        draws = values[rng.integers(values.size, size=(count, longest))]
        always = {"sequence": np.ones(count, bool), "t": np.ones(count, bool)}
        for num in at:
            seen = draws[:, :num]
            always["sequence"] &= holds(stats.confidence_sequence(seen), values.mean())
            always["t"] &= holds(stats.mean_interval(seen), values.mean())
        return always

    found = gather(evaluations, one_batch, 250)
    label = f"holds at all of {len(at)} looks, {at[0]} to {at[-1]} replicas"
    return [
        Row("anytime", f"confidence sequence {label}", found["sequence"], 95, 100),
        Row("anytime", f"t interval {label} (not claimed)", found["t"], 0, 94),
    ]


def simultaneous(pool, rng, evaluations, num_replicas=256):
    """Bands of whole regret curves."""
    curves = pool["curve"]
    truth = curves.mean(0)

    def one_batch(count):
        pick = rng.integers(len(curves), size=(count, num_replicas))
        drawn = curves[pick].swapaxes(-1, -2)
        streams = stats.Streams()
        kept = moments.moments(drawn, streams)
        whole = stats.simultaneous_band(drawn)
        plugin = moments.plugin_band(kept, streams)
        point = moments.pointwise_band(kept, streams)
        # The first checkpoint has one value: its width is zero, its mean exact.
        slack = 1e-9
        return {
            name: ((band.low <= truth + slack) & (truth - slack <= band.high)).all(-1)
            for name, band in (
                ("simultaneous", whole),
                ("from moments", plugin),
                ("pointwise", point),
            )
        }

    found = gather(evaluations, one_batch, 100)
    where = f"whole curve of {truth.size} checkpoints, R = {num_replicas}"
    return [
        Row("bands", f"simultaneous, {where}", found["simultaneous"], 95, 100),
        Row("bands", f"from moments, {where}", found["from moments"], 94, 100),
        Row("bands", f"pointwise, {where} (not claimed)", found["pointwise"], 0, 94),
    ]


def sets_and_power(rng, evaluations, num_replicas=128):
    """The set of best policies, and the power that was asked for."""
    mean = np.array([1.0, 1.0, 1.0, 0.95, 0.8])
    kept = []
    for _ in range(evaluations // 20):
        common = rng.normal(size=num_replicas)
        own = rng.exponential(0.5, size=(mean.size, num_replicas)) - 0.5
        kept.append(stats.best_set(mean[:, None] + common + own)[:3].all())
    needed = stats.replicas_needed(1.0, 0.2)
    tests = rng.normal(0.2, 1.0, size=(evaluations, needed))
    found = stats.paired_difference(tests, np.zeros_like(tests)).p_value < 0.05
    return [
        Row("best set", "keeps all 3 best of 5 policies", kept, 95, 100),
        Row(
            "power", f"finds the difference, planned 80 %, R = {needed}", found, 79, 81
        ),
    ]


def engine(rng, evaluations, draw, case, num_samples=200, num_replicas=256):
    """Intervals of `jsplit.evaluate` on fresh traces, against the population."""
    whole = draw(rng, 100_000)
    costs = jsplit.Costs.splitee(whole.num_exits, offload=0.3)
    policies = ["splitee", "splitee_s", "final_exit", "confidence_cascade"]
    far = jsplit.evaluate(
        whole, policies, costs, num_replicas=16_384, horizon=num_samples, seed=1
    )
    truth = far.summarize().data
    metrics = ["accuracy", "offloaded", "cost", "reward", "true_reward"]
    metrics.append("realised_regret")
    found = {}
    for number in range(evaluations):
        trace = draw(rng, num_samples)
        result = jsplit.evaluate(
            trace,
            policies,
            costs,
            num_replicas=num_replicas,
            stream="bootstrap",
            seed=number,
            num_checkpoints=2,
        )
        table = result.summarize().data
        # What never varies has zero width, and a float32 rounding.
        inside = (table.low - 1e-6 <= truth["mean"]) & (
            truth["mean"] <= table.high + 1e-6
        )
        apart = (table.difference_low - 1e-6 <= truth.difference) & (
            truth.difference <= table.difference_high + 1e-6
        )
        for metric in metrics:
            for policy in policies:
                found.setdefault((metric, policy), []).append(
                    bool(inside.sel(policy=policy, metric=metric))
                )
                if policy != "final_exit":
                    name = f"{metric} - final_exit's", policy
                    found.setdefault(name, []).append(
                        bool(apart.sel(policy=policy, metric=metric))
                    )
    return [
        Row("evaluate, bootstrap", f"{what}, {policy}, {case}", hits, 93.5, 100)
        for (what, policy), hits in found.items()
    ]


def study(evaluations, seed=SEED):
    """All rows of the table."""
    rng = np.random.default_rng(seed)
    pool = make_pool(seed)
    engines = max(evaluations // 10, 20)
    rows = []
    for part in (
        lambda: simulation_error(pool, rng, evaluations),
        lambda: fresh_test_sets(rng, evaluations, "clear"),
        lambda: fresh_test_sets(rng, evaluations, "tie"),
        lambda: training_error(rng, evaluations),
        lambda: stopping(pool, rng, evaluations),
        lambda: anytime(pool, rng, evaluations),
        lambda: simultaneous(pool, rng, evaluations),
        lambda: sets_and_power(rng, evaluations),
        lambda: few_replicas(rng, evaluations),
        lambda: high_rates(rng, evaluations),
        lambda: engine(rng, engines, population.draw_trace, "usual"),
        lambda: engine(rng, engines, population.draw_easy_trace, "nearly always right"),
    ):
        start = time.perf_counter()
        rows += part()
        print(f"{rows[-1].study}: {time.perf_counter() - start:.0f} s", flush=True)
    return rows


def to_markdown(rows, evaluations, seed):
    lines = [
        "| study | what | covered % | +- | wanted | evaluations |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        lines.append(
            f"| {row.study} | {row.name} | {row.share:.2f} | {row.error:.2f} | "
            f"{row.low}-{row.high}{'' if row.holds(2) else ' **no**'} | "
            f"{row.count} |"
        )
    return "\n".join(lines) + (
        f"\n\nSeed {seed}. **no**: outside what is wanted by more than two standard "
        "errors (+-).\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=SEED)
    here = pathlib.Path(__file__).parent
    parser.add_argument("--out", type=pathlib.Path, default=here / "table.md")
    given = parser.parse_args()
    rows = study(given.evaluations, given.seed)
    text = to_markdown(rows, given.evaluations, given.seed)
    given.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
