"""Copies in processes of their own, with the same numbers as in this process.

SB3's ``SubprocVecEnv`` waits for ever when a copy's process ends: after one copy has failed, its
``close`` waits for answers that have already been read. Here every copy counts its answers, and a
copy that fails says why before its process ends.
"""

import contextlib
import faulthandler
import multiprocessing
import os
import select
import signal
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import DupFd, ForkingPickler
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
from stable_baselines3.common.vec_env import CloudpickleWrapper, SubprocVecEnv, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from stable_baselines3.common.vec_env.subproc_vec_env import _worker

from rl_runner.errors import (
    EnvError,
    Problem,
    RunnerError,
    bounded,
    describe_exception,
    describe_exit,
)

CLOSE_SECONDS = 10.0  # that the copies may take to close, all together
MOST_TRACEBACK = 20_000  # characters
PLAIN_VALUES = (
    "Return only what can be pickled (numbers, text, arrays, lists, dictionaries), or use "
    "`env.vec: dummy`, which needs no second process."
)


class Float32SubprocVecEnv(SubprocVecEnv):
    """SB3's SubprocVecEnv with float32 rewards, as DummyVecEnv has them, and with safe failures.

    SB3's own passes on whatever type the environment returned: the same experiment then led to
    different weights than with DummyVecEnv, and integer rewards led to integer returns.

    :raises EnvError: every method, if a copy raises an exception or its process ends
    """

    def __init__(self, env_fns: list[Callable[[], Any]]) -> None:
        """Start one process per copy, forked from a server that has loaded torch once for all."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__, "rl_runner.envs.build"])
        self.waiting = self.closed = False
        # The base class uses `remotes` as if they were connections.
        self.remotes: Any = tuple(_Copy(number, make) for number, make in enumerate(env_fns))
        self.processes = [copy.process for copy in self.remotes]
        try:
            self.remotes[0].send(("get_spaces", None))
            spaces = self.remotes[0].recv()
        except BaseException:
            self.close()
            raise
        VecEnv.__init__(self, len(env_fns), *spaces)

    def step_wait(self) -> VecEnvStepReturn:
        """Collect the results of the copies; rewards (n,) are float32."""
        obs, rewards, dones, infos = super().step_wait()
        return obs, np.asarray(rewards, dtype=np.float32), dones, infos

    def close(self) -> None:
        """Close the copies and end their processes, whatever state they are in."""
        if self.closed:
            return
        self.closed = True
        deadline = time.monotonic() + CLOSE_SECONDS
        # Ask all of them at once, and read what they still answer: a full pipe would block them.
        for copy in self.remotes:
            copy.send(("close", None))
        answering: dict[Any, Connection] = {
            copy.connection: copy.connection for copy in self.remotes
        }
        while answering and (left := deadline - time.monotonic()) > 0:
            for connection in wait(list(answering), left):
                try:
                    answering[connection].recv_bytes()
                except (EOFError, OSError):
                    del answering[connection]
        for copy in self.remotes:
            copy.end(deadline)


class _Copy:
    """One copy of the environment in a process of its own; it stands in for its connection."""

    def __init__(self, number: int, make: Callable[[], Any]) -> None:
        context = multiprocessing.get_context("forkserver")
        self.number = number
        self.connection, theirs = context.Pipe()
        wrapped = CloudpickleWrapper(make)
        # A daemon: it ends with this process, unless that is killed (see `_end_with`).
        self.process = context.Process(
            target=_serve,
            args=(theirs, wrapped, _Descriptor(1), _Descriptor(2)),
            daemon=True,
        )
        self.process.start()
        theirs.close()

    def send(self, message: Any) -> None:
        """Send a request; if the process has ended, :meth:`recv` says so."""
        with contextlib.suppress(OSError):  # it has ended
            self.connection.send(message)

    def recv(self) -> Any:
        """Return the answer to a request.

        :raises EnvError: if the copy raised an exception, its process has ended, or its answer
            cannot be unpickled
        """
        try:
            content = self.connection.recv_bytes()
        except (EOFError, OSError):
            self.process.join(CLOSE_SECONDS)
            how = describe_exit(self.process.exitcode)
            what = f"The process of the environment's copy {self.number} {how}."
            cure = "The end of the run's log.txt may say why; `env.vec: dummy` steps all copies "
            cure += "in the run's own process."
            raise EnvError(Problem(what, "env.vec: subproc", cure)) from None
        try:
            answer = ForkingPickler.loads(content)
        except Exception as why:  # whatever an object of the environment does when it is loaded
            what = f"What copy {self.number} returned cannot be read by the run's process: "
            what += describe_exception(why)
            raise EnvError(Problem(what, "env.vec: subproc", PLAIN_VALUES)) from why
        if not isinstance(answer, _Failure):
            return answer
        error = EnvError(*answer.problems)
        error.add_note(f"In the process of copy {self.number}:\n{answer.traceback}")
        raise error

    def end(self, deadline: float) -> None:
        """End the process, by force if it has not ended at the deadline (monotonic seconds)."""
        self.process.join(max(0.0, deadline - time.monotonic()))
        for force in (self.process.terminate, self.process.kill):
            if self.process.is_alive():
                force()
                self.process.join(1.0)
        self.connection.close()


# --- in the process of a copy ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Failure:
    """An exception in the process of a copy, as text: not every exception can be pickled."""

    problems: tuple[Problem, ...]
    traceback: str


class _Answers:
    """The connection as SB3's worker uses it; what cannot be pickled is named."""

    def __init__(self, connection: Connection) -> None:
        self.recv = connection.recv
        self.close = connection.close
        self._send = connection.send

    def send(self, answer: Any) -> None:
        """Send an answer.

        :raises EnvError: naming the part of it that cannot be pickled
        """
        try:
            self._send(answer)
        except OSError:  # the run is gone
            raise
        except Exception as error:  # pickling may raise anything, and nothing was sent
            parts = " and ".join(_unpicklable(answer)) or "a value"
            what = f"The environment returned {parts}, which another process cannot receive: "
            what += describe_exception(error)
            raise EnvError(Problem(what, "env.vec: subproc", PLAIN_VALUES)) from error


def _unpicklable(answer: Any) -> list[str]:
    """Name the entries of the dictionaries in an answer (infos, mostly) that cannot be pickled."""
    infos = [part for part in answer if isinstance(part, dict)] if type(answer) is tuple else []
    named = []
    for info in infos:
        for key, value in info.items():
            try:
                ForkingPickler.dumps(value)
            except Exception:  # noqa: BLE001 - as above
                named.append(f"`info[{key!r}]` of type {type(value).__name__}")
    return named


class _Descriptor:
    """A file descriptor that keeps its meaning in a process that is being started."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return self._received, (DupFd(self.number),)

    @classmethod
    def _received(cls, duplicate: Any) -> Self:
        return cls(duplicate.detach())


def _serve(
    connection: Connection, make: CloudpickleWrapper, stdout: _Descriptor, stderr: _Descriptor
) -> None:
    """Answer requests until the last one, or until the other end of the connection is closed.

    :param stdout: where the environment's output goes: to the log of the run that uses it
    """
    # Ctrl-C reaches every process of a terminal; the run decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(stdout.number, 1)
    os.dup2(stderr.number, 2)
    faulthandler.enable(file=2)
    threading.Thread(target=_end_with, args=(connection.fileno(),), daemon=True).start()
    no_parent: Any = SimpleNamespace(close=lambda: None)  # SB3 closes the parent's end in its child
    try:
        answers: Any = _Answers(connection)
        _worker(answers, no_parent, make)
    except BaseException as error:  # noqa: BLE001 - whatever it was, the run has to know
        text = bounded("".join(traceback.format_exception(error)), MOST_TRACEBACK)
        problems = (
            error.problems
            if isinstance(error, RunnerError)
            else (Problem(f"The environment's process failed: {describe_exception(error)}"),)
        )
        with contextlib.suppress(OSError):  # the run has ended, too
            connection.send(_Failure(problems, text))


def _end_with(connection: int) -> None:
    """End this process some time after the other end of a connection was closed.

    The main thread notices by itself, unless the environment hangs.
    """
    other_end = select.poll()
    other_end.register(connection, 0)  # only that it was closed, not that something arrived
    other_end.poll()
    time.sleep(CLOSE_SECONDS)
    os._exit(1)
