import subprocess
import sys

SERVER = """
import gc, os, sys
from rl_runner.startup import prepare_fork_server

prepare_fork_server()

class Large:
    def __del__(self):
        print("taken apart", flush=True)

large = Large()
print("server collects:", gc.isenabled(), flush=True)
if len(sys.argv) > 1:
    if (run := os.fork()) == 0:
        print("run collects:", gc.isenabled(), "all:", gc.get_freeze_count() == 0, flush=True)
        sys.exit(3)
    print("run ended with", os.waitstatus_to_exitcode(os.waitpid(run, 0)[1]), flush=True)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SERVER, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_fork_server_ends_without_taking_apart_what_it_has_loaded():
    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "server collects: False\n", "")


def test_what_is_forked_from_it_collects_only_its_own_and_ends_as_usual():
    lines = run("fork").stdout.splitlines()
    assert lines == [
        "server collects: False",
        "run collects: True all: False",
        "run ended with 3",
    ]
