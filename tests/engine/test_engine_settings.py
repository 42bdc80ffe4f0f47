"""The value that says how a scenario is replayed."""

import dataclasses

import pytest

from jsplit.engine.settings import Keep, Run, evenly_spaced, log_spaced, with_end
from jsplit.types import JsplitError

RUN = Run(horizon=50, checkpoints=(10, 50))


def test_equal_runs_are_one_value():
    same = Run(horizon=50, checkpoints=(10, 50), keep=Keep())
    assert same == RUN
    assert hash(same) == hash(RUN)
    assert dataclasses.replace(RUN, seed=1) != RUN


def test_steps_end_with_the_run():
    assert with_end(log_spaced(100, 3), 100) == (1, 10, 100)
    assert with_end(evenly_spaced(100, 4), 100) == (25, 50, 75, 100)
    assert with_end([7, 3, 3], 10) == (3, 7, 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_replicas": 0}, "num_replicas must be an integer from 1"),
        ({"num_replicas": True}, "num_replicas must be an integer from 1"),
        ({"first_replica": -1}, "first_replica must be an integer from 0"),
        ({"stream": "shufle"}, "did you mean 'shuffle'"),
        ({"stream": "bootstrap", "first_replica": 2}, "multiple of 4"),
        ({"horizon": 0}, "horizon must be an integer from 1"),
        ({"seed": -1}, "seed must be an integer"),
        ({"block_size": 0}, "block_size must be an integer >= 1"),
        ({"devices": "cpu"}, "devices must be a list of JAX devices"),
        ({"devices": []}, "devices must be a list of JAX devices"),
        ({"checkpoints": ()}, "checkpoints must increase and end with horizon 50"),
        ({"checkpoints": (10, 99)}, "checkpoints must increase and end with horizon"),
        ({"checkpoints": (20, 10, 50)}, "checkpoints must increase"),
        ({"protocol": "paper"}, "protocol must be a Protocol, got 'paper'"),
        ({"keep": None}, "keep must be a Keep, got None"),
    ],
)
def test_what_is_out_of_range_is_named(changes, message):
    with pytest.raises(JsplitError, match=message):
        dataclasses.replace(RUN, **changes)
