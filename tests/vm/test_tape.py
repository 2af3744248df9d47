"""Tape drives and a robot of the guest's own kernel, through SG_IO: beside its
drivers st and ch, and Debian's mt, mtx, tar and dd on them.

SPDX-License-Identifier: MIT
"""
import json
import os
import random
import shlex
import time

import pytest

from guest import Guest, refusal
from house import REINSERT, until
from rack import LABELS, Rack, forget, log_in

NOBODY = ("setpriv --reuid 65534 --regid 65534 --groups 26 --inh-caps -all "
          "--bounding-set -all --no-new-privs")
OWN = {"port": "sg", "own": "yes"}
DRIVES = {"d0": {**OWN, "match": "serial:TD001"},
          "d1": {**OWN, "match": "serial:TD002"}}
KIB = 1024
SGMAY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sgmay.py")

# What src/port/sg_answer.c lets through to a tape drive and to a robot, and
# whether the kernel takes it through a node that is open for reading only, from
# a user without CAP_SYS_RAWIO (scsi_cmd_allowed of Linux 6.1).
TAPE = {"00": True, "01": False, "03": True, "05": False, "08": True,
        "0a": False, "10": False, "11": False, "12": True, "15": False,
        "19": False, "1a": True, "1b": True, "1e": False, "2b": True,
        "34": False, "4d": True, "8c": False, "91": False, "92": False}
ROBOT = {"00": True, "07": False, "12": True, "1a": True, "1b": True,
         "1d": False, "1e": False, "2b": True, "37": True, "a5": False,
         "a6": False, "b5": False, "b6": False, "b8": False}


@pytest.fixture(scope="module")
def rack(machine, tmp_path_factory):
    """One for all tests: the robot is left as it was found."""
    one = Rack(tmp_path_factory.mktemp("rack")).start()
    try:
        one.nodes = log_in(machine, one)
        yield one
        forget(machine)
    finally:
        one.kill()


@pytest.fixture
def serve(machine, rack):
    """serve(name, drives, prefix, libraries): ended with the test."""
    made = []

    def start(*words, **more):
        made.append(Guest(machine, *words, **more))
        return made[-1]

    yield start
    for one in made:
        one.end()


@pytest.fixture(scope="module")
def tree(machine):
    """{name: a folder with some files}, as the guest names it."""
    dice = random.Random(7)
    machine.run("mkdir -p tape-tree/one tape-tree/two")
    for folder, sizes in (("one", [0, 1, 40_000]), ("two", [511, 90_000])):
        for n, size in enumerate(sizes):
            with open(machine.path(f"tape-tree/{folder}/{n}"), "wb") as file:
                file.write(dice.randbytes(size))
    return shlex.quote(machine.path("tape-tree"))


@pytest.fixture
def loaded(machine, rack):
    """A tape by the kernel's own hands: loaded("TD001", 1) by mtx, which takes
    it back at the end.  Returns the name of the drive's nodes: st0."""
    robot = rack.nodes["MX0001"][1]
    out = []

    def load(serial, slot):
        number = ["TD001", "TD002"].index(serial)
        machine.run(f"mtx -f /dev/{robot} load {slot} {number}")
        out.append((slot, number))
        return rack.nodes[serial][1]

    yield load
    for slot, number in out:
        machine.run(f"mtx -f /dev/{robot} unload {slot} {number}")


def library(**keys):
    return {"box": {**OWN, "match": "serial:MX0001", "drive": ["d0", "d1"],
                    "min-residence": 0, **keys}}


def tapes(service):
    return json.loads(service.machine.run(service.words(
        "status", "--json")))["tapes"]


# --- drivers ------------------------------------------------------------------


def test_who_has_a_tape_is_named(machine, rack, serve, loaded):
    """... and sent away, and there again at the end."""
    st = loaded("TD001", 1)
    sg = rack.nodes["TD001"][0]
    plain = {"d0": {"port": "sg", "device": f"/dev/{sg}"}}
    says = refusal(machine, "alone", plain,
                   f"driver st of the kernel has {st}: ", "own = yes")
    assert "shared" not in says
    shared = {"d0": {**plain["d0"], "own": "shared"}}
    refusal(machine, "shared", shared, f"has {st}: ")
    robot = {"box": {"port": "sg", "match": "serial:MX0001", "drive": "d0",
                     "state": "/run/robot-state"}}
    refusal(machine, "robot", plain, "driver ch of the kernel has sch0: ",
            "own = yes", libraries=robot)
    job = machine.begin(f"exec 3</dev/n{st}a; echo $$; exec sleep 36000")
    pid = until(lambda: job.output.strip(), "a process")
    refusal(machine, "opened", {"d0": DRIVES["d0"]},
            f"/dev/n{st}a is open in process {pid} (sleep)")
    rows = json.loads(machine.run(f"{REINSERT} drives --json"))["drives"]
    held = {row["serial"]: (row["node"], row["held_by"]) for row in rows}
    assert held["TD001"] == (
        f"/dev/n{st}", f"/dev/n{st}a is open in process {pid} (sleep)")
    assert held["MX0001"] == ("/dev/sch0", "")
    machine.run(f"kill {pid}")
    job.wait()
    # By the kernel's name for it.
    service = serve("owner", {"d0": {**OWN, "device": f"/dev/n{st}"}})
    assert rack.nodes.bound() == ["sc", "", "st"]
    service.kill()
    assert rack.nodes.bound() == ["sc", "", "st"]
    device = f"/dev/{rack.nodes['TD001'][0]}"
    with open(machine.path("owner.conf"), encoding="utf-8") as file:
        text = file.read()
    with open(machine.path("owner.conf"), "w", encoding="utf-8") as file:
        file.write(text.replace(f"/dev/n{st}", device))
    service.start()
    service.stop()
    assert rack.nodes.bound() == ["sc", "st", "st"]


# --- the same tape, by the kernel's driver and by us --------------------------


def test_what_st_wrote_and_what_we_wrote(machine, rack, serve, loaded, tree):
    nst = f"/dev/n{loaded('TD001', 1)}"
    machine.run(f"mt-st -f {nst} rewind && tar cf {nst} -b 128 -C {tree} one && "
                f"tar cf {nst} -b 128 -C {tree} two")
    service = serve("both", {"d0": DRIVES["d0"]})
    until(lambda: tapes(service)[0]["state"] == "ready", "the tape")

    def d(*words):
        return service.words("tape", "d0", *words)

    # What st wrote.
    machine.run(f"{d('read')} | tar df - -C {tree}")
    machine.run(f"{d('read')} | tar df - -C {tree}")
    assert "File number=2, block number=0" in service.do("tape", "d0",
                                                         "status")
    machine.run(f"{d('asf', '1')} && {d('read')} | tar df - -C {tree}")
    job = machine.begin(d("tell"))
    assert job.wait() == 2, job.output
    # What we write behind it: small records, and those of half a MiB.
    machine.run(
        f"{d('eod')} && tar c -C {tree} one two | {d('write')}\n"
        f"head -c {1200 * KIB} /dev/urandom >tape-large\n"
        f"{d('write', '--block-size', '512k')} <tape-large\n"
        f"{d('setblk', '10k')} && head -c {300 * KIB} tape-large | "
        f"{d('write', '--block-size', '10k')} && {d('setblk', '0')}\n"
        f"{d('rewind')}")
    service.stop()
    assert rack.nodes.bound() == ["sc", "st", "st"]
    # To st: each with room for no more than its records have.
    got = machine.run(
        f"mt-st -f {nst} asf 2 && dd if={nst} bs=64k status=none "
        f"count=1 | head -c 512 | strings | head -1\n"
        f"mt-st -f {nst} asf 3 && dd if={nst} bs=512k count=2 status=none | "
        f"cmp -n {1024 * KIB} - tape-large && echo same\n"
        f"mt-st -f {nst} asf 4 && mt-st -f {nst} setblk 10240 && "
        f"dd if={nst} bs=10k status=none | cmp -n {300 * KIB} - tape-large && "
        f"echo same; mt-st -f {nst} setblk 0").split()
    assert got[-2:] == ["same", "same"] and got[0].startswith("one"), got


def test_programs_on_tape_files(machine, rack, serve, loaded, tree):
    loaded("TD002", 2)
    service = serve("files", {"d1": DRIVES["d1"]})
    machine.run(f"mkdir -p /run/tapes && {REINSERT} tape mount --control "
                f"{service.socket} /run/tapes")
    nst, st = "/run/tapes/nst0", "/run/tapes/st0"
    try:
        machine.run(f"tar cf {st} -C {tree} one && tar df {st} -C {tree} && "
                    f"tar rf {st} -C {tree} two && tar df {st} -C {tree}")
        machine.run(f"mt-st -f {nst} eod && find {tree} -type f | "
                    f"cpio -o -B -O {nst} 2>/dev/null && "
                    f"mt-st -f {nst} asf 1 && cpio -t -B -I {nst} "
                    "2>/dev/null | wc -l | grep -x 5")
        # Records that are shorter than the room for them.
        machine.run(f"head -c 213568 /dev/urandom >short && mt-st -f {nst} "
                    f"rewind && dd if=short of={nst} bs=213568 status=none && "
                    f"mt-st -f {nst} rewind && dd if={nst} bs=256k "
                    "status=none | cmp - short")
        assert "BOT ONLINE" in machine.run(f"mt-st -f {st} rewind && "
                                           f"mt-st -f {st} status")
    finally:
        machine.run("fusermount3 -u /run/tapes")


def test_a_drive_is_unplugged_while_it_writes(machine, rack, serve, loaded):
    """... and is another device when it is back."""
    loaded("TD001", 3)
    service = serve("gone", {"d0": DRIVES["d0"]})
    d = service.words
    machine.run(f"rm -f go; head -c {4 << 20} /dev/urandom >tape-data")
    job = machine.begin(f"(head -c {1 << 20} tape-data; until [ -e go ]; do "
                        f"sleep 0.1; done; tail -c +{(1 << 20) + 1} "
                        "tape-data) | " + d("tape", "d0", "write", "--block-size",
                                              "512k"))
    until(lambda: tapes(service)[0]["block"] >= 2, "records on the tape")
    place = rack.nodes.delete("TD001")
    machine.run("touch go")
    prompt = service.wait(lambda s: [p["title"] for p in s["prompts"]] == [
        "Drive gone"], "a question")["prompts"]
    assert "cable" in prompt[0]["text"], prompt
    assert "target" not in prompt[0]["text"], prompt
    assert not job.over()
    rack.nodes.scan(place)
    said = job.good()
    assert f"{4 << 20} bytes" in said, said
    service.no_question()
    assert rack.nodes.bound() == ["sc", "", "st"], "st was let in"
    machine.run(f"{d('tape', 'd0', 'rewind')} && "
                f"{d('tape', 'd0', 'read')} | cmp - tape-data && rm go")


# --- the robot -----------------------------------------------------------------


def where(service):
    rows = json.loads(service.do("library", "list", "--json"))
    return {row["barcode"]: (row["type"], row["number"])
            for row in rows["cartridges"]}


def test_the_robot_loads_and_unloads(machine, rack, serve, tree, tmp_path):
    """Its drives are named in the wrong order, and known all the same."""
    keys = library(state="/run/box-state")
    keys["box"]["drive"] = ["d1", "d0"]
    service = serve("box", DRIVES, libraries=keys)
    assert rack.nodes.bound() == ["", "", ""]
    mtx = service.words("changer", "-f", "box")
    said = machine.run(f"{mtx} status")
    assert said.count(":Full ") == 3 and "2 Drives, 9 Slots" in said
    machine.run(f"{mtx} load 1 0 && {mtx} load 2 1")
    assert rack.truth() == {"TAPE01L6": ("drive", 0),
                            "TAPE02L6": ("drive", 1),
                            "TAPE03L6": ("slot", 3)}
    for drive, folder in (("d0", "one"), ("d1", "two")):
        machine.run(f"tar c -C {tree} {folder} | "
                    f"{service.words('tape', drive, 'write')}")
    # A drive that somebody has open is not emptied under its feet.
    job = machine.begin(f"(head -c 70000 /dev/zero; until [ -e done ]; do "
                        "sleep 0.1; done) | "
                        f"{service.words('tape', 'd0', 'write')}")
    until(lambda: next(t for t in tapes(service)
                       if t["drive"] == "d0")["open"], "a session")
    assert machine.begin(f"{mtx} unload 1 0").wait() != 0
    machine.run("touch done")
    job.good()
    machine.run(f"rm done; {mtx} unload 1 0 && {mtx} unload 2 1 && "
                f"{mtx} transfer 3 5")
    service.stop()
    assert rack.nodes.bound() == ["sc", "st", "st"]
    assert rack.truth() == {"TAPE01L6": ("slot", 1), "TAPE02L6": ("slot", 2),
                            "TAPE03L6": ("slot", 5)}
    # The kernel's own view: mtx through /dev/sch0, st in the other drive.
    machine.run("mtx -f /dev/sch0 transfer 5 3 && mtx -f /dev/sch0 load 2 0")
    st = rack.nodes["TD001"][1]
    machine.run(f"dd if=/dev/n{st} bs=64k count=1 status=none | "
                "head -c 512 | strings | head -1 | grep '^two' && "
                "mtx -f /dev/sch0 unload 2 0")


def test_the_robot_brings_the_next_tape(machine, rack, serve):
    """A set over two blank tapes, and back; nobody is asked."""
    rack.restore()
    service = serve("span", DRIVES, libraries=library(state="/run/span"))
    began = time.monotonic()
    mtx = service.words("changer", "-f", "box")
    machine.run(f"head -c 20000000 /dev/urandom >tape-set; {mtx} load 1 0")
    words = service.words("tape", "d0", "write", "--span", "--label", "SET",
                          "--block-size", "1M")
    machine.run(f"{words} <tape-set")
    machine.run(f"{mtx} unload && {mtx} load 1 1")
    words = service.words("tape", "d1", "read", "--span")
    machine.run(f"{words} | cmp - tape-set")
    assert not service.prompts()
    print(f"\na set over two tapes, written and read: "
          f"{time.monotonic() - began:.0f} s", end="", flush=True)
    full = {label: place for label, place in rack.truth().items()
            if place[0] == "drive"}
    assert list(full.values()) == [("drive", 1)] and "TAPE01L6" not in full
    machine.run(f"rm tape-set; {mtx} unload "
                f"{LABELS.index(list(full)[0]) + 1} 1")


# --- privileges ----------------------------------------------------------------


def table(text):
    return {row.split()[0]: tuple(row.split()[1:])
            for row in text.splitlines()}


def test_without_privileges(machine, rack, serve, tree):
    """Group tape and no capability: what the kernel refuses, and to whom."""
    drivers = {"TD001": "st", "TD002": "st", "MX0001": "ch"}
    places = {s: machine.run("basename $(readlink -f /sys/class/scsi_generic/"
                             f"{rack.nodes[s][0]}/device)").strip()
              for s in drivers}
    for serial in drivers:
        node = f"/dev/{rack.nodes[serial][0]}"
        machine.run(f"chown root:26 {node} && chmod 660 {node}")
    refusal(machine, "tapeown", {"d0": DRIVES["d0"]}, "CAP_DAC_OVERRIDE",
            prefix=NOBODY)
    may = f"{NOBODY} /usr/bin/python3 {shlex.quote(SGMAY)}"
    for serial, rows in (("TD001", TAPE), ("MX0001", ROBOT)):
        node = f"/dev/{rack.nodes[serial][0]}"
        got = table(machine.run(f"{may} {node} {' '.join(rows)}"))
        assert got == {op: ("yes" if known else "EPERM", "yes")
                       for op, known in rows.items()}
    each = "".join(f"echo {places[s]} >/sys/bus/scsi/drivers/{d}/WHAT\n"
                   for s, d in drivers.items())
    machine.run(each.replace("WHAT", "unbind"))
    try:
        plain = {name: {**keys, "own": "no"} for name, keys in DRIVES.items()}
        service = serve("tapeuser", plain, prefix=NOBODY,
                        libraries=library(own="no",
                                          state="/run/tapeuser/recovery/l"))
        machine.run(f"{service.words('changer', '-f', 'box', 'load', '1', '0')}"
                    f" && tar c -C {tree} one | "
                    f"{service.words('tape', 'd0', 'write')} && "
                    f"{service.words('tape', 'd0', 'rewind')} && "
                    f"{service.words('tape', 'd0', 'read')} | tar df - -C "
                    f"{tree} && "
                    f"{service.words('changer', '-f', 'box', 'unload')}")
        caps = machine.run(f"grep -E 'Cap(Eff|Bnd)' /proc/$(cat "
                           f"{service.pid})/status")
        assert caps.count("0000000000000000") == 2
        service.stop()
    finally:
        machine.run(each.replace("WHAT", "bind"))
