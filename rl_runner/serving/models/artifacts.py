"""Model versions on disk: a run's files copied into a folder that is named by their digest.

::

    models/3f9a1c2e77aa/
      version.json        manifest: digest, hashes, provenance, metrics
      golden.npz          a batch of inputs with the answers that belong to them
      run/config.yaml     the experiment …
      run/seed-0/…        … and its agent, as `rl train` wrote them

A version is verified before it is used: every file must have its hash, and the golden batch must
have its answers. Nothing is unpickled.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from rl_runner.agents.registry import find_algorithm
from rl_runner.arrays import load_arrays, save_arrays
from rl_runner.config import ExperimentConfig, load_config
from rl_runner.errors import CheckpointError, CodeError, Problem, RunFolderError, RunnerError
from rl_runner.layout import CONFIG, COUNTERS, NORMALIZATION, RECORD
from rl_runner.offline.learning.learners import find_learner
from rl_runner.runs.disk import flush_to_disk, writing
from rl_runner.runs.find import find_runs
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.provenance import now
from rl_runner.serving.models.protocol import Model

MANIFEST = "version.json"
GOLDEN = "golden.npz"
RUN = "run"
ID_LENGTH = 12  # hex digits of the digest
TOLERANCE = 1e-6

Kind = Literal["log", "agent"]
LoadModel = Callable[[Kind, Path], Model]


class Manifest(BaseModel):
    """What is known of a version."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    format: Literal[1] = 1
    version: str  # the first digits of the digest
    digest: str  # SHA-256 over the names and hashes of the run's files
    kind: Kind
    policy_id: str  # the experiment's folder name
    algorithm: str
    env: str
    seed: int
    registered: str
    run: str  # where it was registered from
    files: dict[str, str]  # relative path → SHA-256
    metrics: dict[str, Any]
    provenance: dict[str, Any]


@dataclass(frozen=True)
class Artifact:
    """A version's folder with its manifest."""

    folder: Path
    manifest: Manifest

    @property
    def version(self) -> str:
        """The version's name."""
        return self.manifest.version

    @property
    def run(self) -> Path:
        """The copied run."""
        return self.folder / RUN / f"seed-{self.manifest.seed}"


def find_run(path: Path) -> Path:
    """Return a run: the one that is named, or the only one of an experiment.

    :raises RunFolderError: if there are several, or none
    """
    runs = find_runs(path)
    if len(runs) > 1:
        what = f"This experiment has {len(runs)} runs."
        raise RunFolderError(Problem(what, str(path), f"Name one: {runs[0]}."))
    return runs[0]


def make_artifact(run: Path, models: Path, load: LoadModel) -> Artifact:
    """Copy a finished run into ``models`` as an immutable version.

    The same run is always the same version.

    :raises RunnerError: if it is not a finished run, or cannot be loaded
    """
    # What identifies the run.
    config = load_config(run.parent)
    sources = _sources(run, config)
    hashes = {name: _sha256(source) for name, source in sources.items()}
    listed = "".join(f"{name}\0{hashes[name]}\n" for name in sorted(hashes))
    digest = hashlib.sha256(listed.encode()).hexdigest()
    place = models / digest[:ID_LENGTH]
    if place.exists():
        return read_artifact(place)
    # Copy, and ask the copy for the answers to the golden batch.
    with writing(models):
        models.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".new-", dir=models))
    try:
        with writing(place):
            for name, source in sources.items():
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, aside / name)
        manifest = _manifest(run, config, digest, hashes)
        model = load(manifest.kind, aside / RUN / run.name)
        inputs = model.golden_inputs()
        save_arrays(aside / GOLDEN, {**inputs, "answers": model.answers(inputs)})
        manifest = manifest.model_copy(
            update={"files": {**hashes, GOLDEN: _sha256(aside / GOLDEN)}}
        )
        _put_in_place(aside, place, manifest)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Artifact(place, manifest)


def _sources(run: Path, config: ExperimentConfig) -> dict[str, Path]:
    """Return the files that belong to a finished run's agent, by their names in a version."""
    is_log = config.data is not None
    where = config.source.locate(("algo", "name"))
    row = find_learner(config) if is_log else find_algorithm(config.algo.name, where)
    record = RunFolder(run, row.weights_file).read_record()
    if record is None or not record.is_finished:
        cure = "Finish it first: `rl train` on its config resumes it."
        raise RunFolderError(Problem("This run is not finished.", str(run), cure))
    inside = f"{RUN}/{run.name}"
    found = {f"{RUN}/{CONFIG}": run.parent / CONFIG, f"{inside}/{RECORD}": run / RECORD}
    for name in (row.weights_file, COUNTERS, NORMALIZATION):
        if (run / name).is_file():
            found[f"{inside}/{name}"] = run / name
    if f"{inside}/{row.weights_file}" not in found:
        what = f"The run's agent is missing: {row.weights_file}."
        raise CheckpointError(Problem(what, str(run), "`rl train` on its config trains it again."))
    return found


def _manifest(run: Path, config: ExperimentConfig, digest: str, hashes: dict[str, str]) -> Manifest:
    # The scores that the run recorded, and what they rest on.
    record = RunFolder(run).read_record()
    assert record is not None  # noqa: S101 - see _sources
    results = {} if record.results is None else record.results.to_json()
    metrics: dict[str, Any] = {
        name: results[name] for name in ("last", "judgement", "checklist") if name in results
    }
    # Where the policy comes from: its config, code and, if it learned from one, its log.
    data = config.data
    provenance: dict[str, Any] = {
        "config_hash": record.config_hash,
        "started": record.started,
        "finished": record.finished,
        "versions": dict(record.versions),
        "git": None if record.git is None else record.git.to_json(),
    }
    if data is not None and "log" in results:
        provenance["log"] = {
            "fingerprint": data.fingerprint,  # hash of the events
            "window": list(results["log"]["window"]),
            "interactions": results["log"]["interactions"],
        }
    # The version's name follows from its content.
    return Manifest(
        version=digest[:ID_LENGTH],
        digest=digest,
        kind="agent" if data is None else "log",
        policy_id=run.parent.name,
        algorithm=config.algo.name,
        env=config.env.id,
        seed=int(run.name.removeprefix("seed-")),
        registered=now(),
        run=str(run),
        files=hashes,
        metrics=metrics,
        provenance=provenance,
    )


def _put_in_place(aside: Path, place: Path, manifest: Manifest) -> None:
    """Make a version durable, and let it appear whole."""
    with writing(place):
        text = json.dumps(manifest.model_dump(), indent=2, ensure_ascii=False) + "\n"
        (aside / MANIFEST).write_text(text, encoding="utf-8")
        for file in (*manifest.files, MANIFEST):
            os.chmod(aside / file, 0o444)  # noqa: PTH101 - immutable
            flush_to_disk(aside / file)
        aside.chmod(0o755)
        aside.rename(place)
        flush_to_disk(place.parent)


def read_artifact(folder: Path) -> Artifact:
    """Read the manifest of a version.

    :raises CheckpointError: if it is missing or damaged
    """
    file = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        reason = getattr(error, "strerror", None) or "it is not a manifest of this version"
        raise _damaged(folder, f"{MANIFEST}: {reason}") from None
    return Artifact(folder, manifest)


def load_artifact(artifact: Artifact, load: LoadModel) -> Model:
    """Verify a version and load its model.

    :raises CheckpointError: if a file was changed, or the golden batch has other answers, which
        may be the fault of code that is no longer the one it was made with
    :raises CodeError: if code that it needs is missing, or was changed while this process ran
    """
    # Every file, by its hash.
    for name, expected in artifact.manifest.files.items():
        try:
            actual = _sha256(artifact.folder / name)
        except OSError as error:
            raise _damaged(artifact.folder, f"{name}: {error.strerror}") from None
        if actual != expected:
            raise _damaged(artifact.folder, f"{name} has been changed")
    # The model, by its answers.
    try:
        model = load(artifact.manifest.kind, artifact.run)
    except CodeError:  # it says what has changed; no file of the version has
        raise
    except RunnerError as error:
        raise _damaged(artifact.folder, str(error)) from error
    arrays = load_arrays(artifact.folder / GOLDEN)
    expected_answers = arrays.pop("answers")
    answers = model.answers(arrays)
    if answers.shape != expected_answers.shape or not np.allclose(
        answers, expected_answers, rtol=TOLERANCE, atol=TOLERANCE
    ):
        reason = "its answers to the golden batch have changed"
        if not model.note:
            raise _damaged(artifact.folder, reason)
        what = f"The model version is not what was registered: {reason}. {model.note}"
        cure = "Restore the code, or train again with it and register that run."
        raise CheckpointError(Problem(what, str(artifact.folder), cure))
    return model


def _damaged(folder: Path, reason: str) -> CheckpointError:
    what = f"The model version is damaged: {reason}."
    cure = "Register the run again after removing this version: `rl models remove`, `register`."
    return CheckpointError(Problem(what, str(folder), cure))


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
