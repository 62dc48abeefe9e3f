"""Environments that fail, hang, print or send control characters: they stay in their run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_runner import load_config, train
from rl_runner.cli import INCOMPLETE
from rl_runner.runs.claim import is_claimed
from rl_runner.runs.folder import RunFolder

HERE = Path(__file__).parent
Case = Callable[[str], Path]
Rl = Callable[..., Any]


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch, rl: Rl) -> Case:
    """Give a case's folder, in which Python finds its modules."""
    del rl  # it has changed to an empty folder

    def enter(name: str) -> Path:
        monkeypatch.syspath_prepend(str(HERE / name))
        return HERE / name

    return enter


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted(folder.glob("*/seed-*/run.json"))]


def assert_panel(outcome: Any, *texts: str) -> None:
    assert outcome.exit_code == 2
    assert "Traceback" not in outcome.stderr
    for text in texts:
        assert text in outcome.message


@pytest.mark.slow
@pytest.mark.parametrize(
    ("vec", "dies", "expected"),
    [
        ("dummy", "raise", "RuntimeError: the simulator lost its connection"),
        ("subproc", "raise", "RuntimeError: the simulator lost its connection"),
        ("subproc", "kill", "was ended by SIGKILL"),
    ],
)
def test_train_31_a_copy_that_dies_fails_its_run(
    rl: Rl, case: Case, tmp_path: Path, vec: str, dies: str, expected: str
):
    config = case("train-31-subproc-dies") / "config.yaml"
    changes = ("--set", f"env.vec={vec}", "--set", f"env.kwargs.dies={dies}")
    outcome = rl("train", config, "-q", *changes)
    assert outcome.exit_code == 1
    (record,) = records(tmp_path / "runs")
    assert record["status"] == "failed"
    assert expected in record["error"]
    if dies == "raise":
        assert "flaky_simulator.py" in record["traceback"]


@pytest.mark.slow
def test_attack_06_a_run_whose_environment_raises_is_reported_beside_the_good_ones(
    rl: Rl, case: Case, tmp_path: Path
):
    folder = case("attack-06-env-raises")
    outcome = rl("train", folder / "boom.yaml", folder / "good.yaml", "-q")
    assert outcome.exit_code == 1
    assert "raised an exception in step(): RuntimeError: step broke" in outcome.message
    assert [record["status"] for record in records(tmp_path / "runs")] == [
        "failed",
        "finished",
        "finished",
    ]
    boom, good = sorted((tmp_path / "runs").glob("*-*"))
    assert rl("report", boom, good, "--no-pictures", "--out", "r.html").exit_code == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "step broke" in page
    assert_panel(rl("compare", boom), "No run here has a result yet")
    assert rl("eval", good, "--episodes", "1").exit_code == 0


@pytest.mark.parametrize("where", ["reset", "step", "exit"])
@pytest.mark.parametrize("command", ["check", "eval"])
def test_attack_06_an_exception_of_an_environment_is_a_panel(
    rl: Rl, case: Case, where: str, command: str
):
    config = case("attack-06-env-raises") / "boom.yaml"
    change = f"env.kwargs.where={where}"
    if command == "check":
        outcome = rl("check", config, "--set", change)
    else:
        text = config.read_text().replace('v0"}', f'v0", kwargs: {{where: {where}}}}}')
        Path("boom.yaml").write_text(text)
        outcome = rl("eval", "boom.yaml", "--policy", "random", "--episodes", "50")
    method = "step" if where == "exit" else where
    assert_panel(outcome, "`raising_envs:CasesRaises-v0`", f"exception in {method}()")


@pytest.mark.slow
def test_attack_06_an_exception_in_close_ends_nothing(rl: Rl, case: Case, tmp_path: Path):
    folder = case("attack-06-env-raises")
    change = ("--set", "env.kwargs.where=close")
    outcome = rl("train", folder / "boom.yaml", "-q", *change)
    assert outcome.exit_code == 0
    assert [record["status"] for record in records(tmp_path / "runs")] == ["finished"]
    (log,) = (tmp_path / "runs").glob("*/seed-0/log.txt")
    assert "raised an exception in close(), which affects no result" in log.read_text()


def run_rl(*arguments: object, folder: Path, modules: Path) -> "subprocess.CompletedProcess[str]":
    """Run ``rl`` in a process of its own, as a user does."""
    path = os.pathsep.join([str(modules), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "rl_runner", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("vec", ["dummy", "subproc"])
def test_attack_07_standard_output_is_one_json_document(tmp_path: Path, vec: str):
    modules = HERE / "attack-07-json-polluted"
    change = ("--set", f"env.vec={vec}")
    done = run_rl(
        "train", modules / "config.yaml", *change, "--json", "-q", folder=tmp_path, modules=modules
    )
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    log = (tmp_path / run["path"] / "log.txt").read_text()
    for text in ("Hello from the simulator", "hello from compiled code", "from a child process"):
        assert text in log
    if vec == "dummy":
        done = run_rl("eval", run["path"], "--json", folder=tmp_path, modules=modules)
        assert json.loads(done.stdout)["runs"]
        for text in ("Hello from the simulator", "hello from compiled code", "a child process"):
            assert text in done.stderr


def test_attack_07_a_printed_config_is_yaml(rl: Rl, case: Case):
    case("attack-07-json-polluted")
    outcome = rl("init", "ppo", "printing_env:CasesHello-v0")
    assert outcome.stdout.startswith("# ppo (")
    assert "Hello from the simulator" in outcome.stderr


def test_attack_10_control_characters_are_shown_as_escapes(rl: Rl, tmp_path: Path):
    outcome = rl("check", HERE / "attack-10-terminal-escapes" / "config.yaml")
    assert outcome.exit_code == 2
    assert "\x1b[2J" not in outcome.stderr
    assert r"\x1b[2J" in outcome.message.replace(" ", "")
    folder = tmp_path / "runs" / "x\x1b]0;pwned\x07\x1b[2Jy" / "seed-0"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"status": "failed", "seed": 0}')
    outcome = rl("runs")
    assert "\x1b" not in outcome.stdout
    assert r"x\x1b]0;pwned\x07\x1b[2Jy" in outcome.stdout


@pytest.mark.slow
def test_attack_12_what_an_environment_prints_and_raises_is_bounded(
    rl: Rl, case: Case, tmp_path: Path
):
    outcome = rl("train", case("attack-12-unbounded-output") / "config.yaml", "-q")
    assert outcome.exit_code == 1
    assert len(outcome.stderr) < 20_000
    assert rl("runs").exit_code == 0
    (record,) = (tmp_path / "runs").glob("*/seed-0/run.json")
    assert json.loads(record.read_text())["error"].count("q") > 1_000
    assert record.stat().st_size < 100_000
    assert (record.parent / "log.txt").stat().st_size < 10_100_000
    assert (tmp_path / "runs" / ".index.json").stat().st_size < 5_000


@pytest.mark.slow
def test_attack_13_a_run_that_hangs_ends_after_its_launcher(tmp_path: Path):
    modules = HERE / "attack-13-orphan-hangs"
    path = os.pathsep.join([str(modules), *filter(None, [os.environ.get("PYTHONPATH")])])
    launcher = subprocess.Popen(
        [sys.executable, "-m", "rl_runner", "train", modules / "config.yaml", "-q"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )
    wait_until(lambda: any(tmp_path.glob("runs/*/seed-0/checkpoints/192")))
    (run,) = tmp_path.glob("runs/*/seed-0")
    time.sleep(1.0)  # it hangs a few steps later
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()

    wait_until(lambda: not is_claimed(run))
    assert "hanging_env.py" in (run / "log.txt").read_text()  # where it hung
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["timesteps"]) == ("interrupted", 192)


@pytest.mark.slow
def test_attack_13_a_process_that_keeps_a_run_is_named(rl: Rl, tmp_path: Path):
    config = HERE / "attack-06-env-raises" / "good.yaml"
    assert rl("train", config, "-q", "--seeds", "1").exit_code == 0
    (experiment,) = (tmp_path / "runs").glob("good-*")
    run = RunFolder(experiment / "seed-1")
    assert run.claim()
    run.sign_claim()
    try:
        outcome = rl("train", config, "-q")
    finally:
        run.release()
    assert outcome.exit_code == INCOMPLETE
    assert f"In training by another process: seed 1 (process {os.getpid()})." in outcome.message
    assert "end it and run the same command again" in outcome.message
    assert rl("train", config, "-q").exit_code == 0  # the claim is free again


def wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(2400):
        if happened():
            return
        time.sleep(0.1)
    pytest.fail("it has not happened within four minutes")


@pytest.mark.slow
def test_attack_15_an_error_that_is_not_utf_8_is_recorded(rl: Rl, case: Case, tmp_path: Path):
    outcome = rl("train", case("attack-15-surrogate") / "config.yaml", "-q")
    assert outcome.exit_code == 1
    (record,) = records(tmp_path / "runs")
    assert record["status"] == "failed"
    assert r"FileNotFoundError: no such map: \udcff.map" in record["error"]
    assert "surrogate_env.py" in record["traceback"]
    assert r"\udcff.map" in outcome.message


@pytest.mark.parametrize("arguments", [["train", "{config}", "--runs-dir", "r\udcfcns"], ["runs"]])
def test_attack_15_a_name_that_is_not_utf_8_is_refused(
    rl: Rl, case: Case, tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
):
    config = str(case("attack-15-surrogate") / "config.yaml")
    if "--runs-dir" not in arguments:
        (tmp_path / "caf\udce9").mkdir()
        monkeypatch.chdir(tmp_path / "caf\udce9")
    outcome = rl(*(argument.format(config=config) for argument in arguments))
    assert outcome.exit_code == 2
    assert "This name is not UTF-8" in outcome.message
    assert not [place for place in tmp_path.rglob("*") if place.name == "config.yaml"]


@pytest.mark.slow
def test_logs_12_runs_are_compared_where_the_random_policy_cannot_be_measured(
    rl: Rl, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = case("logs-12-compare-needs-the-random-policy") / "config.yaml"
    for i in (1, 2):
        change = ("--set", f"name=q{i}", "--set", f"algo.train_freq={i}")
        assert rl("train", config, "-q", *change).exit_code == 0
    experiments = sorted((tmp_path / "runs").iterdir())
    for mode, reason in (("raise", "simulator lost connection"), ("-inf", "-inf")):
        monkeypatch.setenv("CLIFF", mode)
        outcome = rl("compare", *experiments)
        assert outcome.exit_code == 0
        (line,) = (line for line in outcome.stdout.split("! ") if "not normalised" in line)
        assert reason in " ".join(line.split())
        assert_panel(rl("eval", config, "--policy", "random"), "cliff_walk:CasesCliff-v0", reason)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["stock", "fast"])
def test_logs_12_dqn_learns_that_minus_infinity_is_forbidden(
    case: Case, monkeypatch: pytest.MonkeyPatch, engine: str
):
    config = case("logs-12-compare-needs-the-random-policy") / "config.yaml"
    monkeypatch.setenv("CLIFF", "-inf")
    algo = f"{{name: dqn, engine: {engine}, learning_starts: 200, learning_rate: 1e-3}}"
    changes = [f"algo={algo}", "algo.exploration_fraction=0.5", "train.seeds=1"]
    changes += ["train.total_timesteps=3000", "eval.every=3000"]
    (run,) = train(load_config(config, changes)).runs
    assert run.status == "finished", run.record.error
    assert run.mean_reward is not None
    assert run.mean_reward > 10
    episodes = (run.path / "episodes.csv").read_text()
    assert ",-inf," in episodes  # it went there while it explored


@pytest.mark.parametrize("algo", ["qrdqn", "ppo", "reinforce"])
def test_logs_12_other_algorithms_cannot_learn_from_minus_infinity(
    case: Case, monkeypatch: pytest.MonkeyPatch, algo: str
):
    config = case("logs-12-compare-needs-the-random-policy") / "config.yaml"
    monkeypatch.setenv("CLIFF", "-inf")
    changes = [f"algo={{name: {algo}}}", "train.seeds=1", "train.total_timesteps=300"]
    (run,) = train(load_config(config, changes)).runs
    assert run.status == "failed"
    assert "`cliff_walk:CasesCliff-v0` returned a reward of -inf (copy 0" in (
        run.record.error or ""
    )


@pytest.mark.slow
def test_train_15_an_episode_may_be_longer_than_our_limit(rl: Rl, case: Case):
    config = case("train-15-long-episodes") / "config.yaml"
    cut = rl("train", config)
    assert "episodes are truncated after 1000 steps" in cut.message
    whole = rl("train", config, "--set", "env.time_limit=3000", "--json")
    assert [run["mean_reward"] for run in whole.document["runs"]] == [100.0]
