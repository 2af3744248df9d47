"""t_seed.py PROGRAM - one seed gives one run, whatever is traced meanwhile, and
whoever runs its rounds

SPDX-License-Identifier: MIT
"""
import os
import re
import subprocess
import sys


def run(seed, *words, **env):
    done = subprocess.run([sys.argv[1], "--faults", "300", "--seed", seed,
                           *words], env=dict(os.environ, **env), text=True,
                          check=False, capture_output=True)
    found = re.search(r"^seed \d+, trace (\w+)$", done.stdout, re.M)
    if done.returncode != 0 or not found:
        sys.exit(done.stdout + done.stderr)
    return found[1]


def main():
    first = run("7")
    if run("7") != first:
        sys.exit("the same seed gave another run")
    if run("7", REINSERT_TRACE="all", SOMETHING="else" * 100) != first:
        sys.exit("tracing changes the run")
    if run("8") == first:
        sys.exit("another seed gave the same run")
    print("PASSED one_seed__one_run")
    if run("7", "--rounds", "3", "--jobs", "2") != run("7", "--rounds", "3"):
        sys.exit("rounds depend on who runs them")
    print("PASSED rounds__given_out__the_same")


if __name__ == "__main__":
    main()
