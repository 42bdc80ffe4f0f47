"""jsplit: judge split-computing and early-exit policies.

Models make logits; plans, policies and the engine turn logits into decisions; sweeps,
statistics and reports turn decisions into claims.

The tree, from the bottom up: a package, what it is, and after the bar which rows above
it may import (a test reads this table):

types        the words: plan, outcome, feedback, protocol |
checks       bad input, refused in one clear line | types
extras       errors that name the extra to install, for libraries that are missing |
grammar      how a name with values is written | types checks
cores        one JAX device per core |
pairs        numbers kept as two words, for sums that float32 would lose |
seeds        keys from seeds, of one generator everywhere |
memory       how much is free, and a refusal before more is taken | types
reading      files that are read whole |
progress     how far a long loop is, on standard error |
version      which jsplit this is, and what it ran with | seeds
writing      files that are written whole or not at all | types checks
folders      folders that are worked in: who writes them, what they are of | types
             checks reading writing
traces       what a network said | types checks extras writing
policies     who decides: plans, selectors, the registry | types checks grammar
             pairs
stats        intervals, differences, many comparisons | types checks
environment  what a decision brings: costs, drift, outcomes | types checks traces
engine       thousands of replicas: streams and the loop | types checks pairs
             cores seeds writing policies.base
results      what happened, as labelled data, and claims from it | types checks version
             writing stats environment engine policies.base
evaluation   one question: these policies on this scenario | types checks seeds
             progress memory version writing folders stats traces environment policies
             engine results
fitting      rules fitted on a held-out part | types checks grammar stats traces
             environment policies
sweeps       many questions: a grid of settings | types checks grammar progress
             memory writing folders traces policies stats environment engine results
             evaluation fitting
models       networks with several exits | types checks extras reading writing
data         from data sets to arrays | types checks extras reading progress writing
             folders
training     networks that learn | types checks extras seeds progress memory reading
             writing folders version data models
recording    networks to traces, in one pass | types checks extras seeds progress
             version traces data models
report       tables and figures | types checks extras writing stats results
bench        how fast all this is | types checks seeds traces environment policies
             evaluation models
quickstart   the whole path in a minute | everything
commands     what the command line offers | everything
cli          parses, runs one command, ends in one line | types checks extras version
             commands
"""

import sys
from typing import TYPE_CHECKING

from jsplit.cores import use_all_cores
from jsplit.extras import lazily

if TYPE_CHECKING:
    from jsplit import (
        bench,
        data,
        engine,
        environment,
        evaluation,
        fitting,
        models,
        policies,
        recording,
        report,
        results,
        stats,
        sweeps,
        traces,
        training,
    )
    from jsplit.environment import drift
    from jsplit.environment.costs import Costs
    from jsplit.environment.profiles import Link, Machine, Profile, link_states
    from jsplit.environment.scenario import Condition, Scenario
    from jsplit.evaluation.evaluate import evaluate
    from jsplit.evaluation.exact import exact_values
    from jsplit.evaluation.expected import Expected, expected
    from jsplit.evaluation.rollout import ReplicaKey, Rollout, replica_keys, rollout
    from jsplit.evaluation.until import evaluate_until
    from jsplit.fitting import (
        best_split,
        budget_cascade,
        risk_controlled_cascade,
        risk_controlled_split,
        split_trace,
    )
    from jsplit.policies.base import Policy, Selector
    from jsplit.policies.registry import make_policy, policy_names
    from jsplit.recording import record
    from jsplit.results.result import (
        Result,
        load_result,
        recovery,
        save_result,
        summarize,
        summarize_conditions,
    )
    from jsplit.results.runs import Runs
    from jsplit.results.runs_summary import RunsSummary
    from jsplit.results.tables import ConditionSummary, ExactValues, Recovery, Summary
    from jsplit.sweeps.axes import random_axes
    from jsplit.sweeps.sweep import sweep
    from jsplit.traces.calibration import calibrate, expected_calibration_error
    from jsplit.traces.loading import load_trace, sample_names, sample_trace
    from jsplit.traces.trace import Trace
    from jsplit.training import train
    from jsplit.types import (
        Context,
        Feedback,
        JsplitError,
        Now,
        Outcome,
        Plan,
        Protocol,
    )
    from jsplit.version import __version__

# Names load when used, so that `import jsplit` and `jsplit --help` are there at once,
# and what needs an extra is not missed before. By name, the module that has it.
_HOMES = {
    "Condition": "environment.scenario",
    "ConditionSummary": "results.tables",
    "Context": "types",
    "Costs": "environment.costs",
    "ExactValues": "results.tables",
    "Expected": "evaluation.expected",
    "Feedback": "types",
    "JsplitError": "types",
    "Link": "environment.profiles",
    "Machine": "environment.profiles",
    "Now": "types",
    "Outcome": "types",
    "Plan": "types",
    "Policy": "policies.base",
    "Profile": "environment.profiles",
    "Protocol": "types",
    "Recovery": "results.tables",
    "ReplicaKey": "evaluation.rollout",
    "Result": "results.result",
    "Rollout": "evaluation.rollout",
    "Runs": "results.runs",
    "RunsSummary": "results.runs_summary",
    "Scenario": "environment.scenario",
    "Selector": "policies.base",
    "Summary": "results.tables",
    "Trace": "traces.trace",
    "__version__": "version",
    "bench": "bench",
    "best_split": "fitting",
    "budget_cascade": "fitting",
    "calibrate": "traces.calibration",
    "data": "data",
    "drift": "environment.drift",
    "engine": "engine",
    "environment": "environment",
    "evaluate": "evaluation.evaluate",
    "evaluate_until": "evaluation.until",
    "evaluation": "evaluation",
    "exact_values": "evaluation.exact",
    "expected": "evaluation.expected",
    "expected_calibration_error": "traces.calibration",
    "fitting": "fitting",
    "link_states": "environment.profiles",
    "load_result": "results.result",
    "load_trace": "traces.loading",
    "make_policy": "policies.registry",
    "models": "models",
    "policies": "policies",
    "policy_names": "policies.registry",
    "random_axes": "sweeps.axes",
    "record": "recording",
    "recording": "recording",
    "recovery": "results.result",
    "replica_keys": "evaluation.rollout",
    "report": "report",
    "results": "results",
    "risk_controlled_cascade": "fitting",
    "risk_controlled_split": "fitting",
    "rollout": "evaluation.rollout",
    "sample_names": "traces.loading",
    "sample_trace": "traces.loading",
    "save_result": "results.result",
    "split_trace": "fitting",
    "stats": "stats",
    "summarize": "results.result",
    "summarize_conditions": "results.result",
    "sweep": "sweeps.sweep",
    "sweeps": "sweeps",
    "traces": "traces",
    "train": "training",
    "training": "training",
}

__all__ = [
    "Condition",
    "ConditionSummary",
    "Context",
    "Costs",
    "ExactValues",
    "Expected",
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
    "Recovery",
    "ReplicaKey",
    "Result",
    "Rollout",
    "Runs",
    "RunsSummary",
    "Scenario",
    "Selector",
    "Summary",
    "Trace",
    "__version__",
    "bench",
    "best_split",
    "budget_cascade",
    "calibrate",
    "data",
    "drift",
    "engine",
    "environment",
    "evaluate",
    "evaluate_until",
    "evaluation",
    "exact_values",
    "expected",
    "expected_calibration_error",
    "fitting",
    "link_states",
    "load_result",
    "load_trace",
    "make_policy",
    "models",
    "policies",
    "policy_names",
    "random_axes",
    "record",
    "recording",
    "recovery",
    "replica_keys",
    "report",
    "results",
    "risk_controlled_cascade",
    "risk_controlled_split",
    "rollout",
    "sample_names",
    "sample_trace",
    "save_result",
    "split_trace",
    "stats",
    "summarize",
    "summarize_conditions",
    "sweep",
    "sweeps",
    "traces",
    "train",
    "training",
]

if "jax" in sys.modules:  # else it is told before a name is used
    use_all_cores()

_find = lazily(__name__, _HOMES)


def _load(name: str) -> object:
    if name in _HOMES:
        use_all_cores()
    return globals().setdefault(name, _find(name))  # this is not asked again


if not TYPE_CHECKING:  # which would take any misspelt name for an object
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted(__all__)
