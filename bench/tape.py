#!/usr/bin/python3
"""tape.py - `reinsert tape write` and `read` beside a pipe and dd

On an emulated drive whose image is on tmpfs, records of 64 KiB and 1 MiB.
Wanted: at least half as fast as `cat FILE | cat`, and not slower than dd on
the same image file by more than a fifth.  With `-q` nobody is told a checksum,
and none is made, as by dd; the rows with `sum` make it.  Runs take turns;
processor time is that of all that is involved, the service too.  Then dd through the tape files
of `reinsert tape mount`, and what a record costs more there: FUSE and the
kernel.

    bench/tape.py REINSERT [MIB] [ROUNDS]

What it finds goes to bench/results/tape.md as well.

SPDX-License-Identifier: MIT
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

REINSERT = os.path.abspath(sys.argv[1])
SIZE_MIB = int(sys.argv[2]) if len(sys.argv) > 2 else 512
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 7
TICK = os.sysconf("SC_CLK_TCK")
RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results",
                       "tape.md")
said = []


def say(line):
    print(line, flush=True)
    said.append(line)


def save():
    with open(RESULTS, "w", encoding="ascii") as file:
        file.write("# Speed of `reinsert tape`\n\n"
                   f"An emulated drive, {SIZE_MIB} MiB on tmpfs, "
                   f"{os.cpu_count()} processors, medians of {ROUNDS} "
                   "alternating runs; load of the machine when it ended: "
                   f"{os.getloadavg()[1]:.1f}.\n\n```\n"
                   + "".join(f"{line}\n" for line in said) + "```\n")


def service_cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13])
                   ) / TICK


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.source = f"{folder}/source"
        self.tape = f"{folder}/a.tap"
        self.image = f"{folder}/dd.img"
        with open(self.source, "wb") as file:
            for _ in range(SIZE_MIB):
                file.write(os.urandom(1 << 20))
        open(self.tape, "wb").close()
        self.env = dict(os.environ, REINSERT_CONTROL=f"{folder}/c.sock")
        with open(f"{folder}/conf", "w", encoding="ascii") as conf:
            conf.write(f"[service]\nnbd = unix:{folder}/n.sock\n"
                       f"control = {folder}/c.sock\n"
                       f"[drive st0]\ntype = tape\nmedium = {self.tape}\n")
        self.service = subprocess.Popen(
            [REINSERT, "serve", "--quiet", "--config", f"{folder}/conf"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.service.stdout:
            if line.startswith("ready"):
                break

        self.files = None
        if os.path.exists("/dev/fuse") and os.geteuid() == 0:
            os.mkdir(f"{folder}/mnt")
            self.files = f"{folder}/mnt"
            self.mounted = subprocess.Popen(
                [REINSERT, "tape", "mount", "-F", self.files], env=self.env,
                stdout=subprocess.DEVNULL)
            while not os.path.exists(f"{self.files}/st0"):
                time.sleep(0.01)

    def end(self):
        if self.files:
            subprocess.run(["fusermount3", "-u", self.files], check=True)
            self.mounted.wait()
        self.service.terminate()
        self.service.wait()

    def cpu(self):
        ours = service_cpu(self.service.pid)
        if self.files:
            ours += service_cpu(self.mounted.pid)
        return ours

    def run(self, command):
        """Seconds on the clock, and of processors."""
        before = os.times(), self.cpu()
        begin = time.monotonic()
        subprocess.run(["sh", "-c", command], env=self.env, check=True,
                       stderr=subprocess.DEVNULL)
        clock = time.monotonic() - begin
        after = os.times(), self.cpu()
        cpu = sum(after[0][2:4]) - sum(before[0][2:4]) + after[1] - before[1]
        return clock, cpu

    def turn(self, record):
        ours = f"{REINSERT} tape st0"
        self.run(f"{ours} rewind")
        rows = {"write": self.run(
            f"{ours} write -q -b {record} < {self.source}")}
        rows["dd write"] = self.run(
            f"dd if={self.source} of={self.image} bs={record}")
        self.run(f"{ours} rewind")
        rows["write, sum"] = self.run(
            f"{ours} write -b {record} < {self.source}")
        self.run(f"{ours} rewind")
        rows["read, sum"] = self.run(f"{ours} read -b {record} > /dev/null")
        self.run(f"{ours} rewind")
        rows["read"] = self.run(f"{ours} read -q -b {record} > /dev/null")
        rows["dd read"] = self.run(
            f"dd if={self.image} of=/dev/null bs={record}")
        self.run(f"{ours} rewind")
        rows["read | cat"] = self.run(
            f"{ours} read -q -b {record} | cat > /dev/null")
        rows["dd read | cat"] = self.run(
            f"dd if={self.image} bs={record} | cat > /dev/null")
        if self.files:
            self.run(f"{ours} rewind")
            rows["dd to nst0"] = self.run(
                f"dd if={self.source} of={self.files}/nst0 bs={record}")
            self.run(f"{ours} rewind")
            rows["dd from nst0"] = self.run(
                f"dd if={self.files}/nst0 of=/dev/null bs={record}")
        rows["cat | cat"] = self.run(f"cat {self.source} | cat > /dev/null")
        return rows


def report(record, turns):
    clock = {row: statistics.median(t[row][0] for t in turns)
             for row in turns[0]}
    cpu = {row: statistics.median(t[row][1] for t in turns)
           for row in turns[0]}
    for row, beside in (("write", "dd write"), ("write, sum", "dd write"),
                        ("read", "dd read"), ("read, sum", "dd read"),
                        ("read | cat", "dd read | cat")):
        rate = SIZE_MIB / clock[row]
        pipe = clock["cat | cat"] / clock[row]
        dd = clock[beside] / clock[row]
        say(f"{row:12} {record:>4}: {rate:6.0f} MiB/s "
              f"({cpu[row]:.2f} s of processors), {pipe:.2f} of a pipe "
              f"({'met' if pipe >= 0.5 else 'missed'}: 0.5), {dd:.2f} of dd "
              f"({'met' if dd >= 1 / 1.2 else 'missed'}: 0.83; "
              f"{SIZE_MIB / clock[beside]:.0f} MiB/s, {cpu[beside]:.2f} s)")


KIB = {"10K": 10, "64K": 64, "1M": 1024}


def report_files(record, turns):
    for row, beside in (("dd to nst0", "write"), ("dd from nst0", "read")):
        if row not in turns[0]:
            say(f"{row}: no /dev/fuse, or not root")
            continue
        records = SIZE_MIB * 1024 / KIB[record]
        clock, cpu = (statistics.median(t[row][i] for t in turns)
                      for i in range(2))
        more = [(clock, cpu)[i] - statistics.median(t[beside][i]
                                                    for t in turns)
                for i in range(2)]
        say(f"{row:12} {record:>4}: {SIZE_MIB / clock:6.0f} MiB/s, a record "
              f"{more[0] / records * 1e6:+.0f} us, of processors "
              f"{more[1] / records * 1e6:+.0f} us, beside `reinsert tape "
              f"{beside}`")


def main():
    shm = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        bench = Bench(folder)
        try:
            for record in KIB:
                bench.turn(record)      # pages that are there for all
                turns = [bench.turn(record) for _ in range(ROUNDS)]
                if record != "10K":     # of tar and dd, for the files alone
                    report(record, turns)
                report_files(record, turns)
            save()
        finally:
            bench.end()


if __name__ == "__main__":
    main()
