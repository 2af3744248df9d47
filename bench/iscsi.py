#!/usr/bin/python3
#
# iscsi.py - our iSCSI drives beside qemu-nbd with QEMU's iSCSI driver, and
# beside a loop over libiscsi that does nothing else; one tgtd for all three
#
# Many short runs, the three taking turns, each time in another order; a ratio
# is the median of those of the turns, for what is measured within seconds is
# disturbed alike.  Only ratios mean anything: target, server and client share
# the processors.  Below, what a request costs all of them together, which is
# what remains comparable when others use the machine as well.  What it finds goes
# to bench/results/iscsi.md as well.
#
# SPDX-License-Identifier: MIT
import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile

from bench import Server, make_image

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TOP, "tests", "e2e"), os.path.join(TOP, "tools")]

from tgt import Target  # noqa: E402

RESULTS = os.path.join(TOP, "bench", "results", "iscsi.md")
WANTED = {"qemu-nbd": 1.2, "libiscsi": 0.9}
WARM_SECONDS = 0.3
ROWS = (("randread", "4 KiB random read, QD32"),
        ("randwrite", "4 KiB random write, QD32"))


def start_ours(args, folder, url):
    path = os.path.join(folder, "ours")
    config = os.path.join(folder, "bench.conf")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"[service]\nnbd = unix:{path}\n"
                   f"control = {folder}/control\n\n"
                   f"[drive bench]\nport = iscsi\nurl = {url}\n")
    return Server("ours", [args.server, "serve", "--config", config], path,
                  ("drive:bench",), os.path.join(folder, "ours.log"))


def start_qemu(folder, url):
    path = os.path.join(folder, "qemu")
    return Server("qemu-nbd",
                  ["qemu-nbd", "-t", "-x", "name", "-e", "8", "-k", path,
                   "--cache=none", "-f", "raw", url],
                  path, ("name",), path + ".log")


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(words, pids):
    """(requests per second, microseconds of processor per request)"""
    before = sum(map(cpu_s, pids))
    out = subprocess.run(words, check=True, capture_output=True,
                         text=True).stdout.split()
    got = dict(zip(out[::2], map(float, out[1::2])))
    used = sum(map(cpu_s, pids)) - before + got["cpu"]
    return got["iops"], used / got["requests"] * 1e6


def measure(args, servers, target, mode):
    """For each peer a list of (rate, cost), one for each turn."""
    tail = [mode, "4096", "32"]
    runs = {name: (lambda seconds, s=s: load(
        [args.nbdload, "unix:" + s.path, s.export, *tail, str(seconds)],
        [s.process.pid, target.process.pid])) for name, s in servers.items()}
    runs["libiscsi"] = lambda seconds: load(
        [args.loop, target.url(3), *tail, str(seconds)], [target.process.pid])
    for run in runs.values():
        run(WARM_SECONDS)
    samples = {name: [] for name in runs}
    orders = list(itertools.permutations(runs))
    for turn in range(args.runs):
        for name in orders[turn % len(orders)]:
            samples[name].append(runs[name](args.seconds))
    return samples


def compare(samples, name, n):
    """How much better ours is, in the middle and at both ends: by rate (0), by
    cost (1)."""
    pairs = [(mine[n], other[n])
             for mine, other in zip(samples["ours"], samples[name])]
    ratios = sorted(b / a if n else a / b for a, b in pairs)
    return statistics.median(ratios), ratios[0], ratios[-1]


lines = []


def say(line):
    lines.append(line)
    print(line, flush=True)


def write_results(args):
    with open(RESULTS, "w", encoding="utf-8") as file:
        file.write("# Speed of iSCSI drives\n\nOne tgtd on tmpfs, "
                   f"{os.cpu_count()} processors, medians of {args.runs} "
                   "turns (and the lowest and highest); load of the machine "
                   f"when it ended: {os.getloadavg()[0]:.1f}.\n\n```\n"
                   + "\n".join(lines) + "\n```\n")


def print_row(text, samples):
    """True: what is wanted was reached."""
    good, names = True, ("ours", *WANTED)
    for n, head in ((0, text), (1, "  us of processor each")):
        middles = [statistics.median(one[n] for one in samples[name])
                   for name in names]
        cells = "".join(f"{middle:>10.{n}f}" for middle in middles)
        for name, wanted in WANTED.items():
            middle, low, high = compare(samples, name, n)
            mark = "!" if n == 0 and middle < wanted else " "
            good &= mark == " "
            cells += f"  {middle:>5.2f}{mark} {f'({low:.2f}-{high:.2f})':13}"
        say(f"{head:26}{cells.rstrip()}")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--nbdload", required=True)
    parser.add_argument("--loop", required=True)
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--size", type=int, default=256 << 20)
    args = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        target, servers = Target(folder), {}
        # A unit for each: nobody takes the other's unit attentions.
        for lun in (1, 2, 3):
            image = os.path.join(folder, f"{lun}.img")
            make_image(image, args.size)
            target.add(lun, image)
        target.start()
        try:
            servers["ours"] = start_ours(args, folder, target.url(1))
            servers["qemu-nbd"] = start_qemu(folder, target.url(2))
            head = "".join(f"{name:>10}" for name in ("ours", *WANTED))
            head += "".join(f"  {'ours/' + name:20}" for name in WANTED)
            say(" " * 26 + head.rstrip())
            for mode, text in ROWS:
                good &= print_row(text, measure(args, servers, target, mode))
        finally:
            for server in servers.values():
                server.stop()
            target.kill()
    say("wanted: " + ", ".join(f"{r} of {n}" for n, r in WANTED.items()))
    write_results(args)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
