"""Statistics: every function says what it estimates and what it resamples.

Here: pure NumPy functions over arrays whose last axis is R, the replicas (or N, the
samples of one fixed rule). Not here: what the values are and how they are stored
(`results`), how they look (`report`).

One replica is one stream and one run. Replicas are the only thing that may be counted
as independent; the N samples inside them never are. Three levels of error are never
mixed, and the streams (`Streams`) decide which one an interval covers:

* "shuffle" and "fixed" streams, *simulation error*: replicas repeat one simulation. The
  question is what their mean would be with infinitely many of them, so the width
  shrinks like 1/sqrt(R).
* "bootstrap" streams, *test-set error*: replicas run over test sets that could have
  been drawn. The question is what their mean would be on the population, and the width
  does not shrink with R. A policy that learns also varies between orders of one test
  set; this luck is not test-set error (`errors.test_set_error`).
* several traces, *training error*: `training_interval`.

=====================  ==========================================================
for                    use
=====================  ==========================================================
means over replicas    `mean_interval`: Student t, widened for skewed values; unknown
                       for fewer than 29 replicas
differences            `paired_difference`, on common streams
ratios                 `ratio_interval`, `relative_change`: delta method
one fixed rule         `sample_interval`: limits of bounded values, t over N for
                       others; a test that is exact for every N: `betting_p_value`
several comparisons    `holm` (planned), `benjamini_hochberg` (sweeps), `best_set`
whole curves           `simultaneous_band`
how many replicas      `replicas_needed`, `half_width`, `confidence_sequence`
several trainings      `training_interval`
=====================  ==========================================================
"""

from jsplit.stats.base import STREAMS, Interval, SampleRange, Streams, covers
from jsplit.stats.betting import betting_p_value
from jsplit.stats.intervals import mean_interval, ratio_interval, relative_change
from jsplit.stats.levels import sample_interval, training_interval, wilson_interval
from jsplit.stats.multiplicity import ADJUSTMENTS, benjamini_hochberg, holm
from jsplit.stats.paired import Paired, paired_difference
from jsplit.stats.simultaneous import best_set, simultaneous_band
from jsplit.stats.stopping import (
    METHODS,
    MIN_REPLICAS,
    confidence_sequence,
    half_width,
    replicas_needed,
)

__all__ = [
    "ADJUSTMENTS",
    "METHODS",
    "MIN_REPLICAS",
    "STREAMS",
    "Interval",
    "Paired",
    "SampleRange",
    "Streams",
    "benjamini_hochberg",
    "best_set",
    "betting_p_value",
    "confidence_sequence",
    "covers",
    "half_width",
    "holm",
    "mean_interval",
    "paired_difference",
    "ratio_interval",
    "relative_change",
    "replicas_needed",
    "sample_interval",
    "simultaneous_band",
    "training_interval",
    "wilson_interval",
]
