"""test_tape_library.py - tape drives of a media library: the robot brings what
a session asks for

SPDX-License-Identifier: MIT
"""
import errno
import os
import signal
import time
from pathlib import Path

import pytest

import house
from house import ApiError, steady, until
from tape_client import (FILEMARK, MTOFFL, MTREW, MTWEOF, Later, Tape,
                         TapeError, objects)

LABELS = [f"LTO{n:03}L6" for n in range(1, 7)]


def label_block(name):
    """An ANSI volume label."""
    return f"VOL1{name:<6}".encode() + b" " * 70


class Rack:
    """Eight slots; empty tapes LTO001L6 to LTO006L6 in slots 1 to 6."""

    def __init__(self, serve, tmp_path, drives=1, labels=LABELS, others=None,
                 **keys):
        self.media = tmp_path / "media"
        self.media.mkdir()
        for label in labels:
            (self.media / f"{label}.tap").touch()
        self.service = serve(others or {}, libraries={"rack": dict(
            media=self.media, state=tmp_path / "state", slots=8,
            mail_slots=1, drives=drives, drive_type="tape",
            min_residence=0, **keys)})

    def do(self, command, **body):
        return self.service.call(
            "POST", f"/v1/libraries/rack/{command}", body)["result"]

    def elements(self):
        return self.service.call("GET", "/v1/libraries/rack")["elements"]

    def element(self, kind, number):
        return next(e for e in self.elements()
                    if (e["type"], e["number"]) == (kind, number))

    def where(self):
        return {e["barcode"]: (e["type"], e["number"])
                for e in self.elements() if e["full"]}

    def tape(self, drive=0):
        return next(t for t in self.service.call("GET", "/v1/tapes")["tapes"]
                    if t["drive"] == f"rack-{drive}")

    def open(self, drive=0, **how):
        return Tape(self.service, f"rack-{drive}", **how)

    def on_tape(self, label):
        return objects(self.media / f"{label}.tap")


@pytest.fixture
def rack(serve, tmp_path):
    def start(**keys):
        return Rack(serve, tmp_path, **keys)
    return start


def test_load_write_unload(rack):
    r = rack()
    r.do("load", source=3, drive=0)
    until(lambda: r.tape()["tape"] == "LTO003L6", "the tape is known")
    tape = r.open()
    tape.write(label_block("DAILY1"))
    tape.op(MTWEOF)
    with pytest.raises(ApiError) as refused:
        r.do("unload", drive=0)
    assert refused.value.code == "busy"
    assert r.where()["LTO003L6"] == ("drive", 0)
    tape.close()
    r.do("unload", drive=0)
    assert r.where()["LTO003L6"] == ("slot", 3)
    assert r.on_tape("LTO003L6")[0] == label_block("DAILY1")
    # The ledger knows what is on it.
    r.do("load", source=3, drive=0)
    until(lambda: r.tape()["tape"] == "DAILY1", "the tape is known")
    until(lambda: r.element("drive", 0)["label"] == "DAILY1", "the ledger")
    assert r.element("drive", 0)["identity"].startswith("tape:")


def test_robot_brings_what_is_asked_for_by_bar_code(rack):
    r = rack()
    tape = r.open(tape="LTO004L6", no_tape_needed=False)
    tape.write(b"x" * 1000)
    tape.close()
    assert r.where()["LTO004L6"] == ("drive", 0)
    assert r.on_tape("LTO004L6")[0] == b"x" * 1000
    assert not r.service.prompts()
    tape = r.open(tape="LTO001L6")
    tape.write(b"y" * 1000)
    tape.close()
    assert r.where()["LTO004L6"] == ("slot", 4)
    assert r.where()["LTO001L6"] == ("drive", 0)


def test_robot_brings_what_is_asked_for_by_label(rack):
    r = rack()
    for n, name in [(2, "WEEK01"), (5, "WEEK02")]:
        r.do("load", source=n, drive=0)
        tape = r.open()
        tape.write(label_block(name))
        tape.close()
        until(lambda: r.element("drive", 0)["label"] == name, "the ledger")
        r.do("unload", drive=0)
    for name, label in [("WEEK01", LABELS[1]), ("WEEK02", LABELS[4])]:
        tape = r.open(tape=name, write=False)
        assert tape.read().data == label_block(name)
        tape.close()
        assert r.where()[label] == ("drive", 0)


def test_next_tape_of_a_set(rack):
    r = rack()
    tape = r.open(tape="LTO001L6")
    tape.write(b"first" * 100)
    tape.next("LTO002L6")
    tape.write(b"second" * 100)
    tape.next("", blank=True)
    tape.write(b"third" * 100)
    tape.close()
    assert r.where()["LTO001L6"] == ("slot", 1)
    assert r.where()["LTO002L6"] == ("slot", 2)
    third = next(label for label, at in r.where().items()
                 if at == ("drive", 0))
    assert third not in LABELS[:2]
    assert r.on_tape("LTO001L6")[:2] == [b"first" * 100, None]
    assert r.on_tape("LTO002L6")[:2] == [b"second" * 100, None]
    assert r.on_tape(third)[0] == b"third" * 100
    assert not r.service.prompts()


def test_what_is_nowhere_is_asked_of_a_person(rack):
    r = rack()
    tape = r.open(tape="ARCHIV")
    read = Later(tape.read)
    question = until(r.service.prompts, "a question")[0]
    assert question["volume"] == "ARCHIV"
    r.service.answer(question, "cancel")
    with pytest.raises(TapeError) as error:
        read.result()
    assert error.value.errno == errno.ECANCELED
    tape.close()


def test_two_sessions_two_drives(rack):
    r = rack(drives=2)
    first = r.open(0, tape="LTO001L6")
    second = r.open(1, tape="LTO002L6")
    first.write(b"1" * 500)
    second.write(b"2" * 500)
    first.next("LTO003L6")
    first.write(b"3" * 500)
    first.close()
    second.close()
    assert [r.on_tape(label)[0][:1] for label in LABELS[:3]] == [
        b"1", b"2", b"3"]


def test_a_tape_in_the_other_drive_is_found_there(rack):
    r = rack(drives=2)
    r.do("load", source=6, drive=1)
    tape = r.open(0, tape="LTO006L6")
    tape.write(b"six" * 100)
    tape.close()
    assert r.on_tape("LTO006L6")[0] == b"six" * 100


# --- scenarios of the specification, where they concern tape drives -------------

def test_S13_a_drive_that_loads_slowly_is_waited_for(rack):
    r = rack(drive_load_ms=2500)
    tape = r.open(tape="LTO002L6")
    tape.write(b"late" * 100)
    tape.close()
    assert r.on_tape("LTO002L6")[0] == b"late" * 100


def test_S14_the_drive_lets_go_before_the_robot_takes(rack):
    r = rack(personality="eject-first")
    tape = r.open(tape="LTO002L6")
    tape.write(b"kept" * 100)
    tape.close()
    result = r.do("unload", drive=0)
    assert result["barcode"] == "LTO002L6"
    assert r.where()["LTO002L6"] == ("slot", 2)
    assert r.on_tape("LTO002L6")[:2] == [b"kept" * 100, None]


def test_S14_unloaded_by_its_program_and_then_by_the_robot(rack):
    r = rack()
    tape = r.open(tape="LTO002L6")
    tape.write(b"kept" * 100)
    tape.op(MTOFFL)
    tape.close()
    r.do("unload", drive=0)
    assert r.where()["LTO002L6"] == ("slot", 2)


def test_S15_cleaning_cartridge(rack):
    r = rack(labels=[*LABELS[:2], "CLN001L1"], drive_clean_ms=200,
             clean_ms=200)
    r.do("clean", drive=0)
    assert r.where()["CLN001L1"][0] == "slot"
    tape = r.open(tape="LTO001L6")
    tape.write(b"clean" * 100)
    tape.close()
    assert r.on_tape("LTO001L6")[0] == b"clean" * 100


def test_S28_killed_and_started_again(rack):
    r = rack()
    r.do("load", source=4, drive=0)
    tape = r.open()
    tape.write(label_block("KILLED"))
    tape.op(MTWEOF)
    tape.close()
    until(lambda: r.element("drive", 0)["label"] == "KILLED", "the ledger")
    serial = r.tape()["serial"]
    r.service.kill()
    r.service.start()
    until(lambda: r.where().get("LTO004L6") == ("drive", 0), "the drive")
    assert r.element("drive", 0)["home"] == 4
    until(lambda: r.tape()["serial"] == serial, "the serial number")
    r.do("unload", drive=0)
    assert r.where()["LTO004L6"] == ("slot", 4)
    tape = r.open(tape="KILLED", write=False)
    assert tape.read().data == label_block("KILLED")
    tape.close()


def test_a_tape_that_somebody_else_has_is_said_to_be_in_use(rack):
    r = rack(drives=2)
    other = r.open(1, tape="LTO003L6")
    other.write(b"mine" * 100)
    tape = r.open(0, tape="LTO003L6")
    write = Later(tape.write, b"behind" * 100)
    text = "Tape LTO003L6 is needed. Library rack cannot bring it: it is in " \
        "drive rack-1, which is in use."
    until(lambda: [p["text"] for p in r.service.prompts()] == [text],
          "the question")
    steady(write.waits, "the call")
    other.close()
    # It is there now, at its beginning: whoever asked by name writes there.
    write.result()
    tape.close()
    assert r.on_tape("LTO003L6") == [b"behind" * 100, None]
    assert not r.service.prompts()


@pytest.mark.parametrize("turn", range(6))
def test_S29_another_cartridge_comes_and_is_not_written_on(rack, turn):
    """The session looks at it while the robot wants to take it away again: at
    another moment each time."""
    r = rack(fault="at 1 move do wrong-medium")
    tape = r.open(tape="LTO004L6")
    tape.write(b"only on four" * 10)
    tape.close()
    assert r.on_tape("LTO004L6")[0] == b"only on four" * 10
    for label in LABELS:
        if label != "LTO004L6":
            assert not r.on_tape(label)


def test_a_blank_tape_for_a_drive_outside_is_a_persons_matter(
        serve, tmp_path):
    """A session that is content with any tape takes it in its own drive alone,
    where no robot reaches: a person is asked at once, and nothing is moved."""
    (tmp_path / "out.tap").touch()
    (tmp_path / "next.tap").touch()
    r = Rack(serve, tmp_path,
             others={"out": {"type": "tape", "medium": tmp_path / "out.tap"}})
    tape = Tape(r.service, "out")
    tape.write(b"one" * 100)
    asked = Later(tape.next, "", blank=True)
    text = until(lambda: [p["text"] for p in r.service.prompts()],
                 "the question")
    assert text == ["A blank tape is needed in drive out, which is empty. "
                    "Put it in."]
    assert all(at[0] == "slot" for at in r.where().values())
    r.service.insert("out", tmp_path / "next.tap")
    asked.result()
    tape.write(b"two" * 100)
    tape.close()
    assert objects(tmp_path / "next.tap")[0] == b"two" * 100
    assert all(at[0] == "slot" for at in r.where().values())


def test_a_busy_machine_at_the_end_loses_nothing(rack):
    """The processor is elsewhere for a while, in the middle of the end: that is
    no reason to end by force what still has data to keep."""
    r = rack(drives=2, fault="at 2 move do delay 600000")
    r.do("load", source=1, drive=0)
    tape = r.open(0)
    tape.write(b"kept" * 100)
    moves = Later(r.do, "load", source=2, drive=1)
    until(lambda: r.service.call("GET", "/v1/libraries/rack")["library"]
          ["state"] == "moving", "a motion")
    process = r.service.process
    r.service.stopped = True
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)         # where it is stopped, not what is waited for
    process.send_signal(signal.SIGSTOP)
    time.sleep(1.2)
    process.send_signal(signal.SIGCONT)
    assert process.wait(house.HANG) == 0, r.service.stderr()
    assert "by force" not in r.service.stderr()
    with pytest.raises(Exception):
        moves.result()
    tape.die()
    kept = list(Path(r.service.recovery).glob("*.tap"))
    assert r.on_tape("LTO001L6")[:1] == [b"kept" * 100] or any(
        b"kept" * 100 in path.read_bytes() for path in kept)


def test_a_session_that_reads_goes_on_after_an_exchange(rack):
    r = rack(drives=2)
    tape = r.open(0, tape="LTO001L6")
    for n in range(5):
        tape.write(bytes([n]) * 100)
    tape.op(MTWEOF)
    tape.op(MTREW)
    assert tape.read().data == b"\0" * 100
    assert tape.read().data == b"\1" * 100
    with pytest.raises(ApiError):
        r.do("unload", drive=0)
    for n in range(2, 5):
        assert tape.read().data == bytes([n]) * 100
    assert tape.read().flags & FILEMARK
    tape.close()


@pytest.fixture
def one_processor():
    """Who is told of something is at times faster than who did it."""
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    yield
    os.sched_setaffinity(0, cpus)


@pytest.mark.parametrize("turn", range(40))
def test_a_session_is_over_when_its_end_is_told(rack, one_processor, turn):
    """What was brought for it is nobody's then: the robot may use the drive."""
    r = rack(labels=LABELS[:3])
    tape = r.open(tape="LTO002L6")
    tape.write(label_block(f"TURN{turn:02}"))
    tape.close()
    assert r.do("scan")["text"] == "2 looked at, 2 with a volume"


def test_scan_learns_what_is_on_the_tapes(rack):
    r = rack(labels=LABELS[:3])
    tape = r.open(tape="LTO002L6")
    tape.write(label_block("SCAN02"))
    tape.close()
    r.do("scan")
    known = {e["barcode"]: e["label"] for e in r.elements() if e["full"]}
    assert known["LTO002L6"] == "SCAN02"
    assert set(known) == set(LABELS[:3])
    assert all(e["identity"] for e in r.elements() if e["full"])
