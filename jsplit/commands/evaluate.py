"""`jsplit evaluate`."""

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import tyro

from jsplit.commands.common import (
    AsJson,
    Columns,
    Quiet,
    Seed,
    load_traces,
    print_json,
    rows_of,
)
from jsplit.commands.stopping import advising
from jsplit.extras import MissingExtra
from jsplit.types import JsplitError
from jsplit.writing import make_folder, write_text

HELD_OUT = 0.2  # this very object says that none was given
FIT = (
    "rules to fit on a held-out part of the (first) trace: "
    "best_split (exit and threshold of the largest mean reward), "
    "budget_cascade(budget=COST) (thresholds for a mean cost), "
    "risk_controlled_cascade(risk=DROP) and risk_controlled_split(risk=DROP) "
    "(thresholds whose drop in accuracy stays below DROP with probability 1 - delta, "
    "delta=0.05). All policies are then judged on the other samples only, of every "
    "trace."
)


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Replay policies on a recorded trace and compare them.

    The trace is what a network says at every exit for every sample: a file that
    `Trace.save` wrote, a table in CSV, JSON lines or Parquet (columns sample, exit,
    confidence, prediction, label), or an NPZ with arrays logits and labels.

    A folder keeps finished parts: the same command goes on where it stopped.

    Example: jsplit evaluate trace.npz splitee final_exit "fixed_split(depth=3)" --out a

    Example: jsplit evaluate clear.npz --then blurred.npz@5000 --horizon 10000

    Example: jsplit evaluate trace.npz --fit best_split "budget_cascade(budget=0.3)"
    """

    trace: tyro.conf.Positional[pathlib.Path]
    """the trace or table to judge on."""
    policies: tyro.conf.Positional[tuple[str, ...]] = ()
    """policies, see `jsplit policies`; by default SplitEE's and the baselines."""
    then: tuple[str, ...] = ()
    """traces of the same samples that take over later, as TRACE@STEP."""
    columns: Columns = ()
    fit: Annotated[tuple[str, ...], tyro.conf.arg(help=FIT)] = ()
    held_out: float = HELD_OUT
    """share of the samples that --fit uses, drawn with the seed."""
    costs: Literal["splitee", "isplitee"] = "splitee"
    """published costs to use."""
    offload: float = 0.5
    """cost of shipping a sample."""
    alpha: float | None = None
    """threshold for every policy that has one (each policy's default otherwise)."""
    num_replicas: int = 4096
    """replicas, R."""
    stream: Literal["shuffle", "bootstrap", "fixed"] = "shuffle"
    """other orders of the test set, other test sets, or the order of the data."""
    horizon: int | None = None
    """steps of a run; the size of the data set by default."""
    protocol: Literal["paper", "released"] = "paper"
    """the published mathematics, or what the authors' code does."""
    baseline: str = "final_exit"
    """policy to compare with; added if missing."""
    out: pathlib.Path | None = None
    """folder for finished parts, then result.nc.gz, figures and tables (CSV,
    Markdown)."""
    seed: Seed = 0
    quiet: Quiet = False
    as_json: AsJson = False

    def run(self) -> None:
        """Runs the evaluation."""
        import rich

        import jsplit
        from jsplit import report

        if self.held_out is not HELD_OUT and not self.fit:
            raise JsplitError("held-out belongs to --fit, which names no rule")
        traces, steps, understood = _load(self.trace, self.then, self.columns)
        trace = next(iter(traces.values()))
        preset = getattr(jsplit.Costs, self.costs)
        costs = preset(trace.num_exits, offload=self.offload)
        policies = _chosen_policies(
            self.policies or _possible_policies(trace), self.alpha, self.baseline
        )
        if self.out is not None:
            make_folder(self.out, "out")
        if self.fit:
            traces, fitted = _fitted(self.fit, traces, costs, self.held_out, self.seed)
            policies = [*policies, *fitted]
            if not self.quiet:
                judged = next(iter(traces.values())).num_samples
                print(
                    f"fitted on {trace.num_samples - judged} samples, judged on the "
                    f"other {judged}",
                    file=sys.stderr,
                )
        scenario = jsplit.Scenario(
            {name: (one, costs) for name, one in traces.items()},
            jsplit.drift.abrupt(*steps) if steps else None,
        )
        horizon = scenario.num_samples if self.horizon is None else self.horizon
        if steps and steps[-1] >= horizon:
            raise JsplitError(
                f"then must name steps below {horizon}, the steps of a run, got "
                f"{steps[-1]}; see --horizon"
            )
        keeps = contextlib.nullcontext()
        if self.out is not None:
            keeps = advising(f"finished parts are in {self.out}; it goes on from there")
        with keeps:
            result = jsplit.evaluate(
                scenario,
                policies,
                num_replicas=self.num_replicas,
                stream=self.stream,
                horizon=horizon,
                protocol=self.protocol,
                seed=self.seed,
                out=self.out,
                progress=not self.quiet,
            )
        if not self.quiet:
            print(*understood, sep="\n", file=sys.stderr)
        baseline = _with_alpha(self.baseline, self.alpha).label
        table = jsplit.summarize(result, baseline)
        tables: dict[str, Any] = {"table": table}
        if self.then:
            tables["conditions"] = jsplit.summarize_conditions(result)
        if self.out is not None:
            for name, one in tables.items():
                report.to_csv(one, self.out / f"{name}.csv")
                write_text(self.out / f"{name}.md", report.to_markdown(one))
            try:
                report.cost_accuracy(table, self.out / "cost-accuracy.png")
                report.regret_curves(result, self.out / "regret.png")
            except MissingExtra as missing:
                print(f"no figures: {missing}", file=sys.stderr)
        if self.as_json:
            rows = {"rows": rows_of(table)}
            if self.then:
                rows["conditions"] = rows_of(tables["conditions"])
            print_json({"attrs": table.attrs, **rows})
        else:
            for one in tables.values():
                rich.print(report.render(one))


def _load(
    path: pathlib.Path, then: Sequence[str], columns: Sequence[str]
) -> tuple[dict[str, Any], list[int], list[str]]:
    """Returns the traces by name and the steps at which all but the first take over.

    Also returns what was understood of each file.
    """
    paths, steps = [path], []
    for text in then:
        name, mark, step = text.rpartition("@")
        if not mark or not step.isdecimal():
            raise JsplitError(
                f"then must be TRACE@STEP, such as b.npz@5000, got {text}"
            )
        paths.append(pathlib.Path(name))
        steps.append(int(step))
    traces, understood = load_traces("then", paths, columns)
    if sorted({0, *steps}) != [0, *steps]:
        raise JsplitError(f"then must name steps that increase from 1, got {steps}")
    return traces, steps, understood


def _fitted(
    rules: Sequence[str], traces: dict[str, Any], costs: Any, share: float, seed: int
) -> tuple[dict[str, Any], list[Any]]:
    """Returns the judged part of every trace, and rules fitted on the first's other.

    Traces of the same samples are cut alike, so no sample is on both sides.
    """
    from jsplit import checks, fitting
    from jsplit.traces.joining import in_order_of, same_samples

    share = checks.number("held-out", share, 0.0, 1.0)
    seed = checks.seed(seed)
    first, *_ = traces.values()
    traces = {name: in_order_of(one, first) for name, one in traces.items()}
    if not all(same_samples(first, one) for one in traces.values()):
        raise JsplitError(
            "fit needs traces of the same samples in the same order, so that none is "
            "fitted and judged on, and their labels or names of samples differ"
        )
    try:
        parts = {
            name: fitting.split_trace(one, share, seed=seed)
            for name, one in traces.items()
        }
    except JsplitError as error:
        raise JsplitError(f"held-out: {error}") from None
    held_out, _ = next(iter(parts.values()))
    policies = [fitting.fit_rule(rule, held_out, costs) for rule in rules]
    return {name: judged for name, (_, judged) in parts.items()}, policies


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
    from jsplit.evaluation.binding import plans_of
    from jsplit.evaluation.needs import check_needs
    from jsplit.policies.registry import BASIC_POLICIES, make_policy
    from jsplit.types import Protocol

    def is_possible(name: str) -> bool:
        policy = make_policy(name)
        try:
            plans = plans_of(policy, trace.num_exits, Protocol())
            check_needs(policy, plans, trace)
        except JsplitError:
            return False
        return True

    return [name for name in BASIC_POLICIES if is_possible(name)]
