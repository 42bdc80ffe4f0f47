"""Traces of the same samples, put in the same order and told from others.

Here: what joins rows of two traces, by the names of the samples or, without, by their
order and labels. Not here: who joins them (`environment.scenario`, `fitting`).
"""

import dataclasses

import numpy as np

from jsplit.traces.fields import ARRAYS
from jsplit.traces.trace import Trace


def in_order_of(trace: Trace, other: Trace) -> Trace:
    """Returns a trace with its samples in the order of another, joined by their names.

    Args:
        trace: N samples.
        other: a trace, which gives the order.

    Returns:
        The trace itself if it has this order, other samples, or no names.

    Example:
        >>> from jsplit.traces.joining import in_order_of
        >>> from jsplit.traces.trace import Trace
        >>> one = Trace.from_arrays([[0.6, 0.9]] * 2, correct=[[0, 1]] * 2,
        ...                         sample=["a", "b"])
        >>> other = Trace.from_arrays([[0.5, 0.5], [0.7, 0.7]], correct=[[0, 1]] * 2,
        ...                           sample=["b", "a"])
        >>> in_order_of(other, one).confidence
        array([[0.7, 0.7],
               [0.5, 0.5]])
    """
    if trace is other or trace.sample is None or other.sample is None:
        return trace
    if np.array_equal(trace.sample, other.sample):
        return trace
    ours, theirs = np.argsort(trace.sample), np.argsort(other.sample)
    if not np.array_equal(trace.sample[ours], other.sample[theirs]):
        return trace
    rows = np.empty_like(ours)
    rows[theirs] = ours
    arrays = {name: getattr(trace, name) for name in ARRAYS}
    chosen = {k: v if v is None else v[rows] for k, v in arrays.items()}
    return dataclasses.replace(trace, **chosen)


def same_samples(trace: Trace, other: Trace) -> bool:
    """Tells whether row n of both traces is the same sample, as far as can be told."""
    return not difference(trace, other)


def difference(trace: Trace, other: Trace) -> str:
    """Returns what shows that rows of two traces are of other samples, "" if nothing.

    Names and labels must agree where both traces have them. If only one has names,
    labels must be there to tell.
    """
    if trace is other:
        return ""
    if trace.sample is not None and other.sample is not None:
        if not np.array_equal(trace.sample, other.sample):
            return "other samples, or another order,"
        told = True
    else:
        told = trace.sample is None and other.sample is None
    if trace.label is not None and other.label is not None:
        return "" if np.array_equal(trace.label, other.label) else "other labels"
    return "" if told else "no names of samples to join by"
