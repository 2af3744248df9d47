"""mutants.py BUILD [-k NAME] [--check] - mistakes that the campaign must find

Each one of mutants.list: its file is compiled with the mistake, linked in front
of the rest, and the campaign has to fail within its bound.  A mutant that no
longer applies, does not compile, or is not found is an error.  With --check
they are applied and compiled alone: a list that is out of date is found early.

SPDX-License-Identifier: MIT
"""
import argparse
import concurrent.futures
import json
import os
import queue
import re
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
TARGET = "tests/faults/faults"
FAULTS = 20000
SEEDS = 1, 1001, 2001, 3001
HEAD = re.compile(r"^== (P\d) (\w+): (.*): (\S+)$")


class Mutant:
    def __init__(self, promise, name, what, path):
        self.promise, self.name, self.what = promise, name, what
        self.path = path
        self.old, self.new = [], []

    def apply(self):
        """The file with the mistake."""
        old, new = ("\n".join(part).rstrip("\n") + "\n"
                    for part in (self.old, self.new))
        with open(os.path.join(TOP, self.path), encoding="utf-8") as file:
            text = file.read()
        if text.count(old) != 1:
            raise ValueError(f"{self.path} has its text {text.count(old)} "
                             "times; mutants.list is out of date")
        return text.replace(old, new if new.strip() else "")


def read_list():
    mutants, lines = [], None
    with open(os.path.join(HERE, "mutants.list"), encoding="utf-8") as file:
        for line in file.read().split("\n"):
            head = HEAD.match(line)
            if head:
                mutants.append(Mutant(*head.groups()))
                lines = mutants[-1].old
            elif line == "--":
                lines = mutants[-1].new
            elif lines is not None:
                lines.append(line)
    return mutants


def tail_of(text):
    return "\n".join(text.splitlines()[-15:])


class Builder:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        with open(os.path.join(build, "compile_commands.json"),
                  encoding="utf-8") as file:
            self.compile = {}
            for entry in json.load(file):
                path = os.path.realpath(os.path.join(entry["directory"],
                                                     entry["file"]))
                self.compile[path] = shlex.split(entry["command"])

    def link(self):
        listed = subprocess.run(["ninja", "-C", self.build, "-t", "commands",
                                 TARGET], check=True, capture_output=True,
                                text=True).stdout.splitlines()
        return shlex.split(listed[-1])

    def run(self, command):
        done = subprocess.run(command, cwd=self.build, text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise ValueError(tail_of(done.stderr))

    def compiled(self, mutant, flags):
        """The path of the object, without its ending."""
        base = os.path.join(self.folder, f"{mutant.promise}-{mutant.name}")
        source = os.path.join(TOP, mutant.path)
        with open(base + ".c", "w", encoding="utf-8") as file:
            file.write(mutant.apply())
        command = list(self.compile[os.path.realpath(source)])
        for flag, count in (("-MQ", 2), ("-MF", 2), ("-MD", 1)):
            at = command.index(flag)
            del command[at:at + count]
        command[command.index("-o") + 1] = base + ".o"
        command[command.index("-c") + 1] = base + ".c"
        self.run(command[:1] + ["-I", os.path.dirname(source)] + command[1:] +
                 ["-Wno-unused", "-Wno-error", *flags])
        return base

    def check(self, mutant):
        self.compiled(mutant, ["-fsyntax-only"])

    def make(self, mutant):
        base = self.compiled(mutant, [])
        # Before the archives: their own object of that file is not taken.
        command = self.link()
        command[command.index("-o") + 1] = base
        command.insert(command.index("-o") + 2, base + ".o")
        self.run(command)
        return base


def check(builder, mutants):
    """Do they apply, and compile?  How many do not."""
    def one_is_fit(mutant):
        name = f"mutant_{mutant.promise}_{mutant.name}__applied__compiles"
        try:
            builder.check(mutant)
        except (ValueError, KeyError) as error:
            return f"FAILED {name} - {error}"
        return f"PASSED {name}"

    with concurrent.futures.ThreadPoolExecutor() as pool:
        lines = list(pool.map(one_is_fit, mutants))
    print(*lines, sep="\n")
    return sum(line.startswith("FAILED") for line in lines)


def one(builder, mutant, cpus):
    """(found, a line about it)"""
    cpu = cpus.get()
    try:
        program = builder.make(mutant)
        for seed in SEEDS:
            done = subprocess.run(["taskset", "-c", str(cpu), program,
                                   "--faults", str(FAULTS),
                                   "--seed", str(seed)], text=True,
                                  capture_output=True, check=False,
                                  timeout=7200)
            if done.returncode != 0:
                break
    except (ValueError, KeyError, subprocess.TimeoutExpired) as error:
        return False, f"cannot be tried: {error}"
    finally:
        cpus.put(cpu)
    found = re.search(r"^FAILED: (.*)$", done.stdout, re.M)
    after = re.search(r"^(\d+) faults", done.stdout, re.M)
    if done.returncode != 1 or not found or not after:
        return False, "is not found"
    return True, f"{after[1]:>5} faults: {found[1]}"


def main():
    parser = argparse.ArgumentParser(description="mistakes must be found")
    parser.add_argument("build")
    parser.add_argument("-k", default="", help="only those with this in name")
    parser.add_argument("--check", action="store_true",
                        help="only: do they apply, and compile?")
    args = parser.parse_args()
    mutants = [m for m in read_list() if args.k in f"{m.promise} {m.name}"]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        builder = Builder(os.path.abspath(args.build), folder)
        if args.check:
            return 1 if check(builder, mutants) or not mutants else 0
        cpus = queue.SimpleQueue()
        for cpu in os.sched_getaffinity(0):
            cpus.put(cpu)
        with concurrent.futures.ThreadPoolExecutor(cpus.qsize()) as pool:
            results = pool.map(lambda m: one(builder, m, cpus), mutants)
            for mutant, (found, line) in zip(mutants, results):
                print(f"{'found ' if found else 'MISSED'} {mutant.promise} "
                      f"{mutant.name:8} {mutant.what}\n         {line}",
                      flush=True)
                missed += not found
    print(f"{len(mutants)} mutants, {missed} missed")
    return 1 if missed or not mutants else 0


if __name__ == "__main__":
    sys.exit(main())
