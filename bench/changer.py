#!/usr/bin/python3
"""changer.py - `reinsert changer status` beside mtx on the same library

Both print the inventory of an emulated library: ours asks the service, mtx
sends SCSI commands to an emulation inside its own process (a preloaded SG
node), so it has neither a kernel nor a device to wait for.  Runs take turns.

    bench/changer.py BUILD [SLOTS] [ROUNDS]

SPDX-License-Identifier: MIT
"""
import os
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1])
SLOTS = int(sys.argv[2]) if len(sys.argv) > 2 else 200
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 40
REINSERT = os.path.join(BUILD, "front", "cli", "reinsert")
SGNODE = os.path.join(BUILD, "tests", "changer", "sgnode.so")


def media(folder):
    os.mkdir(folder)
    for n in range(SLOTS * 3 // 4):
        with open(f"{folder}/LTO{n:04}.img", "wb") as image:
            image.truncate(1 << 20)
    return folder


def seconds(words, env):
    begin = time.monotonic()
    subprocess.run(words, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def main():
    with tempfile.TemporaryDirectory() as folder:
        control = f"{folder}/c.sock"
        with open(f"{folder}/conf", "w", encoding="utf-8") as conf:
            conf.write(f"[service]\nnbd = unix:{folder}/n.sock\n"
                       f"control = {control}\n[library vault]\n"
                       f"slots = {SLOTS}\nmail-slots = 4\ndrives = 4\n"
                       f"media = {media(folder + '/ours')}\n"
                       f"state = {folder}/state\n")
        service = subprocess.Popen(
            [REINSERT, "serve", "--config", f"{folder}/conf"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in service.stdout:
            if line.startswith("ready"):
                break
        env = dict(os.environ, REINSERT_CONTROL=control,
                   REINSERT_SG_NODE="/dev/sg9",
                   REINSERT_SG_MEDIA=media(folder + "/real"),
                   REINSERT_SG_STATE=f"{folder}/real.state",
                   REINSERT_SG_SLOTS=str(SLOTS), REINSERT_SG_MAIL="4",
                   REINSERT_SG_DRIVES="4")
        preloaded = dict(env, LD_PRELOAD=SGNODE)
        ours, theirs, empty = [], [], []
        try:
            for _ in range(ROUNDS):
                ours.append(seconds([REINSERT, "changer", "-f", "vault",
                                     "status"], env))
                theirs.append(seconds(["mtx", "-f", "/dev/sg9", "status"],
                                      preloaded))
                # What the emulation costs inside mtx, without an inventory.
                empty.append(seconds(["mtx", "-f", "/dev/sg9", "inquiry"],
                                     preloaded))
        finally:
            service.terminate()
            service.wait()
        # The second line is what a machine that does nothing else would say.
        for what, of in (("median", statistics.median),
                         ("best tenth", lambda x: sorted(x)[len(x) // 10])):
            a, b, c = (of(x) * 1e3 for x in (ours, theirs, empty))
            print(f"status of {SLOTS} slots, {what} of {ROUNDS}: reinsert "
                  f"changer {a:.2f} ms, mtx {b:.2f} ms ({c:.2f} ms of it to "
                  f"start the emulation): ours takes {a / b:.2f} of mtx")


main()
