"""run-tests.py [--unit | --e2e] [-k WORDS] BUILD - run the tests

Runs the unit tests by meson and the end-to-end tests by pytest, and counts
single test cases of both.  The last line is always

    N passed, N failed, N skipped

and the exit status is 0 when none failed.  tests/conformance/conformance.py
uses run_unit with a tally of its own.

SPDX-License-Identifier: MIT
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CMOCKA = re.compile(r"^\[\s*(RUN|OK|FAILED|SKIPPED|ERROR)\s*\] (\S.*)$", re.M)
PYTEST = re.compile(r"^(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS) (.+)$", re.M)


class Tally:
    def __init__(self):
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.notes = []

    def add(self, outcome, name, reason=""):
        self.counts[outcome] += 1
        if outcome != "passed":
            self.notes.append(f"{outcome.upper()}: {name}"
                              + (f": {reason}" if reason else ""))

    def summary(self):
        return ", ".join(f"{n} {what}" for what, n in self.counts.items())


def cmocka_cases(text):
    """{case: outcome}; a case that began and did not end has failed."""
    cases = {}
    for word, name in CMOCKA.findall(text):
        if re.match(r"\d+ test\(s\)", name):
            continue
        if word == "RUN":
            cases[name] = "failed"
        elif name in cases:
            cases[name] = {"OK": "passed", "SKIPPED": "skipped"}.get(
                word, "failed")
    return cases


def pytest_cases(text):
    cases = {}
    for word, rest in PYTEST.findall(text):
        name = rest.split(" - ")[0]
        outcome = {"PASSED": "passed", "XFAIL": "skipped",
                   "SKIPPED": "skipped"}.get(word, "failed")
        name = name.split("::")[-1] if "::" in name else name
        cases[name] = outcome
    return cases


def count_program(tally, entry):
    text = (entry.get("stdout") or "") + "\n" + (entry.get("stderr") or "")
    name = entry["name"].split(" / ")[-1]
    cases = cmocka_cases(text) or pytest_cases(text)
    result = entry["result"]
    for case, outcome in cases.items():
        tally.add(outcome, f"{name}: {case}")
    good = result in ("OK", "EXPECTEDFAIL", "SKIP")
    if not cases:
        tally.add("skipped" if result == "SKIP" else
                  "passed" if good else "failed", name,
                  "" if result == "OK" else result)
    elif not good and "failed" not in cases.values():
        # It broke outside of any case: a sanitizer, a leak, a crash at exit.
        tally.add("failed", name, result)
    return good


def run_unit(build, tally, quiet=False):
    command = ["meson", "test", "-C", build, "--no-rebuild",
               "--num-processes", str(os.cpu_count() or 2)]
    factor = os.environ.get("REINSERT_SLOW")
    if factor:
        command += ["-t", factor]
    env = dict(os.environ, PYTEST_ADDOPTS="-rA", CMOCKA_MESSAGE_OUTPUT="STDOUT")
    listed = subprocess.run(["meson", "test", "-C", build, "--list",
                             "--no-rebuild"], capture_output=True, text=True)
    if not listed.stdout.strip():
        return
    log = os.path.join(build, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    subprocess.run(command, env=env, check=False,
                   stdout=subprocess.DEVNULL if quiet else None)
    if not os.path.exists(log):
        tally.add("failed", "unit tests", "meson could not run them")
        return
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            entry = json.loads(line)
            if not count_program(tally, entry):
                print(f"--- {entry['name']}: {entry['result']}")
                for key in ("stdout", "stderr"):
                    print("\n".join((entry.get(key) or "")
                                    .splitlines()[-60:]))


def e2e_jobs(words):
    """Two runs side by side: the random swaps take longest."""
    base = ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider",
            "-q", "-rfEs", "--no-header", "--tb=short"]
    folder = os.path.join(TOP, "tests", "e2e")
    swaps = os.path.join(folder, "test_swaps.py")
    if words:
        return [base + ["-k", words, folder]]
    return [base + ["-s", swaps], base + [folder, f"--ignore={swaps}"]]


def count_junit(tally, path):
    try:
        tree = xml.etree.ElementTree.parse(path)
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        tally.add("failed", "end-to-end tests", f"no result: {error}")
        return
    seen = 0
    for case in tree.iter("testcase"):
        name = f"{case.get('classname', '').split('.')[-1]}: {case.get('name')}"
        outcome, reason = "passed", ""
        for child in case:
            if child.tag in ("failure", "error"):
                outcome = "failed"
                reason = (child.get("message") or "").split("\n")[0][:160]
                break
            if child.tag == "skipped":
                outcome, reason = "skipped", child.get("message") or ""
        tally.add(outcome, name, reason)
        seen += 1
    if seen == 0:
        tally.add("failed", "end-to-end tests", "none were run")


def run_e2e(build, tally, words):
    binary = os.path.join(os.path.abspath(build), "front", "cli", "reinsert")
    if not os.path.exists(binary):
        tally.add("failed", "end-to-end tests", f"{binary} was not built")
        return
    env = dict(os.environ, REINSERT=binary, PYTHONDONTWRITEBYTECODE="1")
    with tempfile.TemporaryDirectory(prefix="reinsert-tests-") as folder:
        runs = []
        for n, job in enumerate(e2e_jobs(words)):
            junit = os.path.join(folder, f"{n}.xml")
            out = open(os.path.join(folder, f"{n}.out"), "w+",
                       encoding="utf-8")
            runs.append((subprocess.Popen(
                job + [f"--junitxml={junit}"], env=env, stdout=out,
                stderr=subprocess.STDOUT), out, junit))
        for process, out, junit in runs:
            process.wait()
            out.seek(0)
            print(out.read(), end="", flush=True)
            out.close()
            count_junit(tally, junit)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("-k", dest="words", default="")
    parser.add_argument("--unit", action="store_true")
    parser.add_argument("--e2e", action="store_true")
    args = parser.parse_args()
    tally = Tally()
    begin = time.monotonic()
    if not args.e2e:
        run_unit(args.build, tally)
    if not args.unit:
        run_e2e(args.build, tally, args.words)
    print(f"\ntook {time.monotonic() - begin:.0f} s")
    for note in tally.notes:
        print(note)
    print(tally.summary(), flush=True)
    return 1 if tally.counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
