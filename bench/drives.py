"""drives.py REINSERT - what a configured drive costs when nothing happens.

Starts the service with one drive and with 1,000, empty and with a medium each,
and prints memory per drive and processor time when idle.  Goals: at most
16 KiB a drive, below 1 % of a processor.

SPDX-License-Identifier: MIT
"""
import os
import subprocess
import sys
import tempfile
import time

IDLE_S = 5


def memory_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file
                    if line.startswith("VmRSS"))


def ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))


def image(folder, number):
    path = os.path.join(folder, f"{number}.img")
    if not os.path.exists(path):
        with open(path, "wb") as file:
            file.write(os.urandom(4096))
            file.truncate(4 << 20)
    return path


def measure(program, folder, count, media):
    config = os.path.join(folder, "drives.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(f"[service]\nnbd = unix:{folder}/nbd.sock\n"
                   f"control = {folder}/control.sock\n")
        for number in range(count):
            file.write(f"[drive d{number}]\n")
            if media:
                file.write(f"medium = {image(folder, number)}\n")
    begin = time.monotonic()
    with subprocess.Popen([program, "serve", "--quiet", "--config", config],
                          stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("ready"):
                break
        started = time.monotonic() - begin
        time.sleep(1)
        kib, before = memory_kib(process.pid), ticks(process.pid)
        time.sleep(IDLE_S)
        busy = ticks(process.pid) - before
        process.terminate()
    return kib, started, 100.0 * busy / os.sysconf("SC_CLK_TCK") / IDLE_S


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        base, _, _ = measure(program, folder, 1, False)
        for media in (False, True):
            kib, started, percent = measure(program, folder, 1000, media)
            print(f"1,000 drives {'with media' if media else 'empty':10}: "
                  f"{(kib - base) / 999:.1f} KiB each, "
                  f"idle {percent:.2f} % of a processor, "
                  f"started in {started:.1f} s")


main()
