import subprocess
import sys

SERVER = """
import os, sys
import rl_runner.training.fork_server

class Large:
    def __del__(self):
        print("taken apart", flush=True)

large = Large()
if len(sys.argv) > 1 and os.fork() == 0:
    sys.exit()  # a run ends as every process does
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SERVER, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_fork_server_ends_without_taking_apart_what_it_has_loaded():
    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_forked_from_it_ends_as_usual():
    assert run("fork").stdout == "taken apart\n"
