"""Train in generated environments that break their contract, and count how the commands end.

    python benchmarks/contract_breaches.py --count 300

Every environment follows from its number (tests/cases/breaching_envs.py). A traceback, or a
command that takes longer than thirty seconds, is a fault of rl_runner and listed with the number.
"""

import argparse
import collections
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "cases"))

import rl_runner.training.commands.check as check_module


def main() -> None:
    """Run the environments and print the figures."""
    from breach_trial import MOST_SECONDS, try_breach

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    check_module.PROBE_SECONDS, check_module.MAX_PROBE_SECONDS = 0.1, 1.0
    warnings.simplefilter("ignore")

    endings: collections.Counter[str] = collections.Counter()
    faults: list[str] = []
    longest = 0.0
    for n in range(arguments.first, arguments.first + arguments.count):
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome = try_breach(n, Path(folder))
            except Exception:  # noqa: BLE001 - what is looked for
                faults.append(f"{n}: {traceback.format_exc()}")
                continue
        for command in ("check", "train", "evaluate", "baseline"):
            endings[f"{command} {getattr(outcome, command)}"] += 1
        longest = max(longest, outcome.seconds)
        if outcome.seconds > MOST_SECONDS:
            faults.append(f"{n}: took {outcome.seconds:.0f} s")
    print(f"{arguments.count} environments, {len(faults)} faults, longest {longest:.1f} s")
    for ending, count in sorted(endings.items()):
        print(f"{count:5d}  {ending}")
    for fault in faults:
        print(fault)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
