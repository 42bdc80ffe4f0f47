"""jsplit: judge split-computing and early-exit policies.

Models make logits; plans, policies and the engine turn logits into decisions; sweeps,
statistics and reports turn decisions into claims.
"""

from typing import TYPE_CHECKING

from jsplit import drift
from jsplit.calibration import calibrate, expected_calibration_error
from jsplit.costs import Costs
from jsplit.engine.shard import use_all_cores
from jsplit.evaluate import evaluate
from jsplit.exact import exact_values
from jsplit.loading import load_trace, sample_trace
from jsplit.policies.base import Policy, Selector
from jsplit.policies.registry import make_policy, policy_names
from jsplit.profiles import Link, Machine, Profile, link_states
from jsplit.recovery import recovery
from jsplit.results import load_result, save_result
from jsplit.scenario import Condition, Scenario
from jsplit.summary import summarize, summarize_conditions
from jsplit.trace import Trace
from jsplit.types import Context, Feedback, JsplitError, Now, Outcome, Plan, Protocol
from jsplit.until import evaluate_until

if TYPE_CHECKING:
    from jsplit import models, report
    from jsplit.fitting import (
        best_split,
        budget_cascade,
        risk_controlled_cascade,
        risk_controlled_split,
        split_trace,
    )
    from jsplit.recording import record
    from jsplit.training import train

__version__ = "0.1.0"

__all__ = [
    "Condition",
    "Context",
    "Costs",
    "Feedback",
    "JsplitError",
    "Link",
    "Machine",
    "Now",
    "Outcome",
    "Plan",
    "Policy",
    "Profile",
    "Protocol",
    "Scenario",
    "Selector",
    "Trace",
    "best_split",
    "budget_cascade",
    "calibrate",
    "drift",
    "evaluate",
    "evaluate_until",
    "exact_values",
    "expected_calibration_error",
    "link_states",
    "load_result",
    "load_trace",
    "make_policy",
    "models",
    "policy_names",
    "record",
    "recovery",
    "report",
    "risk_controlled_cascade",
    "risk_controlled_split",
    "sample_trace",
    "save_result",
    "split_trace",
    "summarize",
    "summarize_conditions",
    "train",
]

# What needs flax, optax, matplotlib or rich, or only some evaluations need, loads when
# used.
_LAZY = {
    "best_split": ("jsplit.fitting", "best_split"),
    "budget_cascade": ("jsplit.fitting", "budget_cascade"),
    "models": ("jsplit.models", None),
    "record": ("jsplit.recording", "record"),
    "report": ("jsplit.report", None),
    "risk_controlled_cascade": ("jsplit.fitting", "risk_controlled_cascade"),
    "risk_controlled_split": ("jsplit.fitting", "risk_controlled_split"),
    "split_trace": ("jsplit.fitting", "split_trace"),
    "train": ("jsplit.training", "train"),
}

use_all_cores()


def __getattr__(name: str) -> object:
    import importlib

    if name not in _LAZY:
        raise AttributeError(f"module 'jsplit' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    loaded = importlib.import_module(module)
    return loaded if attribute is None else getattr(loaded, attribute)
