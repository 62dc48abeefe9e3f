import fcntl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from rl_runner.layout import LOCK
from rl_runner.runs.claim import Claim, is_claimed
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import RunRecord

TAKE_AND_HOLD = """
import sys
from pathlib import Path
from rl_runner.runs.claim import Claim
claim = Claim(Path(sys.argv[1]))
print(claim.take(), flush=True)
sys.stdin.read()
"""

Hold = Callable[[Path], "subprocess.Popen[str]"]


@pytest.fixture
def hold() -> Iterator[Hold]:
    processes: list[subprocess.Popen[str]] = []

    def start(path: Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", TAKE_AND_HOLD, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def _answer(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_second_process_is_refused_until_the_holder_is_killed(tmp_path: Path, hold: Hold):
    path = tmp_path / "exp" / "seed-0"
    holder = hold(path)
    assert _answer(holder) == "True"
    mine = Claim(path)
    assert mine.take() is False

    holder.kill()  # SIGKILL: no handler, no `finally`, runs in the holder
    holder.wait()
    assert mine.take() is True
    assert _answer(hold(path)) == "False"
    mine.release()
    assert _answer(hold(path)) == "True"


def test_the_claim_survives_clearing_the_folder(tmp_path: Path, hold: Hold):
    run = RunFolder(tmp_path)
    assert run.claim()
    run.write_record(RunRecord(status="running"))
    run.clear()
    assert _answer(hold(run.path)) == "False"
    run.release()


def test_a_second_claim_in_the_same_process_is_refused(tmp_path: Path):
    one, other = Claim(tmp_path), Claim(tmp_path)
    assert one.take() is True
    assert other.take() is False
    one.release()
    assert other.take() is True
    other.release()


def test_claiming_creates_the_folder_and_its_parents(tmp_path: Path):
    claim = Claim(tmp_path / "a" / "b" / "seed-7")
    assert not (tmp_path / "a").exists()
    assert claim.take()
    claim.release()
    assert (tmp_path / "a" / "b" / "seed-7").is_dir()


def test_folders_are_claimed_independently(tmp_path: Path):
    first, second = Claim(tmp_path / "seed-0"), Claim(tmp_path / "seed-1")
    assert first.take()
    assert second.take()
    first.release()
    second.release()


def test_a_claim_is_seen_while_another_process_has_it(tmp_path: Path, hold: Hold):
    path = tmp_path / "exp" / "seed-0"
    assert not is_claimed(path)
    holder = hold(path)
    assert _answer(holder) == "True"
    assert is_claimed(path)
    holder.kill()
    holder.wait()
    assert not is_claimed(path)


def test_to_look_whether_a_folder_is_claimed_writes_nothing(tmp_path: Path):
    def state() -> dict[Path, tuple[int, int, int]]:
        stats = {path: path.stat() for path in (tmp_path, *tmp_path.rglob("*"))}
        return {path: (s.st_ino, s.st_size, s.st_mtime_ns) for path, s in stats.items()}

    claim = Claim(tmp_path / "claimed")
    assert claim.take()
    (tmp_path / "never-trained").mkdir()
    before = state()
    assert is_claimed(tmp_path / "claimed")
    assert not is_claimed(tmp_path / "never-trained")
    assert not is_claimed(tmp_path / "nowhere")
    claim.release()
    assert not is_claimed(tmp_path / "claimed")
    assert state() == before


def test_a_folder_that_may_only_be_read_can_be_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    claim = Claim(tmp_path)
    assert claim.take()
    modes: list[str] = []
    opened = Path.open

    def spy(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> IO[Any]:
        modes.append(mode)
        return opened(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", spy)
    assert is_claimed(tmp_path)
    assert modes == ["rb"]
    claim.release()


def test_a_claim_succeeds_while_somebody_looks(tmp_path: Path):
    claim = Claim(tmp_path)
    assert claim.take()
    claim.release()
    with (tmp_path / LOCK).open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        gone = threading.Timer(0.05, fcntl.flock, (looking, fcntl.LOCK_UN))
        gone.start()
        assert claim.take()
        gone.join()
    claim.release()
