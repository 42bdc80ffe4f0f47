"""Makes the sample trace "digits" that `jsplit.sample_trace` loads.

A 6-exit CNN is trained on handwritten digits as the quick start does,
and recorded on the test half. Takes half a minute:

    python experiments/samples/make.py jsplit/samples
"""

import pathlib
import sys

from jsplit.quickstart import record_digits

NUM_EPOCHS, SEED = 30, 0


def main(folder: pathlib.Path) -> None:
    traces = record_digits(num_epochs=NUM_EPOCHS, seed=SEED, progress=False)
    trace = traces["pristine"]
    trace.save(folder / "digits.npz", compress=True)
    print(trace, trace.accuracy.round(3), f"{trace.num_samples} samples")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
