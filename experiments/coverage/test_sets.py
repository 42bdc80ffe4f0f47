"""Intervals over fresh test sets whose population is known: test-set error.

Here: resampled sets in NumPy, fixed rules, several trainings. Not here: `evaluate` on
fresh traces (`whole`).
"""

import numpy as np
import population
from counting import Row, gather, holds

from jsplit import stats
from jsplit.engine import streams

USED = "bootstrap"
BEFORE = {  # by N and rate: a symmetric t on resampled means
    (50, 0.9): 90.3,
    (50, 0.98): 63.3,
    (200, 0.98): 89.5,
    (200, 0.995): 61.7,
    (872, 0.995): 91.5,
    (872, 0.999): 60.7,
    (10_000, 0.9995): 89.0,
}


def high_rates(rng, evaluations, num_sets=64):
    """Rates near 1 of fresh test sets, exactly and by resampling."""
    rows = []
    for num_samples in (50, 200, 872, 10_000):
        for rate in rates_at(num_samples):

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
                    USED: holds(several, rate),
                    "bootstrap, range not known (not used)": holds(plain, rate),
                }

            for name, hits in gather(evaluations, one_batch).items():
                misses = num_samples * (1 - rate)
                wanted = (93.5, 98 if misses >= 10 else 100)
                wanted = (94, 96) if misses >= 80 else wanted
                if "not used" in name:
                    wanted = (0, 100)
                before = BEFORE.get((num_samples, rate)) if name == USED else None
                label = f"rate {rate}, N = {num_samples}, {name}"
                rows.append(Row("rates near 1", label, hits, *wanted, before))
    return rows


def rates_at(num_samples):
    """Rates that are tried with so many samples."""
    return (*population.RATES, 0.9995) if num_samples > 1000 else population.RATES


def rare_shipping(rng, evaluations, num_samples=100, num_sets=64):
    """Costs of which few are large, and their differences, of fresh test sets."""
    rows, resampled = [], stats.Streams("bootstrap", streams.ORDERS)
    for chance in (0.005, 0.02, 0.05):
        # Cost of an early exit, and of one that ships; the dearest exit is farther off.
        worth = np.array([0.1, 0.6])
        truth = np.array([1 - chance, chance]) @ worth

        def one_batch(count, chance=chance, worth=worth, truth=truth):
            shipped = rng.binomial(num_samples, chance, (count, 1)) / num_samples
            again = rng.binomial(num_samples, shipped, (count, num_sets)) / num_samples
            values = (worth[0] + again * (worth[1] - worth[0])).repeat(
                streams.ORDERS, 1
            )
            possible = stats.SampleRange(0.1, 1.3, num_samples)
            several = stats.mean_interval(values, streams=resampled, possible=possible)
            less = stats.paired_difference(
                values,
                np.full_like(values, 0.3),
                streams=resampled,
                possible=possible._replace(low=-0.2, high=1.0),
            )
            ranks = np.arange(num_samples) < np.round(num_samples * shipped)
            rule = stats.sample_interval(worth[ranks.astype(int)], possible=possible)
            return {
                "bootstrap": holds(several, truth),
                "bootstrap, difference": holds(less, truth - 0.3),
                "one fixed rule": holds(rule, truth),
            }

        for name, hits in gather(evaluations, one_batch).items():
            label = f"{100 * chance:g} % ship, N = {num_samples}, {name}"
            rows.append(Row("rare shipping", label, hits, 93.5, 100))
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
