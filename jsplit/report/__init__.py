"""What a reader sees of an evaluation: tables and figures.

Here: the names of the two modules, imported when first used, so that neither rich
nor matplotlib loads before. Not here: any number, which `results` and `stats` make.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsplit.report.figures import cost_accuracy, regret_curves
    from jsplit.report.tables import render, to_csv, to_markdown

__all__ = [
    "cost_accuracy",
    "regret_curves",
    "render",
    "to_csv",
    "to_markdown",
]

_HOME = {
    "cost_accuracy": "figures",
    "regret_curves": "figures",
    "render": "tables",
    "to_csv": "tables",
    "to_markdown": "tables",
}


def __getattr__(name: str) -> Any:
    """Imports the module of a public name when the name is first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
