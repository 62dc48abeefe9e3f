"""A policy as a file for other programs answers what the agent predicts."""

import contextlib
import io
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from rl_runner.agents.registry import ALGORITHMS
from rl_runner.config import config_from_dict
from rl_runner.errors import ConfigError
from rl_runner.evaluation.play.loaded_run import load_run
from rl_runner.offline.learning.backoff import N_STATES
from rl_runner.offline.learning.trained_run import load_trained
from rl_runner.serving.portable import onnx_file
from rl_runner.serving.portable.folder import export_policy
from rl_runner.training.train import train

QUICK = {"ppo", "dqn", "sac"}
NO_NETWORKS = {"q_learning", "recurrent_ppo"}


@pytest.fixture
def onnx():
    pytest.importorskip("onnxscript", reason="the extra `onnx` is not installed")
    pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    return pytest.importorskip("onnx", reason="the extra `onnx` is not installed")


def answers_of_readme(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the code in a README.md, and return what it prints."""
    monkeypatch.chdir(folder)
    (code,) = re.findall(
        r"```python\n(.*?)```", (folder / "README.md").read_text("utf-8"), re.DOTALL
    )
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own
    return printed.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        n if n in QUICK else pytest.param(n, marks=pytest.mark.slow)
        for n in ALGORITHMS
        if n not in NO_NETWORKS
    ],
)
def test_a_network_answers_the_same_as_onnx(onnx, trained, name, tmp_path, monkeypatch):
    run = trained(name, normalize=name in {"ppo", "sac"})
    exported = export_policy(run, tmp_path / "out", "onnx")
    assert exported.parity.observations == 10_000
    assert exported.parity.difference <= 1e-5
    text = answers_of_readme(tmp_path / "out", monkeypatch)
    assert re.search(r"\d", text)
    readme = (tmp_path / "out/README.md").read_text("utf-8")
    assert ("normalised inside" in readme) == (name in {"ppo", "sac"})
    # Nothing of this machine is in the file.
    assert str(Path.cwd()).encode() not in exported.file.read_bytes()
    assert b"site-packages" not in exported.file.read_bytes()
    model = onnx.load(exported.file)
    properties = {each.key: each.value for each in model.metadata_props}
    assert properties["algorithm"] == name
    assert properties["policy"] == run.parent.name


@pytest.mark.slow
@pytest.mark.usefixtures("onnx")
@pytest.mark.parametrize(
    ("env_id", "algo", "normalize"),
    [
        ("Image-v0", "dqn", False),
        ("Image-v0", "ppo", False),
        ("Dict-v0", "ppo", True),
        ("Dict-v0", "sac", True),
        ("Components-v0", "ppo", False),
        ("Components-v0", "maskable_ppo", False),
        ("Flags-v0", "ppo", False),
        ("Flags-v0", "maskable_ppo", False),
    ],
)
def test_images_dictionaries_and_components(env_id, algo, normalize, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "OBSERVATIONS", 500)
    sizes = {"n_steps": 20, "batch_size": 20} if "ppo" in algo else {"buffer_size": 300}
    start = {} if "ppo" in algo else {"learning_starts": 10}
    raw = {
        "env": {"id": f"portable_envs:{env_id}", "normalize": normalize},
        "algo": {"name": algo, **sizes, **start},
        "train": {"total_timesteps": 40, "seeds": 1},
        "eval": {"every": 10**6, "final_episodes": 1},
    }
    run = train(config_from_dict(raw), runs_dir=tmp_path / "runs", jobs=1).runs[0].path
    exported = export_policy(run, tmp_path / "out", "onnx")
    assert exported.parity.difference <= 1e-5
    assert answers_of_readme(tmp_path / "out", monkeypatch)


@pytest.mark.usefixtures("onnx")
def test_a_file_that_answers_otherwise_is_not_written(trained, tmp_path, monkeypatch):
    right = onnx_file._predicted
    monkeypatch.setattr(onnx_file, "_predicted", lambda *given: 1 - right(*given))
    with pytest.raises(ConfigError, match="not equal"):
        export_policy(trained("ppo", normalize=True), tmp_path / "out", "onnx")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_table_of_an_agent_answers_the_same_as_json(trained, tmp_path, monkeypatch):
    run = trained("q_learning")
    exported = export_policy(run, tmp_path / "out", "json")
    document = json.loads(exported.file.read_text("utf-8"))
    agent = load_run(run).agent
    values = np.array(document["values"])[document["row_of"]]
    np.testing.assert_array_equal(values, agent.q_table)
    expected, _ = agent.predict(np.array([0]), deterministic=True)
    assert answers_of_readme(tmp_path / "out", monkeypatch).strip() == str(expected[0])


def test_a_table_learned_from_a_log_answers_the_same_as_json(log_runs, tmp_path, monkeypatch):
    exported = export_policy(log_runs[0], tmp_path / "out", "json")
    document = json.loads(exported.file.read_text("utf-8"))
    learner = load_trained(log_runs[0]).learner
    values = np.array(document["values"])[document["row_of"]]
    np.testing.assert_array_equal(values, learner.q_values(np.arange(N_STATES)))
    action = int(answers_of_readme(tmp_path / "out", monkeypatch).split()[0])
    assert action in range(27)


@pytest.mark.parametrize(
    ("name", "form", "words"),
    [
        ("q_learning", "onnx", "--format json"),
        ("a2c", "json", "--format onnx"),
        ("recurrent_ppo", "onnx", "recurrent"),
    ],
)
def test_a_policy_of_the_other_kind_is_refused(request, trained, tmp_path, name, form, words):
    if form == "onnx":
        request.getfixturevalue("onnx")
    with pytest.raises(ConfigError, match=words):
        export_policy(trained(name), tmp_path / "out", form)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_extra_is_named(trained, rl, tmp_path, monkeypatch, package):
    if package != "onnx":
        pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    monkeypatch.setitem(sys.modules, package, None)
    done = rl("export", trained("ppo", normalize=True), "--format", "onnx", "--out", tmp_path / "o")
    assert done.exit_code == 2
    assert "rl-runner[onnx]" in done.message


def test_the_command_says_what_it_wrote(trained, rl, tmp_path):
    run = trained("q_learning")
    done = rl("export", run, "--format", "json", "--out", tmp_path / "out", "--json")
    assert Path(done.document["policy"]).is_file()
    assert Path(done.document["readme"]).is_file()
    done = rl("export", run, "--out", tmp_path / "out")
    assert "--format" in done.message
    done = rl("export", run, "--format", "json", "--window", "7d", "--out", tmp_path / "out")
    assert "--window" in done.message
    shutil.rmtree(tmp_path / "out")
