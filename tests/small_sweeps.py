"""A small sweep that is run by workers, clusters and shards, to compare what they give.

A part has one environment each, so that there are several.
"""

import pytest
from conftest import random_trace

import jsplit
from jsplit.sweeps import tasks

TRACE = random_trace(40, 3, seed=1)
POLICIES = ["splitee", "final_exit"]
OVER = {"offload": [0.1, 0.2, 0.3, 0.4, 0.5], "alpha": [0.6, 0.8]}
HOW = {"num_replicas": 16, "seed": 3}


@pytest.fixture(autouse=True)
def one_place_each(monkeypatch):
    monkeypatch.setattr(tasks, "MAX_PLACES", 1)


def swept(policies=POLICIES, over=OVER, **changes):
    how = {**HOW, **changes}
    return jsplit.sweep(TRACE, policies, jsplit.Costs.splitee, over, **how)
