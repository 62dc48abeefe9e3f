"""Which code and which runs belong together; modules and names (the folders beside this file)."""

import contextlib
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import yaml

from rl_runner import local_code
from rl_runner.config import load_config
from rl_runner.config.schema import CodeConfig
from rl_runner.envs import specs
from rl_runner.runs.record import read_record
from rl_runner.training.environment_task import EnvironmentTask
from rl_runner.training.execution import execute
from rl_runner.training.reporting import Reporter, StopRequest
from rl_runner.training.resolve import resolve

CASES = Path(__file__).parent
REPOSITORY = CASES.parents[1]


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Copy a case into an empty folder and go there."""

    def copy(name: str) -> Path:
        place = tmp_path / name
        shutil.copytree(CASES / name, place)
        monkeypatch.chdir(place)
        return place

    return copy


@contextlib.contextmanager
def forgetting() -> Iterator[None]:
    """Let this process forget the modules that are imported inside, and what they register."""
    modules, ids = set(sys.modules), set(gym.registry)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(local_code.SWITCH, "1")
        for module, name in (
            (local_code, "_folders"),
            (local_code, "_first_hash"),
            (local_code, "_loaded_before"),
            (specs, "_registered_by"),
        ):
            patch.setattr(module, name, type(getattr(module, name))())
        patch.setattr(sys, "path", sys.path.copy())
        yield
    for name in set(sys.modules) - modules:
        if local_code.is_local(name):
            del sys.modules[name]
    for env_id in set(gym.registry) - ids:
        del gym.registry[env_id]
    importlib.invalidate_caches()


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Forget the modules that a test imports."""
    with forgetting():
        yield


@pytest.fixture
def rl_anew(invoke_rl: Callable[..., Any]) -> Callable[..., Any]:
    """Run ``rl`` as in a process of its own: each command imports the user's modules again."""

    def invoke(*arguments: object) -> Any:
        with forgetting():
            return invoke_rl(*arguments)

    return invoke


def rl_command(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``rl`` as a user does: the current folder is not on Python's path."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **variables}
    return subprocess.run(
        [sys.executable, "-P", "-m", "rl_runner", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def experiments() -> list[Path]:
    return sorted(file.parent for file in Path("runs").glob("*/config.yaml"))


def mean_rewards(experiment: Path) -> list[float | None]:
    return [read_record(run).last.mean_reward for run in sorted(experiment.glob("seed-*"))]


# --- train-24: the environment's code is edited ---------------------------------------------------


@pytest.mark.slow
def test_train_24_edited_code_is_another_experiment(case, rl_anew):
    place = case("train-24-edited-env")
    assert rl_anew("train", "config.yaml", "-q").exit_code == 0
    (old,) = experiments()
    source = (place / "my_env.py").read_text()

    # Another reward: neither the old results nor an average over old and new.
    (place / "my_env.py").write_text(source.replace("PAY = 1.0", "PAY = 50.0"))
    again = rl_anew("train", "config.yaml", "--seeds", "1")
    assert again.exit_code == 0
    assert "`my_env` has changed" in again.message
    (new,) = set(experiments()) - {old}
    assert mean_rewards(old) == [10.0, 10.0]
    assert mean_rewards(new) == [500.0]
    assert read_record(old / "seed-0").code != read_record(new / "seed-0").code

    # A comment changes nothing.
    (place / "my_env.py").write_text(f"# Pays well.\n{source}".replace("PAY = 1.0", "PAY = 50.0"))
    rl_anew("train", "config.yaml", "--seeds", "1", "-q")
    assert len(experiments()) == 2

    # The old run is evaluated with a note, reproduced with a difference, and not trained on.
    assert "`my_env` has changed" in rl_anew("eval", old, "--episodes", "2").message
    reproduced = rl_anew("reproduce", old / "seed-0", "-q")
    assert reproduced.exit_code == 1
    assert "code, my_env:" in reproduced.stdout
    refused = rl_anew("train", old, "--seeds", "5", "-q")
    assert refused.exit_code == 2
    assert "`my_env` has changed" in refused.message
    assert not any(old.glob("seed-4"))


@pytest.mark.slow
def test_train_24_a_module_imported_by_a_computed_name_is_named_and_its_versions_are_told_apart(
    case, rl_anew
):
    place = case("train-24-edited-env")
    source = (place / "my_env.py").read_text()
    computed = 'PAY = __import__("importlib").import_module("pri" + "ces").PAY'
    (place / "my_env.py").write_text(source.replace("PAY = 1.0", computed))
    (place / "prices.py").write_text("PAY = 1.0")
    first = rl_anew("train", "config.yaml", "--seeds", "1")
    assert "`prices`" in first.message
    assert "Import it by its name" in first.message
    assert "different versions" not in first.message

    # Another seed on an edited module: the same experiment, and a note.
    (place / "prices.py").write_text("PAY = 50.0")
    second = rl_anew("train", "config.yaml", "--seeds", "2")
    assert "Seeds 0 and 1 used different versions of `prices`" in second.message
    (experiment,) = experiments()
    hashes = [read_record(experiment / f"seed-{seed}").unlisted_code for seed in (0, 1)]
    assert [list(each) for each in hashes] == [["prices"], ["prices"]]
    assert hashes[0] != hashes[1]
    compared = rl_anew("compare", experiment)
    assert "different versions of `prices`" in " ".join(compared.stdout.split())


@pytest.mark.slow
def test_train_24_versions_of_a_file_that_the_config_names_are_told_apart(case, rl_anew):
    place = case("train-24-edited-env")
    source = (place / "my_env.py").read_text()
    reads = "    def __init__(self, prices):\n        with open(prices) as file:\n"
    reads += "            self.pay = float(file.read())\n\n"
    source = source.replace("    def reset", f"{reads}    def reset").replace(
        " PAY, ", " self.pay, "
    )
    (place / "my_env.py").write_text(source)
    change = ("--set", "env.kwargs={prices: prices.txt}")
    (place / "prices.txt").write_text("1.0")
    first = rl_anew("train", "config.yaml", "--seeds", "1", *change)
    assert first.exit_code == 0, first.message
    assert "prices.txt" not in first.message
    (place / "prices.txt").write_text("50.0")
    second = rl_anew("train", "config.yaml", "--seeds", "2", *change)
    assert "Seeds 0 and 1 used different versions of `prices.txt`" in second.message
    (experiment,) = experiments()
    compared = rl_anew("compare", experiment)
    assert "different versions of `prices.txt`" in " ".join(compared.stdout.split())


@pytest.mark.slow
def test_train_24_half_a_run_is_not_resumed_on_changed_code(case, rl_anew):
    place = case("train-24-edited-env")
    rl_anew("train", "config.yaml", "--seeds", "1", "-q")
    (old,) = experiments()
    (old / "seed-0" / "model.zip").unlink()  # as if it had been killed before its end
    (place / "my_env.py").write_text(
        (place / "my_env.py").read_text().replace("PAY = 1.0", "PAY = 50.0")
    )
    assert rl_anew("train", old, "-q").exit_code == 2
    assert not (old / "seed-0" / "model.zip").exists()


@pytest.mark.usefixtures("forgotten")
def test_train_24_a_run_that_begins_late_refuses_code_that_changed_meanwhile(case):
    case("train-24-edited-env")
    config = resolve(load_config("config.yaml")).config
    assert set(config.code.modules) == {"my_env"}
    before = CodeConfig(path=config.code.path, modules={"my_env": "0" * 16})
    task = EnvironmentTask(config.model_copy(update={"code": before}), 0, Path("runs/edited"))
    result = execute(task, Reporter(), StopRequest())
    assert result.status == "failed"
    assert "`my_env` has changed" in result.record.error
    assert not (result.path / "model.zip").exists()


# --- train-01, train-18: a module beside the config -----------------------------------------------


@pytest.mark.slow
def test_train_01_a_module_beside_the_config_is_found_by_every_command(
    case, rl_anew, tmp_path, monkeypatch
):
    place = case("train-27-own-ids")
    shrunk = ["--seeds", "1", "--set", "train.total_timesteps=512", "--set", "env.vec=subproc"]
    monkeypatch.chdir(tmp_path)  # the folder of the config is not the current one
    trained = rl_command("train", place / "config.yaml", *shrunk, "-q")
    assert trained.returncode == 0, trained.stderr
    (experiment,) = experiments()
    assert yaml.safe_load((experiment / "config.yaml").read_text())["code"]["path"] == [str(place)]
    for arguments in (
        ["eval", experiment, "--episodes", "2"],
        ["eval", experiment, "--policy", "random", "--episodes", "2"],
        ["record", experiment, "--episodes", "1", "--out", "a.gif"],
        ["reproduce", experiment, "-q"],
    ):
        result = rl_anew(*arguments)
        assert result.exit_code == 0, result.message


@pytest.mark.usefixtures("forgotten")
def test_train_18_a_missing_module_is_named(case, rl):
    place = case("train-27-own-ids")
    (place / "my_env.py").unlink()
    for more in ([], ["--set", "env.time_limit=50"]):
        refused = rl("check", place / "config.yaml", *more)
        assert refused.exit_code == 2
        assert "There is no module `my_env`" in refused.message
        assert str(place) in refused.message
        assert "None" not in refused.message
        assert "pip install" not in refused.message


# --- train-27, train-12, train-29: ids and arguments ----------------------------------------------


@pytest.mark.parametrize(
    ("env_id", "said"),
    [
        ("my_env:Coridor-v0", "Did you mean `my_env:Corridor-v0`?"),
        ("my_env:Corridor", "It is a class there: write `env.entry_point: my_env:Corridor`"),
        ("unregistered:Other-v0", "It has registered: `Corridor-v0`, `lab/Corridor-v2`, `Bare`."),
        ("needs_missing:X-v0", "`needs_missing` needs `a_simulator_nobody_has`"),
        ("my_env.Corridor", "`env.id: my_env:MyEnv-v0`"),
        ("./my_env.py:Corridor", "is not the name of a module"),
        ("my_env.py:Corridor-v0", "is not the name of a module"),
        ("ALE/Pong-v5", "`env.id: ale_py:ALE/Pong-v5`"),
        ("PongNoFrameskip-v4", "`env.id: ale_py:PongNoFrameskip-v4`"),
        ("ale_py_:X-v0", "There is no module `ale_py_`"),
    ],
)
@pytest.mark.usefixtures("forgotten")
def test_train_27_an_id_of_a_module_is_explained(case, rl, env_id, said):
    config = case("train-27-own-ids") / "config.yaml"
    refused = rl("check", config, "--set", f"env.id={env_id}")
    assert refused.exit_code == 2
    assert said in refused.message
    assert "Tutor" not in refused.message


def test_train_12_a_retired_id_gives_one_plain_note(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("old.yaml").write_text(
        "env: {id: CartPole-v0}\nalgo: {name: reinforce}\n"
        "train: {total_timesteps: 50, seeds: 1}\neval: {n_episodes: 1, final_episodes: 1}\n"
    )
    trained = rl_command("train", "old.yaml")
    assert trained.returncode == 0
    assert "CartPole-v0 is an old version; CartPole-v1 is newer." in trained.stderr
    everything = trained.stderr + "".join(p.read_text() for p in Path("runs").rglob("log.txt"))
    assert "site-packages" not in everything
    assert "\x1b[33m" not in everything


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["env.kwargs={is_slipery: false}"], "Did you mean `is_slippery`?"),
        (["env.kwargs={colour: 3}"], "The arguments of the environment are: `desc`"),
        (["env.id=LunarLander-v2"], "is an old version that Gymnasium no longer has."),
    ],
)
def test_train_29_arguments_and_versions_are_explained(rl, write_yaml, more, said):
    refused = rl("check", write_yaml(), *(word for each in more for word in ("--set", each)))
    assert refused.exit_code == 2
    assert said in refused.message


# --- attack-09: what a config can run -------------------------------------------------------------


@pytest.mark.usefixtures("forgotten")
def test_attack_09_scripts_and_pythons_own_modules_are_not_imported(case, rl):
    place = case("attack-09-config-runs-code")
    refused = rl("check", place / "stdlib.yaml")
    assert refused.exit_code == 2
    assert "belongs to Python itself" in refused.message
    assert not (place / "check").exists()


@pytest.mark.usefixtures("forgotten")
def test_attack_09_local_code_is_listed_and_can_be_forbidden(case):
    place = case("train-27-own-ids")
    (place / "my_env.py").write_text(
        (place / "my_env.py").read_text() + "\nopen('ran', 'w').close()\n"
    )
    forbidden = rl_command("check", "config.yaml", "--no-local-code", PYTHONPATH=_path_with(place))
    assert forbidden.returncode == 2
    assert "--no-local-code" in forbidden.stderr
    assert not Path("ran").exists()
    checked = rl_command("check", "config.yaml")
    assert checked.returncode == 0, checked.stderr
    assert f"my_env ({place / 'my_env.py'})" in checked.stdout
    assert Path("ran").exists()


def _path_with(place: Path) -> str:
    return os.pathsep.join([str(REPOSITORY), str(place)])


@pytest.mark.usefixtures("forgotten")
def test_attack_09_a_module_that_exits_is_named(case, rl):
    place = case("train-27-own-ids")
    (place / "ends_at_once.py").write_text("import sys\nsys.exit(0)\n")
    refused = rl("check", place / "config.yaml", "--set", "env.id=ends_at_once:X-v0")
    assert refused.exit_code == 2
    assert "called sys.exit(0)" in refused.message


# --- logs-02, attack-18: runs found by their places -----------------------------------------------


@pytest.mark.slow
def test_logs_02_runs_of_another_study_are_not_taken_for_those_of_this_one(case, rl_anew):
    case("logs-02-stale-runs")
    small = ["--set", "train.total_timesteps=256", "--set", "eval.every=128", "--trials", "1"]
    words = ["tune", "mine.yaml", "--study", "st", "--confirm", "0", "-q", *small]
    assert rl_anew(*words).exit_code == 0
    Path("runs/st/study.journal").unlink()
    before = sorted(Path("runs").rglob("*"))
    refused = rl_anew(*words, "--set", "algo.learning_rate=1e-9")
    assert refused.exit_code == 2
    assert "algo.learning_rate was 0.001 and is 1e-09" in " ".join(refused.message.split())
    assert sorted(Path("runs").rglob("*")) == before
    assert rl_anew(*words).exit_code == 0  # the same study may be begun anew


def test_a_run_of_another_config_is_not_taken_for_this_one(rl, write_yaml):
    config = write_yaml()
    assert rl("train", config, "--seeds", "1", "-q").exit_code == 0
    (experiment,) = experiments()
    assert rl("train", config, "--seeds", "1", "-q", "--set", "algo.gamma=0.5").exit_code == 0
    (other,) = set(experiments()) - {experiment}
    shutil.rmtree(experiment / "seed-0")
    shutil.copytree(other / "seed-0", experiment / "seed-0")
    refused = rl("train", config, "--seeds", "1", "-q")
    assert refused.exit_code == 1
    assert "made of another config" in refused.message


def test_attack_18_nothing_is_removed_through_a_link(case, rl):
    place = case("attack-18-seed-folder-is-a-link")
    os.chdir(place)  # the fixture `rl` has gone elsewhere
    assert rl("train", "config.yaml", "--seeds", "0,", "-q").exit_code == 0
    (experiment,) = experiments()
    shutil.rmtree(experiment / "seed-0")
    victim = place / "victim"
    victim.mkdir()
    (victim / "precious.txt").write_text("precious")
    (experiment / "seed-0").symlink_to(victim)
    refused = rl("train", "config.yaml", "--seeds", "0,", "--fresh", "-q")
    assert refused.exit_code == 1
    assert "This is a link to another folder" in refused.message
    assert [entry.name for entry in victim.iterdir()] == ["precious.txt"]


# --- attack-14: the environment changes the working directory -------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("early", ["false", "true"])
def test_attack_14_an_environment_may_change_the_working_directory(case, rl_anew, early):
    case("attack-14-chdir-env")
    trained = rl_anew("train", "config.yaml", "-q", "--set", f"env.kwargs.early={early}")
    assert trained.exit_code == 0, trained.message
    (experiment,) = experiments()
    assert mean_rewards(experiment) == [11.0]
    assert rl_anew("eval", experiment, "--episodes", "2", "--out", "e.csv").exit_code == 0
    assert Path("e.csv").is_file()
