"""Many workflows, each run by both executors: ``python tests/differential/campaign.py --seeds 0-199 --launcher local``.

Runs on: the machine of the tests.
Called by: a developer; test_differential runs some of its seeds.

A line for each seed says whether anything differs that may not. The folder of a difference is kept, with a copy of
the workflow to make smaller. At the end stands a table of what the workflows were made of.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

from compare import compare, hear_interrupts, keep
from generator import Plan, plan_of
from harness import REFERENCE


def seeds_of(text: str) -> list[int]:
    """Return the seeds that a command line names.

    >>> seeds_of("3-5"), seeds_of("7"), seeds_of("1,9")
    ([3, 4, 5], [7], [1, 9])
    """
    first, _, last = text.partition("-")
    return list(range(int(first), int(last) + 1)) if last else [int(seed) for seed in first.split(",")]


def table_of(plans: list[Plan], different: set[int]) -> str:
    """Return how often each kind of element came, and how often in a workflow with a difference."""
    kinds = [(kind, plan.seed in different) for plan in plans for kind in _kinds(plan)]
    counts, bad = Counter(kind for kind, _ in kinds), Counter(kind for kind, is_bad in kinds if is_bad)
    rows = [["element", "workflows", "with a difference"], ["---"] * 3]
    rows += [[kind, str(counts[kind]), str(bad[kind] or "")] for kind in sorted(counts)]
    rows += [["all", str(len(plans)), str(len(different) or "")]]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _kinds(plan: Plan) -> set[str]:
    found = set()
    for element in plan.elements:
        if element.startswith("states "):
            found |= {f"state {name}" for name in element.split()[1:]}
        else:
            found.add(re.sub(r"^j\d+=", "", element).removesuffix(" in a shadow"))
    return found


def main() -> int:
    """Run the campaign of the command line, and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    hear_interrupts()
    parser.add_argument("--seeds", default="0-199", help="the first and the last, or a list with commas")
    parser.add_argument("--launcher", default="local", help="local, the name of an MPI, or reference: against itself")
    parser.add_argument("--quick", action="store_true", help="with fewer jobs")
    parser.add_argument("--folder", type=Path, help="where the folders of runs go; default: a new one")
    parser.add_argument("--references", type=Path, help="where outcomes of the local executor are kept for a next time")
    options = parser.parse_args()
    launcher = REFERENCE if options.launcher == "reference" else options.launcher
    folder = (options.folder or Path(tempfile.mkdtemp(prefix="differential-"))).resolve()
    plans, different = [], set()
    for seed in seeds_of(options.seeds):
        plan = plan_of(seed, quick=options.quick)
        plans.append(plan)
        started = time.monotonic()
        where = folder / f"{options.launcher}-{seed}"
        found, code = compare(plan, where, launcher, options.references)
        ended = f"exit code {code}, {time.monotonic() - started:.1f} s"
        print(f"{plan}: {'DIFFERENT' if found else 'the same'}, {ended}", flush=True)
        if not found:
            shutil.rmtree(where, ignore_errors=True)
            continue
        different.add(seed)
        for line in found:
            print(f"  {line}", flush=True)
        path = keep(plan, where)
        print(f"  again: python {sys.argv[0].replace('campaign', 'compare')} {path} --launcher {options.launcher}")
    print(table_of(plans, different))
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
