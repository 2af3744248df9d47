#!/usr/bin/python3
#
# iscsi.py - our iSCSI drives beside qemu-nbd with QEMU's iSCSI driver, and
# beside a loop over libiscsi that does nothing else; one tgtd for all three
#
# Each cell is the median of several runs, the three taking turns.  Only ratios
# mean anything: target, server and client share the processors.  Below, what a
# request costs all of them together, which is what remains comparable when
# others use the machine as well.
#
# SPDX-License-Identifier: MIT
import argparse
import os
import statistics
import subprocess
import sys
import tempfile

from bench import Server, make_image

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TOP, "tests", "e2e"), os.path.join(TOP, "tools")]

from tgt import Target  # noqa: E402

WANTED = {"qemu-nbd": 1.2, "libiscsi": 0.9}
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
    tail = [mode, "4096", "32", str(args.seconds)]
    runs = {name: (lambda s=s: load([args.nbdload, "unix:" + s.path, s.export,
                                     *tail], [s.process.pid,
                                              target.process.pid]))
            for name, s in servers.items()}
    runs["libiscsi"] = lambda: load([args.loop, target.url(3), *tail],
                                    [target.process.pid])
    samples = {name: [] for name in runs}
    names = list(runs)
    for turn in range(args.runs):
        for name in names[turn % 3:] + names[:turn % 3]:
            samples[name].append(runs[name]())
    return [{name: statistics.median(one[n] for one in list_)
             for name, list_ in samples.items()} for n in (0, 1)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", required=True)
    parser.add_argument("--nbdload", required=True)
    parser.add_argument("--loop", required=True)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--runs", type=int, default=3)
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
            print(f"{'':28}{'ours':>9}{'qemu-nbd':>10}{'libiscsi':>10}"
                  "  ours/qemu-nbd  ours/libiscsi")
            for mode, text in ROWS:
                got, cpu = measure(args, servers, target, mode)
                ratios = {n: got["ours"] / got[n] for n in WANTED}
                marks = {n: f"{r:.2f}" + (" " if r >= WANTED[n] else " !")
                         for n, r in ratios.items()}
                good &= all(r >= WANTED[n] for n, r in ratios.items())
                print(f"{text:28}{got['ours']:>9.0f}{got['qemu-nbd']:>10.0f}"
                      f"{got['libiscsi']:>10.0f}  {marks['qemu-nbd']:>13}"
                      f"  {marks['libiscsi']:>13}")
                print(f"{'  us of processor each':28}{cpu['ours']:>9.1f}"
                      f"{cpu['qemu-nbd']:>10.1f}{cpu['libiscsi']:>10.1f}"
                      f"  {cpu['qemu-nbd'] / cpu['ours']:>12.2f} "
                      f"  {cpu['libiscsi'] / cpu['ours']:>12.2f}", flush=True)
        finally:
            for server in servers.values():
                server.stop()
            target.kill()
    print("wanted: " + ", ".join(f"{r} of {n}" for n, r in WANTED.items()))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
