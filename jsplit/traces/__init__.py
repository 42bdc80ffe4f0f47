"""What a network said, at every exit, for every sample: `Trace`, files, calibration.

Here: `trace` (the container), `loading` (from a file), `tables` (CSV, Parquet, NPZ of
others), `files` (our own format), `arrays` (checks), `softmax` and `calibration`
(temperatures). Traces that ship with jsplit lie in samples/. Not here: the networks
that said it (`models`, `recording`).
"""
