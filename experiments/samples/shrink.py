"""Makes a recorded trace small enough to come with the library.

Confidences are rounded to multiples of 2^-12 and entropies left out; predictions and
labels stay as they are, and so does the metadata, with a line about the rounding.
Confidences above the largest such multiple below 1 stay below 1.

    python experiments/samples/shrink.py recorded.npz jsplit/samples/cifar10.npz
"""

import pathlib
import sys

import numpy as np

import jsplit

STEPS = 2**12


def shrink(trace: jsplit.Trace) -> jsplit.Trace:
    """Returns the trace with 12-bit confidences and without entropies."""
    steps = np.rint(trace.confidence * STEPS)
    # A confidence of 1 would be certainty, which no softmax means.
    confidence = np.minimum(steps, STEPS - 1) / STEPS
    meta = {**trace.meta, "confidence_rounded_to": f"1/{STEPS}"}
    return jsplit.Trace.from_arrays(
        confidence.astype(np.float32), trace.prediction, trace.label, **meta
    )


if __name__ == "__main__":
    source, target = map(pathlib.Path, sys.argv[1:])
    small = shrink(jsplit.load_trace(source))
    small.save(target, compress=True)
    print(small, f"{target.stat().st_size / 1024:.0f} KB")
