"""Every measure that lets a command and its runs start and end quickly, in one place.

Importing torch, SB3 and numba takes a process longer than training a small agent. The milliseconds
are processor time, medians of ten interleaved rounds of `python benchmarks/startup.py` on one busy
machine (two cores of an AMD EPYC); on another machine measure again.

===================================== ====== ====================================================
:func:`start_fork_server`             1,610  per run: it is forked from a process that has loaded
                                             what it needs. That process loads while the command
                                             loads too.
:func:`prepare_fork_server`           270    while that process loads: it collects no garbage.
..                                    640    when it exits: it does not tear down what it loaded.
:func:`collect_rarely`                170    while the command loads: it rarely collects garbage.
..                                    530    when it exits: it does not look for garbage.
:func:`skip_torch_compiler`           890    per process that builds an optimiser: torch's compiler
                                             is not imported.
:func:`import_in_background`           100    at the end: what shows the results is loaded while the
                                             command waits for its runs.
``modules_to_share`` of an algorithm  145    per run of a compiled twin: its modules are loaded.
..                                    850    per run of stock SB3: torch's compiler is loaded, which
                                             its first training step needs.
:mod:`rl_runner.agents.fast.warm_up`  255    per run of a twin: numba's libraries are loaded.
===================================== ====== ====================================================

Two more measures are not in this module: heavy packages are imported inside functions, so that
``rl --help`` imports none of them, and :mod:`rl_runner.compiled` keeps machine code on disk.

This module imports the standard library only, so that using it costs nothing.
"""

import atexit
import contextlib
import gc
import importlib
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator

# Objects made between two collections; Python's default is 700. torch, SB3 and what they import
# make some 400,000 objects, all of which stay.
GC_THRESHOLD = 200_000

# Each library reads its variable when it is loaded. One thread is faster for small networks.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

FORK_SERVER_SETTINGS = "rl_runner.training.processes.fork_server"


def collect_rarely() -> None:
    """Collect garbage rarely in this process, and not at all when it exits.

    With Python's default threshold the collector looks through everything that torch has loaded,
    again and again while it is loaded. A last collection at exit would find nothing to free: frozen
    objects are not looked at.
    """
    gc.set_threshold(GC_THRESHOLD)
    atexit.register(gc.freeze)


def start_fork_server(modules: Iterable[str] = ()) -> None:
    """Start the process that runs are forked from; it loads ``modules`` while this one continues.

    A second call changes nothing while the server is running.

    :param modules: what the runs need: :attr:`.training.task.RunTask.modules`
    """
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([FORK_SERVER_SETTINGS, *modules])
    with _ignoring_interrupts():  # the server inherits this; the launcher handles Ctrl-C
        multiprocessing.forkserver.ensure_running()


def import_in_background(module: str) -> None:
    """Import a module in a thread, while this process waits for others.

    If the import fails, it fails again where the module is needed.
    """
    threading.Thread(target=importlib.import_module, args=(module,)).start()


@contextlib.contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Ignore SIGINT; outside the main thread, where Python forbids that, change nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def prepare_fork_server() -> None:
    """Let this process load and exit without its garbage collector; for the fork server only.

    Everything it loads stays until it exits. A run that is forked from it has a collector again,
    which ignores what was loaded before the fork: looking at those objects would also copy the
    memory that the run shares with the server. A run exits as usual.
    """
    server = os.getpid()

    def freeze() -> None:
        if os.getpid() == server:
            gc.freeze()

    def exit_at_once() -> None:
        """Exit without taking half a million objects apart, while ``rl train | tee`` waits."""
        if os.getpid() == server:
            os._exit(0)

    gc.disable()
    os.register_at_fork(before=freeze, after_in_child=gc.enable)
    atexit.register(exit_at_once)


def skip_torch_compiler() -> None:
    """Keep the first optimiser of this process from importing ``torch._dynamo`` and sympy.

    Some methods of torch's optimisers are exempt from compilation (``torch._disable_dynamo``).
    Their first call imports the compiler only to mark them as exempt. Nothing is compiled with
    torch here, so each of them is marked as its own exempt form beforehand. If a release of torch
    does this in another way, the import happens again and nothing else changes.

    Call it after torch is imported; again after other classes are loaded, it does no harm.
    """
    if "torch" not in sys.modules:  # a table needs none of it
        return
    if "torch._dynamo" in sys.modules:  # already imported; something may compile
        return
    from torch.optim import Optimizer

    for method in vars(Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None:
            vars(plain).setdefault("__dynamo_disable", plain)
