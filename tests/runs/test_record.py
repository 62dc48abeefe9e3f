import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.errors import RunFolderError
from rl_runner.runs.record import (
    AgentResult,
    ExtendedFrom,
    GitState,
    Results,
    RunRecord,
    read_record,
    write_record,
)

FINISHED = {"status": "finished", "seed": 0, "results": {"last": {"mean_reward": 1.5}}}

SOUND: list[dict[str, Any]] = [
    {},
    *({"status": status} for status in ("pending", "running", "failed", "interrupted", "pruned")),
    FINISHED,
    {**FINISHED, "timesteps": 300, "seconds": 1.5, "written by": "somebody", "git": None},
    {**FINISHED, "results": {"last": {"mean_reward": None}, "best": {}}},
]
DAMAGED: list[tuple[Any, str]] = [
    ([], "does not hold a JSON object"),
    ("finished", "does not hold a JSON object"),
    (None, "does not hold a JSON object"),
    ({"status": "done"}, "`done` is not a valid run status"),
    ({"status": ["finished"]}, "is not a valid run status"),
    ({"status": None}, "is not a valid run status"),
    ({"status": "finished"}, "has no results"),
    ({"status": "finished", "results": {}}, "has no results"),
    ({"status": "finished", "seed": 0, "results": 5}, "`results` is not an object"),
    ({**FINISHED, "results": None}, "has no results"),
    ({**FINISHED, "results": {"last": 5}}, "`results.last` is not an object"),
    (
        {**FINISHED, "results": {"last": {"mean_reward": "much"}}},
        "`results.last.mean_reward` is not a number",
    ),
    ({**FINISHED, "seed": "0"}, "`seed` is not a whole number"),
    ({**FINISHED, "timesteps": [300]}, "`timesteps` is not a whole number"),
    ({"status": "failed", "seconds": True}, "`seconds` is not a number"),
]


LOG = {
    "window": ["2025-06-19T17:18:26Z", "2025-06-26T17:18:26Z"],
    "holdout": None,
    "in_window": 1020,
    "users_dropped": 9,
    "users_dropped_share": 0.1,
    "interactions_dropped": 20,
    "interactions_dropped_share": 0.02,
    "interactions": 1000,
    "users": 69,
    "beyond_budget": 0,
    "learned_until": 1750958306605164,
    "newest": "2025-06-26T16:05:59.013789+00:00",
    "refusals": {
        "rows": 1021,
        "refused": 1,
        "reasons": {"unknown mood": 1},
        "examples": [{"file": "log.jsonl", "line": 7, "reason": "unknown mood hangry"}],
    },
    "transitions": 1000,
    "waiting": 0,
    "mean_abs_td_error": 1.25,
}
LEVEL = {"states": 1, "of_states": 1, "state_actions": 27, "of_state_actions": 27}
COVERAGE = {
    "levels": {"global": {**LEVEL, "visits_per_state_action": 37.5}},
    "total_states": 450,
    "total_state_actions": 900,
    "avg_q_value": 1.25,
    "max_q_value": 4.5,
    "min_q_value": -1.5,
    "epsilon": 0.1,
    "values_outside": 0,
}
CI = [0.5, 1.5]
JUDGEMENT = {
    "interactions": 777,
    "users": 57,
    "logged_reward": 0.75,
    "logged_reward_ci95": CI,
    "support": {
        "effective_sample": 150.5,
        "effective_users": 40.5,
        "matching": 777,
        "largest_weight": 23.5,
        "mean_weight": 0.98,
        "mean_weight_ci95": CI,
        "unsupported": 0.0,
        "smallest_pscore": 0.04,
        "mean_weight_ci999": [0.0, float("inf")],
    },
    "refusal": None,
    "needed": None,
    "estimates": {
        "DM": {
            "value": 1.0,
            "ci95": CI,
            "versus_logging": 0.25,
            "versus_logging_ci95": CI,
            "versus_rule_based": None,
            "versus_rule_based_ci95": None,
            "for_claims": False,
        },
    },
    "rates": {"like": {"logged": 0.25, "policy": None, "policy_ci95": None}},
    "warnings": ["no comparison with the rule-based policy"],
    "switch_threshold": None,
    "sessions": {
        "sessions": 300,
        "value": 3.5,
        "ci95": CI,
        "logging": 3.0,
        "logging_ci95": CI,
        "versus_logging": 0.5,
        "versus_logging_ci95": CI,
        "versus_rule_based": 0.5,
        "versus_rule_based_ci95": CI,
    },
    "no_sessions": None,
    "weight_histogram": [[10, 5], [0.0, 1.0, 27.0]],
}

# As versions up to now have written them, in an environment and from logs
OLD: list[dict[str, Any]] = [
    {
        "format": 1,
        "status": "finished",
        "name": "lake",
        "env": "FrozenLake-v1",
        "algo": "q_learning",
        "engine": "fast",
        "seed": 3,
        "extended_from": {"path": "runs/lake-01234567/seed-3", "timesteps": 300},
        "started": "2026-01-02T03:04:05+00:00",
        "command": "rl train lake.yaml",
        "versions": {"python": "3.12.3", "torch": "not installed"},
        "git": {"of": "rl_runner", "commit": "0" * 40, "dirty": False},
        "machine": {"system": "Linux", "processor": "x86_64", "cores": 2},
        "vec": "dummy",
        "vec_reason": "it has no batched version",
        "heartbeat": "2026-01-02T03:04:15+00:00",
        "timesteps": 400,
        "training_seconds": 1.25,
        "results": {
            "last": {
                "mean_reward": 0.5,
                "std_reward": 0.0,
                "mean_ep_length": 9.5,
                "n_episodes": 100,
                "success_rate": 0.5,
                "info": {"lives": 1.0},
                "exact_mean_reward": 0.49,
                "optimal_mean_reward": 0.82,
                "regret": 0.33,
            },
            "best": {
                "timesteps": 200,
                "periodic_mean_reward": 1.0,
                "mean_reward": 0.75,
                "std_reward": 0.25,
                "mean_ep_length": 9.5,
                "n_episodes": 100,
                "selection_optimism": 0.25,
            },
        },
        "finished": "2026-01-02T03:04:25+00:00",
        "seconds": 20,
    },
    {
        "format": 1,
        "status": "failed",
        "versions": {"python": "3.12.3"},
        "git": None,
        "error": "RuntimeError()",
        "traceback": "Traceback",
        "log_tail": ["a", "b"],
        "disk_full": True,
        "ended_by_signal": True,
    },
    {"format": 1, "status": "interrupted", "timesteps": 0, "stopped_at": 0},
    {
        "format": 1,
        "status": "finished",
        "timesteps": 1000,
        "results": {
            "last": {
                "mean_reward": 0.4,
                "ci95": [0.3, 0.5],
                "std_reward": None,
                "n_episodes": 0,
                "n_interactions": 900,
            },
            "log": LOG,
            "coverage": COVERAGE,
            "judgement": None,
            "checklist": {"epsilon_at_its_minimum": None},
        },
    },
    {
        "format": 1,
        "status": "finished",
        "results": {
            "last": {"mean_reward": 0.4, "std_reward": None, "n_episodes": 0},
            "log": {**LOG, "holdout": LOG["window"]},
            "coverage": COVERAGE,
            "judgement": JUDGEMENT,
            "checklist": {"epsilon_at_its_minimum": True},
        },
    },
]


@pytest.mark.parametrize("record", SOUND, ids=str)
def test_a_sound_file_is_read(record: dict[str, Any]):
    assert RunRecord.from_json(record).status == record.get("status", "pending")


@pytest.mark.parametrize("written", OLD, ids=lambda written: written["status"])
def test_what_older_versions_wrote_is_read_and_written_back_unchanged(
    tmp_path: Path, written: dict[str, Any]
):
    (tmp_path / "run.json").write_text(json.dumps(written), encoding="utf-8")
    record = read_record(tmp_path)
    assert record is not None
    assert record.extra == {}  # every key has a field
    write_record(tmp_path, record)
    assert json.loads((tmp_path / "run.json").read_text(encoding="utf-8")) == written


@pytest.mark.parametrize("damaged", ["seed", "name", "versions", "git", "log_tail", "disk_full"])
def test_a_field_of_another_type_is_named(damaged: str):
    with pytest.raises(ValueError, match=f"`{damaged}` is not "):
        RunRecord.from_json({damaged: 1.5})


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({"best": {"ci95": [0.5, "x"]}}, "`results.best.ci95.1` is not a number"),
        ({"log": {"window": ["a", "b"]}}, "`results.log.holdout` is missing"),
        ({"log": {**LOG, "learned_until": 0.5}}, "`results.log.learned_until` is not a whole"),
        ({"log": {**LOG, "window": ["a"]}}, "`results.log.window` is not a list of 2"),
        ({"log": {**LOG, "refusals": []}}, "`results.log.refusals` is not an object"),
        ({"coverage": {**COVERAGE, "levels": {"full": 1}}}, "`results.coverage.levels.full` is"),
        ({"checklist": {"fine": "yes"}}, "`results.checklist.fine` is not true or false"),
        ({"judgement": {**JUDGEMENT, "refusal": 5}}, "`results.judgement.refusal` is not a text"),
    ],
)
def test_a_field_inside_another_is_named_by_its_path(results: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        RunRecord.from_json({"results": results})


def test_a_judgement_of_an_older_version_gets_the_defaults():
    older = {key: value for key, value in JUDGEMENT.items() if key != "no_sessions"}
    older["estimates"] = {"DR": {**JUDGEMENT["estimates"]["DM"]}}
    del older["estimates"]["DR"]["for_claims"]
    record = RunRecord.from_json({"results": {"judgement": older}})
    judgement = record.results.judgement
    assert judgement.no_sessions is None
    assert judgement.headline.for_claims
    assert judgement.support.mean_weight_ci999 == (0.0, float("inf"))


def test_keys_of_a_later_version_survive(tmp_path: Path):
    written = {"status": "failed", "mood": "fine", "results": {"last": {"median": 2}, "third": 3}}
    (tmp_path / "run.json").write_text(json.dumps(written), encoding="utf-8")
    record = read_record(tmp_path)
    assert record is not None
    write_record(tmp_path, record)
    again = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert (again["mood"], again["results"]["third"]) == ("fine", 3)
    assert again["results"]["last"]["median"] == 2


def test_a_newer_format_is_refused_with_the_cure(tmp_path: Path):
    (tmp_path / "run.json").write_text('{"format": 99, "status": "pending"}', encoding="utf-8")
    with pytest.raises(RunFolderError, match="in format 99") as caught:
        read_record(tmp_path)
    assert "Update rl_runner" in caught.value.problems[0].cure


numbers = st.none() | st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)
texts = st.none() | st.text()
agents = st.none() | st.builds(
    AgentResult, mean_reward=numbers, regret=numbers, ci95=st.none() | st.tuples(st.floats(0, 1))
)


@given(
    st.builds(
        RunRecord,
        status=st.sampled_from(["pending", "running", "failed", "interrupted", "pruned"]),
        name=texts,
        seed=st.none() | st.integers(0),
        seconds=numbers,
        error=texts,
        log_tail=st.lists(st.text()).map(tuple),
        disk_full=st.booleans(),
        versions=st.dictionaries(st.text(), st.text()),
        git=st.none() | st.builds(GitState, commit=texts, dirty=st.booleans()),
        extended_from=st.none() | st.builds(ExtendedFrom, path=texts),
        results=st.none() | st.builds(Results, last=agents, best=agents),
    )
)
def test_a_record_survives_json(record: RunRecord):
    assert RunRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


@pytest.mark.parametrize(("record", "message"), DAMAGED, ids=[str(record) for record, _ in DAMAGED])
def test_what_was_edited_is_named_with_its_file_and_the_cure(
    tmp_path: Path, record: Any, message: str
):
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(RunFolderError) as caught:
        read_record(tmp_path)
    (problem,) = caught.value.problems
    assert message in problem.what
    assert problem.where == str(tmp_path / "run.json")
    assert "--fresh" in problem.cure
