"""`jsplit evaluate`."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

import tyro

from jsplit.commands.common import (
    AsJson,
    Seed,
    is_terminal,
    make_folder,
    print_json,
    rows_of,
)
from jsplit.types import JsplitError
from jsplit.writing import write_text


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Replay policies on a recorded trace and compare them.

    The trace is what a network says at every exit for every sample: a file that
    `Trace.save` wrote, a CSV or Parquet table (columns sample, exit, confidence,
    prediction, label), or an NPZ with arrays logits and labels.

    Example: jsplit evaluate trace.npz splitee final_exit "fixed_split(depth=3)"
    Example: jsplit evaluate clear.npz --then blurred.npz@5000 noisy.npz@10000
    """

    trace: tyro.conf.Positional[pathlib.Path]
    """The trace or table to judge on."""
    policies: tyro.conf.Positional[tuple[str, ...]] = ()
    """Policies, see `jsplit policies`; by default SplitEE's and the baselines."""
    then: tuple[str, ...] = ()
    """Traces of the same samples that take over later, as TRACE@STEP; a second table
    then has a row for every policy and trace."""
    costs: Literal["splitee", "isplitee"] = "splitee"
    """Published costs to use."""
    offload: float = 0.5
    """Cost of shipping a sample."""
    alpha: float | None = None
    """Threshold for every policy that has one (each policy's default otherwise)."""
    num_replicas: int = 4096
    """Replicas, R."""
    stream: Literal["shuffle", "bootstrap", "fixed"] = "shuffle"
    """Other orders of the test set, other test sets, or the order of the data."""
    horizon: int | None = None
    """Steps of a run; the size of the data set by default."""
    protocol: Literal["paper", "released"] = "paper"
    """The published mathematics, or what the authors' code does."""
    baseline: str = "final_exit"
    """Policy to compare with; added if missing."""
    out: pathlib.Path | None = None
    """Folder for result.nc, table.csv, table.md (conditions.csv and .md with --then)
    and figures."""
    seed: Seed = 0
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the evaluation."""
        import rich

        import jsplit
        from jsplit import report

        trace = jsplit.load_trace(self.trace)
        preset = getattr(jsplit.Costs, self.costs)
        costs = preset(trace.num_exits, offload=self.offload)
        policies = _chosen_policies(
            self.policies or _possible_policies(trace), self.alpha, self.baseline
        )
        if self.out is not None:
            make_folder(self.out)
        subject = _scenario(self.trace, trace, self.then, costs)
        result = jsplit.evaluate(
            subject,
            policies,
            costs if subject is trace else None,
            num_replicas=self.num_replicas,
            stream=self.stream,
            horizon=self.horizon,
            protocol=self.protocol,
            seed=self.seed,
            progress=is_terminal(),
        )
        baseline = _with_alpha(self.baseline, self.alpha).label
        table = jsplit.summarize(result, baseline)
        tables = {"table": table}
        if self.then:
            tables["conditions"] = jsplit.summarize_conditions(result)
        if self.out is not None:
            jsplit.save_result(result, self.out / "result.nc")
            for name, one in tables.items():
                report.to_csv(one, self.out / f"{name}.csv")
                write_text(self.out / f"{name}.md", report.to_markdown(one))
            report.cost_accuracy(table, self.out / "cost-accuracy.png")
            report.regret_curves(result, self.out / "regret.png")
        if self.as_json:
            rows = {"rows": rows_of(table)}
            if self.then:
                rows["conditions"] = rows_of(tables["conditions"])
            print_json({"attrs": table.attrs, **rows})
        else:
            for one in tables.values():
                rich.print(report.render(one))


def _scenario(path: pathlib.Path, trace: Any, then: Sequence[str], costs: Any) -> Any:
    """Returns the trace, or the scenario in which others take over."""
    import jsplit

    if not then:
        return trace
    conditions, steps = {path.stem: (trace, costs)}, []
    for text in then:
        name, mark, step = text.rpartition("@")
        if not mark or not step.isdecimal():
            raise JsplitError(
                f"then must be TRACE@STEP, such as b.npz@5000, got {text}"
            )
        key = pathlib.Path(name).stem
        if key in conditions:
            raise JsplitError(f"then must name traces of other names, got {key} twice")
        conditions[key] = (jsplit.load_trace(name), costs)
        steps.append(int(step))
    return jsplit.Scenario(conditions, jsplit.drift.abrupt(*steps))


def _chosen_policies(
    texts: Sequence[str], alpha: float | None, baseline: str
) -> list[Any]:
    policies = [_with_alpha(text, alpha) for text in texts]
    try:
        base = _with_alpha(baseline, alpha)
    except JsplitError as error:
        raise JsplitError(f"baseline: {error}") from None
    if base.label not in [policy.label for policy in policies]:
        policies.append(base)
    return policies


def _with_alpha(text: str, alpha: float | None) -> Any:
    """Returns the policy, with `alpha` where it takes one and none was written."""
    from jsplit.policies.registry import make_policy, parse_policy, policy_numbers

    policy = parse_policy(text)
    takes_alpha = "alpha" in policy_numbers(policy.name)
    if alpha is None or not takes_alpha or "alpha" in policy.numbers:
        return policy
    return make_policy(policy.name, **{**policy.numbers, "alpha": alpha})


def _possible_policies(trace: Any) -> list[str]:
    """Returns `BASIC_POLICIES` but those that need what the trace does not carry."""
    from jsplit.policies.registry import BASIC_POLICIES, make_policy

    missing = set()
    if trace.entropy is None:
        missing.add("entropy")
    if trace.prediction is None:
        missing.add("patience")
    return [name for name in BASIC_POLICIES if make_policy(name).score not in missing]
