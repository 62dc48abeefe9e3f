import json
import math
from pathlib import Path

import numpy as np
import pytest
from synthetic_experiments import CARTPOLE, change_record, write_experiment, write_run

from rl_runner.errors import RunFolderError
from rl_runner.evaluation.comparison.caveats import caveats
from rl_runner.evaluation.comparison.compare import Comparison, compare
from rl_runner.evaluation.comparison.experiments import load_experiments
from rl_runner.evaluation.comparison.pairs import verdict
from rl_runner.evaluation.comparison.scales import Scale
from rl_runner.evaluation.statistics.bounds import Bounds, OutOfBoundsError
from rl_runner.evaluation.statistics.summary import aggregate

GOOD = [400.0, 420.0, 440.0, 460.0, 480.0]
BAD = [100.0, 120.0, 90.0, 130.0, 110.0]
SCALE = Scale(20.0, 1.0, 200, 420.0, "reward_threshold", 420.0)


def _compare(*paths: Path, **options: object) -> Comparison:
    return compare(load_experiments(paths), **{"scale": SCALE, **options})  # type: ignore[arg-type]


def test_each_experiment_gets_a_row(tmp_path: Path):
    good, bad = write_experiment(tmp_path, "good", GOOD), write_experiment(tmp_path, "bad", BAD)
    comparison = _compare(good, bad)
    row = comparison.rows[0]
    assert comparison.bounds == Bounds(1.0, 500.0, "environment")
    assert (row.label, row.aggregates) == ("good", aggregate(GOOD, comparison.bounds))
    assert row.normalized is not None
    assert row.normalized.value == pytest.approx(1.05)
    assert row.aggregates is not None
    assert row.aggregates.mean.ci95 is not None
    assert row.normalized.ci95 == pytest.approx([(x - 20) / 400 for x in row.aggregates.mean.ci95])
    assert (row.selection_optimism, row.median_seconds) == (0.5, 20.0)


def test_the_time_to_a_threshold_counts_runs_that_never_got_there(tmp_path: Path):
    experiments = load_experiments([write_experiment(tmp_path, "good", GOOD)])
    assert compare(experiments).rows[0].reached is None
    reached = compare(experiments, threshold=415.0).rows[0].reached
    assert reached is not None
    assert (reached.n, reached.of) == (4, 5)
    assert (reached.median_timesteps, reached.median_seconds) == (1000.0, 10.0)
    reached = compare(experiments, threshold=200.0).rows[0].reached
    assert reached is not None
    assert (reached.n, reached.median_timesteps, reached.median_seconds) == (5, 500.0, 5.0)
    reached = compare(experiments, threshold=450.0).rows[0].reached
    assert reached is not None
    assert (reached.n, reached.median_timesteps, reached.median_seconds) == (2, None, None)


def test_a_clear_difference_is_decided_and_an_unclear_one_says_how_many_seeds_it_takes(
    tmp_path: Path,
):
    good, bad = write_experiment(tmp_path, "good", GOOD), write_experiment(tmp_path, "bad", BAD)
    close = write_experiment(tmp_path, "close", [score + 10 for score in GOOD])
    (clear,), (unclear,) = _compare(good, bad).pairs, _compare(good, close).pairs
    assert (clear.difference, clear.n, clear.is_decided) == (330.0, (5, 5), True)
    assert clear.probability_of_improvement.value == 1.0
    assert (verdict(clear), clear.seeds_needed) == ("better", None)
    assert clear.ci95 is not None
    assert 0 < clear.ci95[0] < clear.ci95[1] < 499
    assert (unclear.difference, unclear.is_decided) == (-10.0, False)
    assert unclear.ci95 is not None
    assert unclear.ci95[0] < 0 < unclear.ci95[1]
    assert unclear.seeds_needed is not None
    assert unclear.seeds_needed > 50
    assert f"~{unclear.seeds_needed:,} seeds" in verdict(unclear)


def test_p_values_are_adjusted_for_the_number_of_pairs(tmp_path: Path):
    rng = np.random.default_rng(0)
    paths = [write_experiment(tmp_path, f"e{i}", rng.normal(300, 50, 5)) for i in range(6)]
    pairs = _compare(*paths).pairs
    assert len(pairs) == 15
    p_values = sorted((pair.p_value or 0.0, pair.p_adjusted or 0.0) for pair in pairs)
    expected = np.maximum.accumulate([min(1, p * (15 - i)) for i, (p, _) in enumerate(p_values)])
    assert [adjusted for _, adjusted in p_values] == pytest.approx(expected)


def test_runs_without_spread_can_be_tested_only_within_known_bounds(tmp_path: Path):
    for env, verdicts in (
        (CARTPOLE, ["not shown", "better", "better"]),
        ({"id": "LunarLander-v3"}, ["not shown"] * 3),
    ):
        folder = tmp_path / str(env["id"])
        flat = write_experiment(folder, "flat", [500.0] * 5, env=env)
        same = write_experiment(folder, "same", [500.0] * 5, env=env, total_timesteps=2000)
        low = write_experiment(folder, "low", [10.0] * 5, env=env, total_timesteps=3000)
        assert [verdict(pair) for pair in _compare(flat, same, low).pairs] == verdicts


@pytest.mark.parametrize("n", [4, 5, 12])
def test_no_number_that_is_shown_contradicts_the_verdict(tmp_path: Path, n: int):
    rng = np.random.default_rng(n)
    paths = [
        write_experiment(tmp_path, f"e{i}", np.clip(rng.normal(mean, 40, n), 1, 500).tolist())
        for i, mean in enumerate((60, 80, 300, 420, 460))
    ]
    verdicts = set()
    for pair in _compare(*paths).pairs:
        verdicts.add(pair.verdict)
        assert (pair.verdict == "too few seeds") == (n < 5) == (pair.ci95 is None)
        if pair.ci95 is None:
            continue
        excludes_zero = not pair.ci95[0] <= 0 <= pair.ci95[1]
        assert pair.p_adjusted is not None
        assert excludes_zero == (pair.p_adjusted < 0.05)
        low, high = pair.probability_of_improvement.ci95 or (0.0, 1.0)
        excludes_half = not low <= 0.5 <= high
        assert pair.is_decided == (excludes_zero and excludes_half)
        assert (pair.verdict == "better") == (pair.is_decided and pair.difference > 0)
    expected = {4: {"too few seeds"}, 5: {"not shown"}, 12: {"worse", "not shown"}}
    assert verdicts == expected[n]


def test_returns_outside_the_bounds_of_a_config_are_refused(tmp_path: Path):
    env = {**CARTPOLE, "return_bounds": [1, 450]}
    path = write_experiment(tmp_path, "good", GOOD, env=env)
    with pytest.raises(OutOfBoundsError, match="460 was observed, but the config says"):
        _compare(path)


def test_exact_returns_are_compared_only_if_all_have_them(tmp_path: Path):
    exact = write_experiment(tmp_path, "exact", GOOD, exact=True)
    sampled = write_experiment(tmp_path, "sampled", BAD)
    assert _compare(exact).measure == "exact"
    assert _compare(exact, sampled).measure == "held-out"


def test_the_best_agents_can_be_compared_instead(tmp_path: Path):
    path = write_experiment(tmp_path, "a", [1.0, 2.0])
    for seed in (0, 1):
        last = {"mean_reward": 1.0, "n_episodes": 10}
        best = {"mean_reward": 5.0 + seed, "n_episodes": 10}
        change_record(path / f"seed-{seed}", results={"last": last, "best": best})
    assert _compare(path).rows[0].scores.tolist() == [1.0, 1.0]
    assert _compare(path, agent="best").rows[0].scores.tolist() == [5.0, 6.0]


def test_experiments_of_one_name_get_different_labels(tmp_path: Path):
    one = write_experiment(tmp_path, "a", GOOD)
    other = write_experiment(tmp_path, "a", GOOD, total_timesteps=2000)
    moved = write_experiment(tmp_path / "elsewhere", "a", GOOD)
    assert [row.label for row in _compare(one, other).rows] == [
        "total_timesteps=1,000",
        "total_timesteps=2,000",
    ]
    assert [row.label for row in _compare(one, moved).rows] == [str(one), str(moved)]


@pytest.mark.parametrize(
    "env",
    [
        {"id": "Pendulum-v1"},
        {**CARTPOLE, "time_limit": 200},
        {**CARTPOLE, "kwargs": {"sutton_barto_reward": True}},
    ],
)
def test_different_environments_are_refused(tmp_path: Path, env: dict):
    one = write_experiment(tmp_path, "one", GOOD)
    other = write_experiment(tmp_path, "other", GOOD, env=env)
    with pytest.raises(RunFolderError, match="different environments") as caught:
        _compare(one, other)
    assert one.name in str(caught.value)
    assert other.name in str(caught.value)


def test_without_any_result_there_is_nothing_to_compare(tmp_path: Path):
    path = write_experiment(tmp_path, "a", [math.nan, math.nan])
    with pytest.raises(RunFolderError, match="No run here has a result"):
        _compare(path)


def test_every_limit_of_the_numbers_is_a_caveat(tmp_path: Path):
    failing = write_experiment(tmp_path, "failing", GOOD)
    change_record(failing / "seed-2", status="failed", error="the motor burned out")
    write_run(failing / "seed-3", 3, math.nan)
    (failing / "seed-4" / "evaluations.npz").unlink()
    single = write_experiment(tmp_path, "single", [300.0], total_timesteps=500)
    wrapped = {**CARTPOLE, "wrappers": ["gymnasium.wrappers.ClipReward"]}
    nothing = write_experiment(tmp_path, "nothing", [math.nan] * 7, env=wrapped)
    comparison = _compare(failing, single, nothing, scale=None)
    said = "\n".join(caveats(comparison))
    assert "failing: 2 of 5 seeds have no result" in said
    assert "seed 2 failed: the motor burned out" in said
    assert "seed 3 finished, but its returns are not finite numbers" in said
    assert "nothing: 7 of 7 seeds have no result" in said
    assert "failing: 3 seeds are too few for a claim (400, 420, 480)" in said
    assert "single: a single seed says nothing" in said
    assert "budgets differ, from 500 to 1,000" in said
    assert "wrappers differ" in said
    assert "periodic evaluations of seed 4" in said
    assert "random policy could not be measured" in said
    assert [len(row.scores) for row in comparison.rows] == [3, 1, 0]
    assert [verdict(pair) for pair in comparison.pairs] == ["too few seeds"]


def test_a_best_agent_without_a_finite_return_is_named(tmp_path: Path):
    path = write_experiment(tmp_path, "a", GOOD)
    last = {"mean_reward": 430.0, "n_episodes": 10}
    change_record(path / "seed-2", results={"last": last, "best": {"mean_reward": math.nan}})
    said = "\n".join(caveats(_compare(path, agent="best")))
    assert "a: the best agent of seed 2 has no result" in said
    assert "agent of seed" not in "\n".join(caveats(_compare(path)))


def test_runs_without_exact_returns_are_named_if_others_have_them(tmp_path: Path):
    exact = write_experiment(tmp_path, "exact", GOOD, exact=True)
    sampled = write_experiment(tmp_path, "sampled", BAD)
    said = "\n".join(caveats(_compare(exact, sampled)))
    assert "because these runs have none: sampled seed 0, 1, 2, 3, 4." in said
    assert caveats(_compare(exact)) == caveats(_compare(sampled)) == []


def test_equal_runs_do_not_mean_certainty(tmp_path: Path):
    flat = write_experiment(tmp_path, "flat", [500.0] * 5)
    (said,) = caveats(_compare(flat))
    assert said == (
        "flat: 5 of 5 seeds reached the highest possible return; up to 45 % of further runs could "
        "be worse (95 % confidence)."
    )


def test_different_versions_are_named(tmp_path: Path):
    one, other = write_experiment(tmp_path, "one", GOOD), write_experiment(tmp_path, "other", BAD)
    change_record(one / "seed-0", versions={"python": "3.11.7", "torch": "2.4.0"})
    change_record(other / "seed-3", versions={"python": "3.11.7", "torch": "2.5.1"})
    said = caveats(_compare(one, other))[-1]
    assert said == "The runs were made with different versions: torch 2.4.0, 2.5.1."


def test_a_clear_comparison_has_no_caveats(tmp_path: Path):
    good, bad = write_experiment(tmp_path, "good", GOOD), write_experiment(tmp_path, "bad", BAD)
    assert caveats(_compare(good, bad)) == []


def test_a_comparison_is_json(tmp_path: Path):
    good, bad = write_experiment(tmp_path, "good", GOOD), write_experiment(tmp_path, "bad", BAD)
    document = json.loads(json.dumps(_compare(good, bad).to_dict(), allow_nan=False))
    assert document["environment"]["id"] == "CartPole-v1"
    assert document["experiments"][0]["scores"] == GOOD
    assert document["pairs"][0]["is_decided"] is True


def test_the_same_comparison_gives_the_same_numbers(tmp_path: Path):
    good, bad = write_experiment(tmp_path, "good", GOOD), write_experiment(tmp_path, "bad", BAD)
    assert _compare(good, bad).to_dict() == _compare(good, bad).to_dict()
