"""What a reader sees of an evaluation: tables and figures.

Here: `tables` draws every kind of table; what stands in which column is in
`comparison`, `conditions`, `exact` and `recovery`, one per kind, and digits are chosen
in `cells`. `best` draws the best cells of a sweep, and `frames` writes what other
programs read. `figures` draws, and `placing` finds room for names. They load when first
used, so that neither rich nor matplotlib does before. Not here: any number, which
`results` and `stats` make.
"""

from typing import TYPE_CHECKING

from jsplit.extras import lazily

if TYPE_CHECKING:
    from jsplit.report.best import render_best
    from jsplit.report.figures.cost import cost_accuracy
    from jsplit.report.figures.curves import (
        sweep_curves,
        sweep_families,
        sweep_panels,
    )
    from jsplit.report.figures.front import sweep_front
    from jsplit.report.figures.heat import sweep_map
    from jsplit.report.figures.regret import regret_curves
    from jsplit.report.frames import to_csv, to_parquet
    from jsplit.report.tables import render, to_markdown

__all__ = [
    "cost_accuracy",
    "regret_curves",
    "render",
    "render_best",
    "sweep_curves",
    "sweep_families",
    "sweep_front",
    "sweep_map",
    "sweep_panels",
    "to_csv",
    "to_markdown",
    "to_parquet",
]

if not TYPE_CHECKING:  # which would take any misspelt name for an object
    __getattr__ = lazily(
        __name__,
        {
            "cost_accuracy": "figures.cost",
            "regret_curves": "figures.regret",
            "render": "tables",
            "render_best": "best",
            "sweep_curves": "figures.curves",
            "sweep_families": "figures.curves",
            "sweep_front": "figures.front",
            "sweep_map": "figures.heat",
            "sweep_panels": "figures.curves",
            "to_csv": "frames",
            "to_markdown": "tables",
            "to_parquet": "frames",
        },
    )


def __dir__() -> list[str]:
    return sorted(__all__)
