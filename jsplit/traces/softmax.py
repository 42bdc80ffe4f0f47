"""What a trace keeps of logits: confidence, entropy and prediction.

Here: one function for NumPy and for JAX, so that a trace made of logits on the host and
one recorded on a device follow the same formula. Imports nothing of jsplit.
Called by `trace`, `calibration` and `recording`.
"""

from typing import Any

import numpy as np


def summary(logits: Any, xp: Any = np) -> tuple[Any, Any, Any]:
    """Returns what the softmax says about each set of logits.

    With weights w_c = exp(logits_c - max logits): confidence = 1 / sum w, entropy =
    log(sum w) - sum w_c log(w_c) / sum w, prediction = argmax logits (the lowest class
    on ties), in the precision of the logits.

    Args:
        logits: [..., C] finite floating-point numbers.
        xp: The array library they belong to, `numpy` or `jax.numpy`. The two differ
            by rounding alone: XLA has an exponential of its own.

    Returns:
        confidence: [...] the largest softmax probability, in [0, 1].
        entropy: [...] in nats, >= 0.
        prediction: [...] class.

    Example:
        >>> import numpy as np
        >>> from jsplit.traces import softmax
        >>> [round(float(x), 4) for x in softmax.summary(np.log([0.25, 0.75]))]
        [0.75, 0.5623, 1.0]
    """
    with np.errstate(over="ignore", under="ignore"):
        shifted = logits - logits.max(axis=-1, keepdims=True)
        # A difference beyond the largest float is -inf, and 0 * -inf is NaN.
        shifted = xp.maximum(shifted, xp.finfo(logits.dtype).min)
        weights = xp.exp(shifted)
        # The largest weight is exp(0) = 1: the sum is at least 1, so that the
        # confidence cannot leave [0, 1] nor the entropy fall below 0.
        total = weights.sum(axis=-1)
        entropy = xp.log(total) - (weights * shifted).sum(axis=-1) / total
        return 1 / total, entropy, logits.argmax(axis=-1)
