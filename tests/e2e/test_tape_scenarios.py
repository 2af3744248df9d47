"""An operator's and a backup program's life with a library of tapes: the
scenarios where they concern drives, and Bacula's own script.

As in test_scenarios.py each ends with what is really where, status in the words
of mtx, and the JSON status saying the same; what is on a tape is read from its
image by tape_client.objects, which knows nothing of ours.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import subprocess

import pytest

import tapes
from house import HANG, REINSERT, until
from tape_client import MTLOAD, MTWEOF, Later, Tape, TapeError, objects
from test_changer import Bacula
from test_scenarios import HOME, drive_line
from vault import LABELS, Vault, one_sentence


@pytest.fixture
def vault(serve, tmp_path):
    def start(**keys):
        return Vault(serve, tmp_path, drive_type="tape", min_residence=0,
                     **keys)
    return start


def session(v, drive=0, **how):
    return Tape(v.service, f"vault-{drive}", **how)


def on_tape(v, label):
    return objects(v.media / f"{label}.tap")


def tape_info(v, drive=0):
    return next(t for t in v.service.call("GET", "/v1/tapes")["tapes"]
                if t["drive"] == f"vault-{drive}")


def nothing_is_written(v, but=()):
    assert [label for label in HOME if on_tape(v, label)] == list(but)


# --- loads that take their time --------------------------------------------------

def test_S13_a_slow_load_is_waited_for_and_told(vault):
    v = vault(drive_load_ms=2500)
    asked = v.begin("load", 2)
    v.tells("wait", "loading")
    out, err = asked.communicate(timeout=HANG)
    assert (asked.returncode, err) == (0, ""), (out, err)
    # Whoever is told that it is loaded can write.
    with_tape = session(v, fail_without=True)
    with_tape.write(b"at once" * 10)
    with_tape.close()
    assert v.settled()[("drive", 0)] == "LTO002L6"
    assert on_tape(v, "LTO002L6")[0] == b"at once" * 10


def test_S13_longer_than_anybody_waits_is_told_and_nothing_lost(vault):
    v = vault(drive_load_ms=600000, load_timeout=1)
    said = v.fails("load", 2)
    one_sentence(said)
    assert "LTO002L6" in said.all and "in time" in said.all
    assert v.settled()[("drive", 0)] == "LTO002L6"
    assert "(Storage Element 2 Loaded)" in drive_line(v)
    nothing_is_written(v)


# --- drives that hold what they have ------------------------------------------------

def test_S14_a_tape_that_somebody_has_open_stays(vault):
    v = vault()
    v.good("load", 3)
    tape = session(v)
    tape.write(b"kept" * 100)
    said = v.fails("unload")
    one_sentence(said)
    assert "drive 0" in said.all or "vault-0" in said.all, said
    assert v.agree()[("drive", 0)] == "LTO003L6"
    tape.write(b"more" * 100)
    tape.close()
    v.good("unload")
    assert v.settled()[("slot", 3)] == "LTO003L6"
    assert on_tape(v, "LTO003L6") == [b"kept" * 100, b"more" * 100, None]


def test_S14_a_drive_that_does_not_let_go(vault):
    v = vault(fault="at 2 move do sense 5/53/02")
    v.good("load", 2)
    told = json.loads(v.fails("--json", "unload").out)
    assert told["result"]["status_name"] == "STATUS_UNABLE_TO_UNLOAD_MEDIA"
    assert "let the medium go" in told["error"]["text"]
    assert v.settled()[("drive", 0)] == "LTO002L6"
    # The drive has unloaded it: it is loaded again as with mt, can be written,
    # and goes home the next time.
    tape = session(v, no_tape_needed=True)
    tape.op(MTLOAD)
    tape.write(b"still here")
    tape.close()
    v.good("unload")
    assert v.settled()[("slot", 2)] == "LTO002L6"
    assert on_tape(v, "LTO002L6") == [b"still here", None]


@pytest.mark.parametrize("personality", ["reinsert-vendor", "eject-first"])
def test_S14_it_is_unloaded_before_the_robot_takes_it(vault, personality):
    v = vault(personality=personality)
    v.good("load", 2)
    tape = session(v)
    tape.write(b"before")
    tape.close()
    said = v.good("unload")
    assert said.out.endswith("done\n") and not said.err
    assert v.settled()[("slot", 2)] == "LTO002L6"
    assert on_tape(v, "LTO002L6") == [b"before", None]


# --- several commands on a line ----------------------------------------------------

def test_S27_what_follows_a_failure_is_not_done(vault):
    v = vault()
    v.good("load", 3)
    tape = session(v)
    tape.write(b"in use" * 10)
    v.fails("unload", 3, 0, "load", 4, 0)
    truth = v.agree()
    assert truth[("drive", 0)] == "LTO003L6"
    assert truth[("slot", 4)] == "LTO004L6"
    # The tape that stayed lies where it lay.
    tape.write(b"and on" * 10)
    tape.close()
    said = v.good("unload", 3, 0, "load", 4, 0)
    assert said.out == (
        "Unloading drive 0 into Storage Element 3...done\n"
        "Loading media from Storage Element 4 into drive 0...done\n")
    truth = v.settled()
    assert truth[("drive", 0)] == "LTO004L6"
    assert truth[("slot", 3)] == "LTO003L6"
    assert on_tape(v, "LTO003L6") == [b"in use" * 10, b"and on" * 10, None]
    nothing_is_written(v, ["LTO003L6"])


def test_S27_the_first_fails_at_the_drive(vault):
    v = vault(fault="at 2 move do sense 5/53/02")
    v.good("load", 3)
    v.fails("unload", 3, 0, "load", 4, 0)
    truth = v.agree()
    assert truth[("drive", 0)] == "LTO003L6"
    assert truth[("slot", 4)] == "LTO004L6"


def test_S27_status_behind_a_load_is_what_the_robot_says(vault):
    v = vault(fault="at 1 move do wrong-medium")
    said = v.mtx("load", 4, 0, "status")
    # The first has failed, so there is no second.
    assert said.code == 1 and "Storage Changer" not in said.out
    said = v.mtx("unload", "load", 4, 0, "status")
    assert said.code == 0, said
    assert "Data Transfer Element 0:Full (Storage Element 4 Loaded)" \
        ":VolumeTag = LTO004L6" in said.out
    assert "      Storage Element 4:Empty" in said.out
    v.settled()


# --- restarts -------------------------------------------------------------------------

def forget_sources(v):
    v.write({label: (*at[:2], -1) for label, at in v.raw().items()})


def test_S28_restart_and_power_cycle(vault):
    v = vault()
    v.good("transfer", 3, 7, "load", 7)
    tape = session(v)
    tape.write(b"VOL1KILLED" + b" " * 70)
    tape.op(MTWEOF)
    until(lambda: v.element("drive", 0)["home"] == 7, "its home")
    serial = tape_info(v)["serial"]
    assert serial
    v.down(kill=True)
    tape.die()
    forget_sources(v)
    v.up()
    assert v.element("drive", 0)["home"] == 7
    assert "(Storage Element 7 Loaded)" in drive_line(v)
    # The same cartridge, by what its memory says, and its own label.
    until(lambda: tape_info(v)["serial"] == serial, "the serial number")
    tape = session(v, write=False)
    assert tape.read().data == b"VOL1KILLED" + b" " * 70
    tape.close()
    v.good("unload")
    assert v.settled()[("slot", 7)] == "LTO003L6"


def test_S28_another_cartridge_is_in_the_drive(vault):
    v = vault()
    v.good("load", 3)
    tape = session(v)
    tape.write(b"VOL1THREE " + b" " * 70)
    tape.close()
    until(lambda: v.element("drive", 0)["label"] == "THREE", "the ledger")
    v.down(kill=True)
    raw = v.raw()
    raw["LTO003L6"], raw["LTO005L6"] = (2, 2, -1), (4, 0, -1)
    v.write({label: (*at[:2], -1) for label, at in raw.items()})
    v.up()
    assert v.agree()[("drive", 0)] == "LTO005L6"
    v.tells("moved", "LTO005L6")
    assert "(Storage Element 5 Loaded)" in drive_line(v)
    # Nothing that was known of the one is said of the other.
    until(lambda: tape_info(v)["tape"] == "LTO005L6", "what is in the drive")
    assert tape_info(v)["label"] == ""
    tape = session(v, tape="THREE", write=False)
    assert tape.read().data == b"VOL1THREE " + b" " * 70
    tape.close()
    truth = v.settled()
    assert truth[("drive", 0)] == "LTO003L6"
    assert truth[("slot", 5)] == "LTO005L6"


# --- another tape than the one that was asked for ---------------------------------------

def test_S29_another_cartridge_arrives(vault):
    v = vault(fault="at 1 move do wrong-medium")
    said = v.fails("load", 4)
    one_sentence(said)
    assert re.search(r"wrong volume: expected LTO004L6, found LTO00\dL6",
                     said.all), said
    found = re.search(r"found (LTO00\dL6)", said.all)[1]
    truth = v.settled()
    assert sorted(truth.values()) == sorted(HOME)
    assert truth[("slot", 4)] == "LTO004L6"
    assert found in truth.values() and found != "LTO004L6"
    nothing_is_written(v)
    if truth.get(("drive", 0)):
        v.good("unload")
    v.good("load", 4)
    assert v.settled()[("drive", 0)] == "LTO004L6"


def label(v, slot, name):
    v.good("load", slot)
    tape = session(v)
    tape.write(f"VOL1{name:<6}".encode() + b" " * 70)
    tape.close()
    until(lambda: v.element("drive", 0)["label"] == name, "the ledger")
    v.good("unload")


def test_S29_bar_codes_that_do_not_say_what_is_on_the_tapes(vault, tmp_path):
    """Two cartridges were relabelled while nobody looked: what is on the tape
    counts, and nothing is written to the one that is not meant."""
    v = vault()
    label(v, 1, "MONDAY")
    label(v, 2, "FRIDAY")
    v.down()
    paths = [v.media / f"{name}.tap" for name in LABELS[:2]]
    monday, friday = [path.read_bytes() for path in paths]
    for path, data in zip(paths, (friday, monday)):
        path.write_bytes(data)
    v.up()
    # The robot tries what the ledger says, then whatever else there is.
    tape = session(v, tape="MONDAY")
    waits = Later(tape.read)
    answers = []

    def over():
        for prompt in v.service.answer_all("cancel"):
            assert "MONDAY" in prompt["text"], prompt
            answers.append(prompt)
        return not waits.is_alive()
    until(over, "an answer")
    try:
        assert waits.result().data == b"VOL1MONDAY" + b" " * 70
    except TapeError:
        assert answers
    tape.close()
    assert paths[0].read_bytes() == friday
    assert paths[1].read_bytes() == monday


# --- Bacula ---------------------------------------------------------------------------

WHY_NOT = tapes.why_not() or (
    None if subprocess.run(["unshare", "--mount", "true"],
                           check=False).returncode == 0
    else "no mount namespaces here")


@pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
def test_bacula_script_with_tape_drives(vault, clients, tmp_path):
    """Its mtx-changer asks our mtx for motions, and Debian's mt on our tape
    files whether the drive is on line; then labels are written and read."""
    v = vault(drives=2)
    files = tapes.Mounted(v.service, tmp_path / "tapes")
    clients.append(files)
    v.name = "vault"
    v.env = dict(os.environ, REINSERT_CONTROL=v.service.control)
    bacula = Bacula(v, tmp_path, debians_mt=True)
    nodes = [files.path("nst0"), files.path("nst1")]

    def says(*words):
        done = bacula(*map(str, words))
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def reinsert(*words, **more):
        done = subprocess.run([REINSERT, "tape", *words, "--control",
                               v.service.control], capture_output=True,
                              timeout=HANG, check=False, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert says("slots").strip() == "9"
    assert sorted(says("list").split()) == sorted(
        f"{n}:{who}" for who, (_, n) in HOME.items())
    assert [says("loaded", 0, nodes[n], n).strip() for n in (0, 1)] == [
        "0", "0"]
    says("load", 3, nodes[0], 0)
    says("load", 5, nodes[1], 1)
    assert says("loaded", 0, nodes[0], 0).strip() == "3"
    assert says("loaded", 0, nodes[1], 1).strip() == "5"
    assert "3:LTO003L6" in says("list").split()
    rows = [row.rstrip() for row in says("listall").splitlines()]
    assert {"D:0:F:3:LTO003L6", "D:1:F:5:LTO005L6", "S:3:E", "S:5:E",
            "S:1:F:LTO001L6", "I:9:E"} <= set(rows), rows
    # A label each: by the tape file, and by the command line.
    first, second = ([name.encode().ljust(64512, b"."), b"job" * 1000]
                     for name in ("Full-1", "Full-2"))
    with tapes.Tape(nodes[0]) as tape:
        tape.write(first[0])
        tape.op(MTWEOF)
        tape.write(first[1])
    for record in second:
        reinsert("vault-1", "write", "--block-size", "64512", input=record)
    # Somebody has one open: Bacula is told, and does not get it out.
    with tapes.Tape(nodes[0], os.O_RDONLY):
        done = bacula("unload", "3", nodes[0], "0")
        assert done.returncode != 0 and "Error Code=" not in done.stdout
    assert says("loaded", 0, nodes[0], 0).strip() == "3"
    says("unload", 3, nodes[0], 0)
    says("unload", 5, nodes[1], 1)
    # And crosswise back: the tapes, not the drives, have the labels.
    says("load", 3, nodes[1], 1)
    says("load", 5, nodes[0], 0)
    assert reinsert("vault-1", "read") == first[0]
    assert reinsert("vault-1", "read") == first[1]
    with tapes.Tape(nodes[0], os.O_RDONLY) as tape:
        assert tape.read() == second[0]
        assert tape.read() == b""
        assert tape.read() == second[1]
    assert bacula("load", "6", nodes[0], "0").returncode != 0
    says("unload", 5, nodes[0], 0)
    says("unload", 3, nodes[1], 1)
    says("transfer", 3, 7)
    assert v.settled() == {**{at: who for who, at in HOME.items()
                              if who != "LTO003L6"}, ("slot", 7): "LTO003L6"}
    assert on_tape(v, "LTO003L6") == [first[0], None, first[1], None]
    assert on_tape(v, "LTO005L6") == [second[0], None, second[1], None]
