import csv
import io
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from conftest import whole_result
from rich.console import Console

from jsplit import report
from jsplit.report import cells, comparison, placing, tables
from jsplit.report.figures.looks import looks_of
from jsplit.results.tables import ConditionSummary, Summary
from jsplit.types import JsplitError

POLICIES = [
    "splitee",
    "splitee_s",
    "ucb1",
    "final_exit",
    "fixed_split",
    "offload_all",
    "random_exit",
    "confidence_cascade",
    "entropy_cascade",
    "patience_cascade",
    "oracle",
]
METRICS = [
    "accuracy",
    "cost",
    "cost_change",
    "offloaded",
    "reward",
    "true_reward",
    "pseudo_regret",
    "realised_regret",
]
ATTRS = {
    "stream": "shuffle",
    "orders_per_test_set": 1,
    "covers": "simulation error: the same test set in other orders",
    "protocol": "paper",
    "num_replicas": 256,
    "horizon": 1000,
    "dataset": "digits",
    "cost_unit": "lambda",
    "privileged": '["oracle"]',
}


def make_table(policies=POLICIES, **attrs):
    """A summary whose numbers have wide, zero and unknown intervals."""
    shape = (len(policies), len(METRICS))
    mean = np.random.default_rng(0).uniform(0.8, 0.95, shape)
    width = np.full(shape, 0.0123)
    table = xr.Dataset(
        {
            "mean": (("policy", "metric"), mean),
            "low": (("policy", "metric"), mean - width),
            "high": (("policy", "metric"), mean + width),
            "difference": (("policy", "metric"), mean - 0.9),
            "difference_low": (("policy", "metric"), mean - 0.9 - width),
            "difference_high": (("policy", "metric"), mean - 0.9 + width),
            "correlation": (("policy", "metric"), np.full(shape, 0.345)),
            "p_value": (("policy", "metric"), np.full(shape, 1 / 3)),
            "best_set": (("policy", "metric"), np.full(shape, np.nan)),
        },
        coords={"policy": policies, "metric": METRICS},
        attrs={**ATTRS, "baseline": "final_exit", "level": 0.95, **attrs},
    )
    table["difference_low"].loc[{"metric": "cost_change"}] = np.nan
    return table


def set_values(table, policy, metric, **values):
    for name, value in values.items():
        table[name].loc[{"policy": policy, "metric": metric}] = value


def make_result(num_replicas=120):
    """An evaluation where splitee learns, the oracle gains and the rest never learn."""
    rng = np.random.default_rng(0)
    checkpoint = np.unique(np.geomspace(1, 1000, 12).astype(int))
    slope = np.linspace(0.1, 1, len(POLICIES))
    slope[-1] = -0.5
    curves = slope[:, None] * checkpoint
    curves[0] = 5 * np.log1p(checkpoint)
    noise = 1 + 0.1 * rng.normal(size=(len(POLICIES), 1, num_replicas))
    regret = (("policy", "checkpoint", "replica"), curves[..., None] * noise)
    return xr.Dataset(
        {"pseudo_regret_curve": regret, "realised_regret_curve": regret},
        coords={"policy": POLICIES, "checkpoint": checkpoint},
        attrs={**ATTRS, "num_replicas": num_replicas},
    )


@pytest.fixture(scope="module")
def table():
    return make_table()


@pytest.fixture(scope="module")
def result():
    return make_result()


def row_of(table, policy):
    row = next(row for row in tables.layout(Summary(table)) if row.policy == policy)
    return dict(zip([*comparison.HEADERS][1:], row.cells, strict=True))


def texts_of(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def note_of(figure):
    return " ".join("\n".join(text.get_text() for text in figure.texts).split())


@pytest.mark.parametrize(
    ("mean", "half_width", "expected"),
    [
        (0.91234, 0.0123, ("91.2", "[90.0, 92.5]")),
        (0.91234, 0.00034, ("91.234", "[91.200, 91.268]")),
        (0.91234, 1e-9, ("91.234", "[91.234, 91.234]")),
        (0.91234, 0.0, ("91.234", "(exact)")),
        (0.91234, np.nan, ("91.234", "[?]")),
        (np.nan, np.nan, ("–", "")),
    ],
)
def test_decimals_follow_the_interval_up_to_five_digits(mean, half_width, expected):
    table = make_table(["splitee"])
    limits = {"low": mean - half_width, "high": mean + half_width}
    set_values(table, "splitee", "accuracy", mean=mean, **limits)
    assert row_of(table, "splitee")["accuracy"] == expected


@pytest.mark.parametrize(
    ("mean", "half_width", "expected"),
    [
        (31234.5, 12.0, ("31234", "[31222, 31246]")),
        (0.00042137, 0.000012, ("0.000421", "[0.000409, 0.000433]")),
        (0.0, 0.0, ("0.0000", "(exact)")),
    ],
)
def test_decimals_follow_the_unit_of_costs(mean, half_width, expected):
    table = make_table(["splitee"])
    limits = {"low": mean - half_width, "high": mean + half_width}
    set_values(table, "splitee", "cost", mean=mean, **limits)
    assert row_of(table, "splitee")["cost"] == expected


def test_differences_are_signed_points_with_the_decimals_of_accuracy(table):
    changed = table.copy(deep=True)
    set_values(
        changed,
        "splitee",
        "accuracy",
        difference=-0.01234,
        difference_low=-0.02468,
        difference_high=0.00012,
    )
    assert row_of(changed, "splitee")["difference"] == ("-1.2", "[-2.5, 0.0]")


def test_rewards_by_confidence_and_by_truth_stand_side_by_side(table):
    changed = table.copy(deep=True)
    set_values(changed, "splitee", "reward", mean=0.56782)
    set_values(changed, "splitee", "true_reward", mean=0.41234)
    titles = tables.headers(Summary(changed))
    at = titles.index("reward")
    assert titles[at + 1] == "true reward"
    shown = row_of(changed, "splitee")
    assert (shown["reward"].value, shown["true_reward"].value) == ("0.568", "0.412")
    line = report.to_markdown(Summary(changed)).splitlines()[2].split(" | ")
    assert line[at : at + 2] == ["0.568", "0.412"]
    assert "true reward has accuracy instead" in tables.caption(Summary(changed))


def make_table_by_condition():
    shape = (2, 3, len(METRICS))
    mean = np.random.default_rng(0).uniform(0.8, 0.95, shape)
    mean[0, 1, METRICS.index("accuracy")] = 0.61234
    mean[:, 2] = np.nan  # never held
    dims = ("policy", "condition", "metric")
    low = mean - 0.0123
    low[1, 0, METRICS.index("cost")] = mean[1, 0, METRICS.index("cost")]
    high = np.where(low == mean, mean, mean + 0.0123)
    return xr.Dataset(
        {
            "mean": (dims, mean),
            "low": (dims, low),
            "high": (dims, high),
            "steps": ("condition", [400.0, 600.0, 0.0]),
        },
        coords={
            "policy": ["splitee", "oracle"],
            "condition": ["clear", "blur", "noise"],
            "metric": METRICS,
        },
        attrs={
            **ATTRS,
            "level": 0.95,
            "drift": "abrupt(400, 2000)",
            "conditions": '{"clear": [], "blur": [], "noise": []}',
        },
    )


def test_table_by_condition_has_a_row_per_policy_and_condition(tmp_path):
    table = make_table_by_condition()
    rows = tables.layout(ConditionSummary(table))
    names = [(row.policy, row.cells[0].value) for row in rows]
    assert names == [
        (policy, condition)
        for policy in ("splitee", "oracle")
        for condition in ("clear", "blur", "noise")
    ]
    cell_of = dict(
        zip(tables.headers(ConditionSummary(table))[1:], rows[1].cells, strict=True)
    )
    assert cell_of["accuracy %"] == ("61.2", "[60.0, 62.5]")
    assert rows[3].cells[2].interval == cells.EXACT
    assert all(cell == (cells.NONE, "") for cell in rows[5].cells[1:])
    text = tables.caption(ConditionSummary(table))
    for part in ("clear 400, blur 600, noise 0", "drift abrupt(400, 2000)", "†"):
        assert part in text
    lines = report.to_markdown(ConditionSummary(table)).splitlines()
    assert lines[3].startswith("| splitee | blur | 61.2 [60.0, 62.5] | ")
    console = Console(width=100, file=io.StringIO())
    console.print(report.render(ConditionSummary(table)))
    assert "oracle†" in console.file.getvalue()
    assert "[60.0," in console.file.getvalue()
    report.to_csv(ConditionSummary(table), tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 6 * len(METRICS)
    for row in found:
        place = {name: row[name] for name in ("policy", "condition", "metric")}
        for name in ("mean", "low", "high"):
            np.testing.assert_equal(float(row[name]), table[name].sel(place).item())


def test_rows_keep_the_order_and_mark_baseline_and_privileged(table):
    rows = tables.layout(Summary(table))
    assert [row.policy for row in rows] == POLICIES
    assert [row.policy for row in rows if row.is_baseline] == ["final_exit"]
    assert [row.policy for row in rows if row.is_privileged] == ["oracle"]
    baseline = row_of(table, "final_exit")
    assert baseline["difference"] == ("baseline", "")
    assert baseline["cost_change"] == baseline["correlation"] == ("–", "")
    assert row_of(table, "splitee")["correlation"].value == "0.34"


def test_policies_that_may_be_best_are_starred(table):
    changed = table.copy(deep=True)
    set_values(changed, "ucb1", "accuracy", best_set=1.0)
    set_values(changed, "splitee", "accuracy", best_set=0.0)
    assert row_of(changed, "ucb1")["accuracy"].value.endswith("*")
    assert not row_of(changed, "splitee")["accuracy"].value.endswith("*")
    assert "*: cannot be told from the best" in tables.caption(Summary(changed))
    assert "*:" not in tables.caption(Summary(table))


def test_caption_explains_only_what_is_shown(table):
    text = tables.caption(Summary(table))
    for part in ("digits: 256 replicas of 1000 steps", "95 % intervals", "paper", "†"):
        assert part in text
    assert ATTRS["covers"] in text
    assert cells.EXACT not in text
    assert cells.UNKNOWN not in text
    changed = make_table(privileged="[]", num_replicas=1, level=0.9)
    set_values(changed, "ucb1", "cost", low=np.nan, high=np.nan)
    set_values(changed, "splitee", "cost", mean=1, low=1, high=1)
    text = tables.caption(Summary(changed))
    for part in ("1 replica of", "90 % intervals", cells.EXACT, cells.UNKNOWN):
        assert part in text
    assert "†" not in text


@pytest.mark.parametrize("width", [80, 100, 120, 150])
def test_rendered_table_fits_the_terminal_and_cuts_no_number(table, width):
    console = Console(width=width, file=io.StringIO())
    console.print(report.render(Summary(table)))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "confidence_cascade" in text
    assert "oracle†" in text
    assert "…" not in text
    assert ("without: corr." in text) == (width < 100)
    shown = row_of(table, "ucb1")
    for name in ("accuracy", "difference", "cost", "regret"):
        assert shown[name].value in text
        whole = shown[name].interval
        assert all(part in text for part in ([whole] if width > 120 else whole.split()))


def test_markdown_has_the_same_cells_in_every_row(table):
    text = report.to_markdown(Summary(table))
    body, caption = text.strip().split("\n\n")
    lines = body.splitlines()
    assert len(lines) == 2 + len(POLICIES)
    assert {line.count(" | ") for line in lines} == {len(comparison.HEADERS) - 1}
    assert lines[2 + POLICIES.index("final_exit")].startswith(r"| **final\_exit** |")
    assert caption == tables.caption(Summary(table))
    for row, line in zip(tables.layout(Summary(table)), lines[2:], strict=True):
        assert all(" ".join(filter(None, cell)) in line for cell in row.cells)


def test_csv_gives_back_every_number(table, tmp_path):
    path = tmp_path / "table.csv"
    report.to_csv(Summary(table.transpose("metric", "policy")), path)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(POLICIES) * len(METRICS)
    for row in rows:
        numbers = table.sel(policy=row["policy"], metric=row["metric"])
        for name in table:
            np.testing.assert_equal(float(row[name]), float(numbers[name]))


def test_cost_accuracy_names_and_marks_every_policy(table, tmp_path):
    path = tmp_path / "figure.png"
    figure = report.cost_accuracy(Summary(table), path)
    (axes,) = figure.axes
    assert sorted(texts_of(figure)) == sorted(POLICIES)
    markers = [line for line in axes.lines if line.get_marker() != "None"]
    assert len(markers) == len(POLICIES)
    for marker, policy in zip(markers, POLICIES, strict=True):
        assert (marker.get_marker() == "*") == (policy == "final_exit")
        assert (marker.get_markerfacecolor() == "white") == (policy == "oracle")
    drawn = np.array([marker.get_xydata()[0] for marker in markers])
    expected = table["mean"].sel(metric=["cost", "accuracy"]).values * [1, 100]
    np.testing.assert_allclose(drawn, expected)
    assert axes.get_title(loc="left").startswith("digits: ")
    assert "256 replicas" in axes.get_title(loc="left")
    assert path.stat().st_size > 10_000


def test_names_of_points_do_not_overlap(table):
    figure = report.cost_accuracy(Summary(table))
    figure.draw_without_rendering()
    boxes = [
        np.array([box.min, box.max])
        for box in (
            super(type(text), text).get_window_extent() for text in figure.axes[0].texts
        )
    ]
    for index, box in enumerate(boxes):
        for other in boxes[:index]:
            assert placing.overlap(box, other) == 0


def test_cost_accuracy_draws_wider_intervals_behind(table):
    behind = table.assign(low=table["low"] - 0.02, high=table["high"] + 0.02)
    behind = behind.isel(policy=slice(None, None, -1))
    behind.attrs.update(stream="bootstrap", covers="test-set error: resampled")
    figure = report.cost_accuracy(Summary(table), behind=Summary(behind))
    light, _, own, _ = figure.axes[0].collections
    assert light.get_alpha() < own.get_alpha()
    for wide, narrow in zip(light.get_segments(), own.get_segments(), strict=True):
        assert wide[0, 0] == pytest.approx(narrow[0, 0] - 0.02)
        assert wide[0, 1] == narrow[0, 1]
    assert "Light bars: 95 %, test-set error: resampled." in note_of(figure)
    with pytest.raises(JsplitError, match=r"lacks \['ucb1'\]"):
        report.cost_accuracy(
            Summary(table), behind=Summary(behind.drop_sel(policy="ucb1"))
        )


def test_unknown_intervals_leave_the_points(table):
    unknown = table.assign(low=table["low"] * np.nan, high=table["high"] * np.nan)
    assert sorted(texts_of(report.cost_accuracy(Summary(unknown)))) == sorted(POLICIES)


def test_simultaneous_bands_are_wider_and_said_to_be(result):
    """With noise of its own at every checkpoint the whole curve needs more."""
    noise = np.random.default_rng(1).normal(size=result.pseudo_regret_curve.shape)
    noisy = result.pseudo_regret_curve * (1 + 0.1 * noise)
    result = result.assign(pseudo_regret_curve=noisy)
    areas = []
    for bands in ("pointwise", "simultaneous"):
        figure = report.regret_curves(
            whole_result(result), bands=bands, policies=["ucb1"]
        )
        assert f"Bands: {bands} 95 %" in note_of(figure)
        (band,) = figure.axes[0].collections
        corners = band.get_paths()[0].vertices[:, 1]
        areas.append(np.ptp(corners))
    assert areas[1] > 1.01 * areas[0]
    with pytest.raises(JsplitError, match="bands must be one of"):
        report.regret_curves(whole_result(result), bands="wide")


@pytest.mark.parametrize("which", ["pseudo_regret", "realised_regret"])
def test_regret_curves_show_means_and_bands_above_zero(result, which, tmp_path):
    path = tmp_path / "figure.pdf"
    figure = report.regret_curves(whole_result(result), path, which=which, level=0.9)
    (axes,) = figure.axes
    shown = POLICIES[:-1]
    assert len(axes.lines) == len(axes.collections) == len(shown)
    np.testing.assert_allclose(
        [line.get_ydata() for line in axes.lines],
        result[f"{which}_curve"].mean("replica").sel(policy=shown),
    )
    final = (
        result[f"{which}_curve"].isel(checkpoint=-1).mean("replica").sel(policy=shown)
    )
    assert texts_of(figure) == [shown[i] for i in np.argsort(final.values)]
    heights = [text.get_window_extent().y0 for text in axes.texts]
    assert (np.diff(heights) > 0).all()
    assert "pointwise 90 %" in note_of(figure)
    assert "Not above zero at the last step: oracle." in note_of(figure)
    assert path.stat().st_size > 1_000


def test_regret_curves_draw_chosen_policies_only(result, tmp_path):
    path = tmp_path / "figure.svg"
    figure = report.regret_curves(
        whole_result(result), path, policies=["ucb1", "splitee"]
    )
    assert sorted(texts_of(figure)) == ["splitee", "ucb1"]
    assert "Not above zero" not in note_of(figure)
    assert path.read_text().startswith("<?xml")


def test_policies_keep_their_colour_between_figures(result):
    every = report.regret_curves(whole_result(result)).axes[0].lines
    (alone,) = (
        report.regret_curves(whole_result(result), policies=["ucb1"]).axes[0].lines
    )
    assert alone.get_color() == every[POLICIES.index("ucb1")].get_color()


def test_regret_curves_without_anything_to_draw(result):
    figure = report.regret_curves(whole_result(result), policies=["oracle"])
    assert texts_of(figure) == []
    assert "Not above zero at the last step: oracle." in note_of(figure)


def test_looks_differ_between_eighteen_policies():
    looks = looks_of([str(index) for index in range(18)], set())
    assert len({(look.colour, look.marker) for look in looks}) == 18
    assert len({(look.colour, look.line) for look in looks}) == 18


def test_wrong_arguments_are_named(table, result):
    with pytest.raises(JsplitError, match=r"which must be one of .* got 'regret'"):
        report.regret_curves(whole_result(result), which="regret")
    with pytest.raises(JsplitError, match=r"policies must .* did you mean 'ucb1'"):
        report.regret_curves(whole_result(result), policies=["ucb"])
    with pytest.raises(JsplitError, match="level must"):
        report.regret_curves(whole_result(result), level=95)
    with pytest.raises(JsplitError, match=r"end in .png, .pdf, .svg, got figure.jpg"):
        report.cost_accuracy(Summary(table), "figure.jpg")


@pytest.mark.parametrize("writer", ["to_csv", "cost_accuracy", "regret_curves"])
def test_unwritable_path_is_named_with_the_reason(table, result, tmp_path, writer):
    path = tmp_path / "missing" / "file.png"
    with pytest.raises(JsplitError, match="No such file or directory") as error:
        getattr(report, writer)(
            whole_result(result) if writer == "regret_curves" else Summary(table), path
        )
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("writer", ["to_csv", "cost_accuracy", "regret_curves"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(28, "No space left")])
def test_what_stops_a_write_leaves_the_older_file(
    table, result, tmp_path, monkeypatch, writer, stop
):
    path = tmp_path / "file.svg"
    path.write_text("older")

    def interrupt(descriptor):
        raise stop

    monkeypatch.setattr("os.fsync", interrupt)
    expected = JsplitError if isinstance(stop, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        getattr(report, writer)(
            whole_result(result) if writer == "regret_curves" else Summary(table), path
        )
    assert path.read_text() == "older"
    assert [file.name for file in tmp_path.iterdir()] == ["file.svg"]


def test_import_loads_neither_matplotlib_nor_rich():
    code = (
        "import sys, jsplit.report; "
        "sys.exit(bool({'matplotlib', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'plot'"):
        report.plot  # noqa: B018
