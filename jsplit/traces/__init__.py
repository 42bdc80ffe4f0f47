"""What a network said, at every exit, for every sample: `Trace`, files, calibration.

Here: `trace` (the container) and its `fields`, `loading` (from a file); `readers`,
`tables`, `cells` and `stopping` (CSV, JSON lines, Parquet of others), `npz` (arrays of
others), `columns` (which is which); `files` (our own format), `arrays` (checks),
`scores` and `softmax` (logits and probabilities), `calibration` (temperatures),
`joining` (by samples). Traces that ship with jsplit lie in samples/. Not here: the
networks that said it (`models`, `recording`).
"""
