"""Sweeps made up for tests: no replica is run."""

import json

import numpy as np
import xarray

import jsplit
from jsplit import stats
from jsplit.results.metrics import PER_REPLICA
from jsplit.results.settings import DIFFERENCE, KEPT, OWN
from jsplit.stats.paired import differences_of
from jsplit.stats.student import estimate

OFFLOAD, ALPHA = [0.1, 0.2, 0.3], [0.6, 0.8]
POLICIES = ["learner", "rule", "final_exit", "oracle"]
REPLICAS = 64


def made_runs(values):
    """Runs of [offload, alpha, policy, replica]; only the learner has an alpha."""
    values[:, :, 1:] = values[:, :1, 1:]
    shape = (*values.shape[:3], len(PER_REPLICA))
    kept = {name: np.zeros(shape) for name in KEPT}
    for j, metric in enumerate(PER_REPLICA):
        sign = -1 if metric in ("cost", "pseudo_regret") else 1
        of_metric = sign * values
        base = np.broadcast_to(of_metric[:, :, 2:3], values.shape)
        constant = np.ptp(values, axis=-1) == 0
        found = estimate(of_metric, constant, stats.Streams())
        paired = estimate(*differences_of(of_metric, base), stats.Streams())
        for name, column in zip((*OWN, *DIFFERENCE), (*found, *paired), strict=True):
            kept[name][..., j] = column
    dims = ("offload", "alpha", "policy", "metric")
    return jsplit.Runs(
        xarray.Dataset(
            {name: (dims, column) for name, column in kept.items()},
            {
                "offload": OFFLOAD,
                "alpha": ALPHA,
                "policy": POLICIES,
                "metric": list(PER_REPLICA),
            },
            {
                "baseline": "final_exit",
                "without": json.dumps({"alpha": POLICIES[1:]}),
                "privileged": json.dumps(["oracle"]),
                "num_replicas": REPLICAS,
                "stream": "shuffle",
            },
        )
    )


def made_values():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=REPLICAS)
    own = 0.01 * rng.normal(size=(3, 2, 4, REPLICAS))
    offload = np.array([0.0, 0.3, 3.0])[:, None, None, None]
    alpha = np.array([0.0, 0.05])[None, :, None, None]
    policy = np.array([1.0, 0.5, 0.0, 9.0])[:, None]
    return noise + own + offload + alpha + policy
