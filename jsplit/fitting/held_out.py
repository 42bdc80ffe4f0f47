"""A trace cut in two: a part to fit on and a part to judge on.

Here: `split_trace`. Not here: anything fitted (the files beside this one).
"""

import dataclasses
from typing import Any

import numpy as np

from jsplit import checks
from jsplit.traces.fields import ARRAYS
from jsplit.traces.trace import Trace, check_trace
from jsplit.types import JsplitError


def split_trace(
    trace: Trace, share: float = 0.5, *, seed: int = 0
) -> tuple[Trace, Trace]:
    """Returns a random part of the samples to fit on, and all others to judge on.

    The held-out part has round(share * N) samples, drawn without replacement and, like
    the rest, in random order: a file may be sorted by class. No sample is in both.

    Args:
        trace: N >= 2 samples.
        share: share of the samples held out for fitting, 0..1; neither part may be
            empty.
        seed: seed of the draw, >= 0; the same seed gives the same parts.

    Returns:
        (held_out, judged). Their meta["part"] says which part of which trace (sha256)
        they are, with share and seed.

    Raises:
        JsplitError: if an argument is out of range, or a part would be empty.

    Example:
        >>> from jsplit.fitting import split_trace
        >>> trace = Trace.from_arrays([[0.6, 0.9]] * 10, correct=[[0, 1]] * 10)
        >>> held_out, judged = split_trace(trace, 0.2, seed=1)
        >>> held_out.num_samples, judged.num_samples
        (2, 8)
    """
    check_trace("trace", trace)
    share = checks.number("share", share, 0.0, 1.0)
    seed = checks.integer("seed", seed, 0)
    num_held_out = round(share * trace.num_samples)
    if not 0 < num_held_out < trace.num_samples:
        raise JsplitError(
            f"share must leave a sample in both parts, got {share:g} of "
            f"{trace.num_samples} samples"
        )
    order = np.random.default_rng(seed).permutation(trace.num_samples)
    whole = {"of": trace.sha256, "share": share, "seed": seed}
    return (
        _part(trace, order[:num_held_out], {"name": "held_out", **whole}),
        _part(trace, order[num_held_out:], {"name": "judged", **whole}),
    )


def _part(trace: Trace, rows: np.ndarray, facts: dict[str, Any]) -> Trace:
    arrays = {name: getattr(trace, name) for name in ARRAYS}
    chosen = {k: v if v is None else v[rows] for k, v in arrays.items()}
    return dataclasses.replace(trace, **chosen, meta={**trace.meta, "part": facts})
