"""Counting how often intervals hold: rows, batches, the table.

Here: `Row` and what makes rows. Not here: any study.
"""

import numpy as np

BATCH = 500


class Row:
    """One line of the table: a claim, the share of successes, and what is wanted."""

    def __init__(self, study, name, hits, low, high, before=None):
        """Counts `hits`, a bool array; low and high are the range that is wanted.

        `before` is the share that an interval replaced since then had, in percent.
        """
        self.study, self.name, self.before = study, name, before
        self.hits, self.count = int(np.sum(hits)), int(np.size(hits))
        self.low, self.high = low, high

    @property
    def share(self):
        """Share of successes in percent."""
        return 100 * self.hits / self.count

    @property
    def error(self):
        """Binomial standard error of the share at its nominal value, in points."""
        return 100 * np.sqrt(0.05 * 0.95 / self.count)

    def holds(self, tolerance=0.0):
        """Tells whether the share is in its range, give or take standard errors."""
        slack = tolerance * self.error
        return self.low - slack <= self.share <= self.high + slack


def holds(interval, truth):
    """Tells whether a truth lies within the limits."""
    return (interval.low <= truth) & (truth <= interval.high)


def gather(evaluations, one_batch, size=BATCH):
    """Joins what `one_batch(count)` returns, a dict of [count] arrays."""
    counts = [min(size, evaluations - done) for done in range(0, evaluations, size)]
    parts = [one_batch(count) for count in counts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def to_markdown(rows, seed):
    """Returns the rows as a table."""
    lines = [
        "| study | what | covered % | before | +- | wanted | evaluations |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        before = "" if row.before is None else f"{row.before:.1f}"
        lines.append(
            f"| {row.study} | {row.name} | {row.share:.2f} | {before} | "
            f"{row.error:.2f} | {row.low}-{row.high}{'' if row.holds(2) else ' **no**'}"
            f" | {row.count} |"
        )
    return "\n".join(lines) + (
        f"\n\nSeed {seed}. **no**: outside what is wanted by more than two standard "
        "errors (+-).\n"
    )
