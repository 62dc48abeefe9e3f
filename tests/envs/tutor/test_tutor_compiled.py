import subprocess
import sys


def test_neither_importing_nor_making_the_environment_loads_numba():
    code = (
        "import sys, gymnasium, rl_runner.envs; gymnasium.make('Tutor-v0');"
        "print([name for name in ('numba', 'torch', 'pygame') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
