"""Who is surely not the best, looked at round after round.

Here: `surely_worse`, the rule of a race. Not here: what runs between the looks
(`rounds`).
"""

import numpy as np

from jsplit.stats.base import Streams
from jsplit.stats.paired import differences_of
from jsplit.stats.student import estimate, t_test

ERROR = 0.05


def surely_worse(
    values: np.ndarray,
    *,
    num_started: int,
    num_looks: int,
    higher_is_better: bool,
    streams: Streams = Streams(),
    error: float = ERROR,
) -> np.ndarray:
    """Returns which runners are worse than the leader, beyond doubt.

    The leader has the best mean. A runner is out where the paired t test, one-sided,
    rejects that it is as good as the leader at the level

        error / ((num_started - 1) num_looks).

    The best runner is lost only if a test rejects that it is as good as one that is
    worse. There are at most (num_started - 1) num_looks such tests, whoever leads and
    whenever one looks. So it stays to the end with probability 1 - error or more.

    Args:
        values: [runners, R] of those still in the race, over the same replicas.
        num_started: runners at the start, >= 2.
        num_looks: looks of the whole race, >= 1.
        higher_is_better: what is best.
        streams: what the replicas ran over; of "bootstrap" ones the unit is the test
            set.
        error: probability of losing the best, in (0, 1).

    Returns:
        [runners] bool.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> order = rng.normal(size=(1, 256))
        >>> values = order + 0.1 * rng.normal(size=(3, 256)) + [[0.5], [0.5], [0.0]]
        >>> rule = {"num_started": 3, "num_looks": 4, "higher_is_better": True}
        >>> surely_worse(values, **rule).tolist()
        [False, False, True]
    """
    signed = values if higher_is_better else -values
    leader = signed[signed.mean(-1).argmax()]
    gap = estimate(*differences_of(leader[np.newaxis], signed), streams)
    one_sided = np.where(gap.mean > 0, t_test(gap) / 2, 1.0)
    return one_sided <= error / ((num_started - 1) * num_looks)
