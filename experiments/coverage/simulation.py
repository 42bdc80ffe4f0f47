"""Intervals over replicas of shuffled streams: simulation error.

Here: means, differences, few replicas, stopping, bands, sets. Not here: test-set error
(`test_sets`, `whole`).
"""

import numpy as np
import population
from counting import Row, gather, holds

import jsplit
from jsplit import stats
from jsplit.stats import moments

POOL = 65_536
LEARNERS = ["splitee", "splitee_s", "ucb1"]
BEFORE = {  # by law and R: Student's t from 100 replicas on, BCa for fewer
    (law, num): share
    for law, shares in {
        "exponential": (87.1, 92.1, 93.0, 94.1, 94.8),
        "lognormal(1)": (81.3, 87.6, 89.9, 92.9, 90.6),
        "10 % of runs stuck at 10 times the regret": (37.5, 58.7, 94.3, 96.4, 92.4),
        "event in 5 % of the replicas": (18.1, 34.1, 76.7, 96.2, 86.7),
    }.items()
    for num, share in zip((4, 8, 30, 99, 100), shares, strict=True)
}


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
            rows.append(Row("simulation error", label, hits, 94, 96))
    return rows


def few_replicas(rng, evaluations):
    """Laws of rare and skewed replicas, few of them: covered or said to be unknown."""
    rows = []
    for law, (draw, truth) in population.LAWS.items():
        for num_replicas in (4, 8, 30, 99, 100, 300):

            def one_batch(count, draw=draw, truth=truth, num_replicas=num_replicas):
                found = stats.mean_interval(draw(rng, (count, num_replicas)))
                known = np.isfinite(found.low)
                return {"hit": holds(found, truth), "known": known}

            found = gather(evaluations, one_batch)
            unknown = ~found["known"]
            what = f"{law}, R = {num_replicas}, unknown in {100 * np.mean(unknown):.0f}"
            is_typical = law == "normal" and num_replicas >= 30
            wanted = (94, 96) if is_typical else (93, 100)
            before = BEFORE.get((law, num_replicas))
            hits = found["hit"] | unknown
            rows.append(Row("few replicas", f"{what} %", hits, *wanted, before))
    return rows


def true_nulls(rng, evaluations):
    """P values of differences whose mean is 0: how often they are not below 0.05."""
    rows = []
    for law, (draw, truth) in population.LAWS.items():
        for num_replicas in (4, 8, 30, 100, 300):

            def one_batch(count, draw=draw, truth=truth, num_replicas=num_replicas):
                values = draw(rng, (count, num_replicas)) - truth
                found = stats.paired_difference(values, np.zeros_like(values))
                return {"kept": found.p_value >= 0.05}

            kept = gather(evaluations, one_batch)["kept"]
            what = f"{law}, R = {num_replicas}"
            rows.append(Row("true null is kept", what, kept, 93, 100))
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
