"""Every file and folder name inside a run, in one place.

::

    runs/                      every experiment; .index.json makes `rl runs` fast, .scales.json
                               keeps what was measured of environments
      <name>-<hash8>/          one experiment
        config.yaml            resolved, complete, loadable
        code/                  copies of the user's own modules, as they were when it began
        seed-<k>/              one run
          run.json             status, provenance, results
          events.out.tfevents* TensorBoard
          model.zip | …        the agent at the end of training; its algorithm names the file
          agent.json           its counters: timesteps, updates, exploration rate
          normalization.npz    its observation and return statistics, if it normalises
          log.txt              how the run went: what it reported and what its process printed
          episodes.csv         every finished training episode
          evaluations.npz      every periodic evaluation episode
          .lock                held by the process that trains the run
          .spare               while it trains: space for the last run.json on a full disk
          estimates.png        the judgement by what was held out, of a run that learned from a log
          judged/<log>/        its judgements by other logs: judgement.json and estimates.png
          checkpoints/
            <t>/               all that is needed to resume exactly from t timesteps
            exit-<t>/          the same, where the run was interrupted between two regular ones
            best               a text file: which best-<t>/ is the best agent
            best-<t>/          the agent with the best periodic evaluation
            half-<t>/          the agent halfway through the budget

A checkpoint folder holds the agent's files (as at the end of training) and, to resume from it:
state.json, random.npz, replay_buffer.npz, progress.json, evaluations.npz, and checksums.json over
all of them. An exit checkpoint adds open_episodes.npz and history.npz.
"""

import re
from pathlib import Path

_NUMBER = re.compile("[0-9]{1,19}")
MAX_SEED = 2**63  # not included

# In a folder of experiments
INDEX = ".index.json"
SCALES = ".scales.json"

# In an experiment
CONFIG = "config.yaml"
CODE = "code"
SEED_PREFIX = "seed-"
SEED_FOLDERS = f"{SEED_PREFIX}*"

# In a tuning study, whose other files :mod:`rl_runner.tuning.study.study_folder` names
STUDY_START = "start.yaml"
STUDY_BEST = "best.yaml"
STUDY_TRIALS = "trials"

# In a run
RECORD = "run.json"
LOCK = ".lock"
LOG = "log.txt"
SPARE = ".spare"
CHECKPOINTS = "checkpoints"
EVENTS = "events.out.tfevents*"
EPISODES = "episodes.csv"
EPISODE_COLUMNS = ("timestep", "return", "length", "terminated", "wall_time")
EVALUATIONS = "evaluations.npz"  # in a checkpoint as well

# In a run that learned from a log
JUDGED = "judged"
JUDGEMENT = "judgement.json"
ESTIMATES = "estimates.png"

# Of an agent: at the end in the run's folder, before that in a folder below checkpoints/
SB3_MODEL = "model.zip"  # of SB3's algorithms; others name their file in a registry
COUNTERS = "agent.json"
NORMALIZATION = "normalization.npz"

# Below checkpoints/
BEST = "best"
HALFWAY = "half"
EXIT = "exit"
CHECKSUMS = "checksums.json"
STATE = "state.json"
RANDOM_STATES = "random.npz"
REPLAY_BUFFER = "replay_buffer.npz"
PROGRESS = "progress.json"
OPEN_EPISODES = "open_episodes.npz"
HISTORY = "history.npz"


def experiment_name(name: str, digest: str) -> str:
    """Return the folder name of an experiment, by its config's name and hash."""
    return f"{name}-{digest}"


def seed_name(seed: int) -> str:
    """Return the folder name of a seed's run."""
    return f"{SEED_PREFIX}{seed}"


def seed_number(folder_name: str) -> int:
    """Return the seed in ``seed-7``; -1 for any other name, also for ``seed-07``."""
    seed = number_after(SEED_PREFIX, folder_name)
    is_seed = seed is not None and seed < MAX_SEED and seed_name(seed) == folder_name
    return seed if seed is not None and is_seed else -1


def number_after(prefix: str, name: str) -> int | None:
    """Return the number in a name such as ``best-600``; None for any other name.

    Only the digits 0 to 9 make a number: `str.isdigit` also accepts ``²``, which `int` refuses.
    """
    digits = name.removeprefix(prefix)
    is_number = name.startswith(prefix) and _NUMBER.fullmatch(digits) is not None
    return int(digits) if is_number else None


def recorded_runs(experiment: Path) -> list[Path]:
    """Return the folders of an experiment's runs that have a run.json, by seed."""
    folders = (file.parent for file in experiment.glob(f"{SEED_FOLDERS}/{RECORD}"))
    by_seed = {seed_number(folder.name): folder for folder in folders}
    return [by_seed[seed] for seed in sorted(by_seed) if seed >= 0]
