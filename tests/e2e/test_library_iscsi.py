"""A library whose robot and drives nobody here wrote: tgtd's media changer over
its CD drives.

What is shown and done is compared with what the target itself says to another
initiator, and with the bytes of the discs.

SPDX-License-Identifier: MIT
"""
import contextlib
import os
import subprocess
import threading

import pytest

import house
from cut import COMMAND, CUT, DROP, PASS, RESPONSE, Cut
from house import HANG, REINSERT, until, volumes
from tgt import NAME
from tgt_robot import DRIVE, ROBOT, SLOT, Robot

MOVE_MEDIUM = 0xA5
BEGIN = {1: "DISC1", 2: "DISC2", 3: "DISC3"}


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("discs")
    for n in BEGIN:
        volumes.make_iso(str(folder / f"{n}.iso"), f"VOL-{n}")
    return folder


@pytest.fixture
def robot(tmp_path, discs):
    """Outlives the service."""
    r = Robot(tmp_path, BEGIN)
    for n, label in BEGIN.items():
        (r.media / label).write_bytes((discs / f"{n}.iso").read_bytes())
    r.start()
    yield r
    r.kill()


@pytest.fixture
def wire(robot):
    """The way to it; outlives the service, too."""
    cut = Cut(robot.port)
    yield cut
    cut.close()


class Jukebox:
    def __init__(self, serve, robot, port=None, **keys):
        def url(lun):
            return f"iscsi://127.0.0.1:{port or robot.port}/{NAME}/{lun}"
        self.robot = robot
        self.folder = robot.media.parent
        names = [f"d{n}" for n in range(1, robot.drives + 1)]
        self.service = serve(
            {name: {"port": "iscsi", "url": url(n)}
             for n, name in enumerate(names, 1)},
            libraries={"box": {"port": "iscsi", "url": url(ROBOT),
                               "drive": names, "state": self.folder / "state",
                               "min_residence": 0, **keys}})
        self.link = self.folder / "mtx"
        self.link.symlink_to(os.path.abspath(REINSERT))

    def do(self, command, **body):
        return self.service.call(
            "POST", f"/v1/libraries/box/{command}", body)["result"]

    def look(self):
        return self.service.call("GET", "/v1/libraries/box")

    def where(self):
        """{bar code: (kind, number)}, as shown"""
        words = {"mail-slot": "mail"}
        return {e["barcode"]: (words.get(e["type"], e["type"]), e["number"])
                for e in self.look()["elements"] if e["full"]}

    def mtx(self, *words):
        return subprocess.run(
            [self.link, "-f", "box", *words], text=True, capture_output=True,
            env=dict(os.environ, REINSERT_CONTROL=self.service.control),
            timeout=HANG)

    def agree(self):
        assert self.where() == self.robot.truth()


@pytest.fixture
def box(robot, serve):
    return Jukebox(serve, robot)


def disc(robot, label, length):
    return house.bytes_at(robot.media / label, 0x8000, length)


def test_status_is_what_the_target_says(box, robot):
    assert robot.truth() == {f"DISC{n}": ("slot", n) for n in (1, 2, 3)}
    box.agree()
    info = box.look()["library"]
    assert (info["slots"], info["mail_slots"], info["drives"]) == (8, 1, 2)
    assert (info["vendor"].strip(), info["state"]) == ("HP", "ready")
    # Somebody moves them at the library itself, which says nothing of it.
    robot.change(f"element_type=2,address={SLOT + 1},clear_slot=1")
    robot.change(f"element_type=2,address={SLOT + 6},barcode=DISC2,sides=1")
    box.do("refresh")
    box.agree()
    assert box.where()["DISC2"] == ("slot", 7)


def test_transfer_load_read_unload(box, robot, clients):
    result = box.do("transfer", source=2, destination=5)
    assert (result["source_address"], result["destination_address"]) == (
        SLOT + 1, SLOT + 4)
    box.do("transfer", source=5, destination=9)
    assert robot.truth()["DISC2"] == ("mail", 9)
    result = box.do("load", source=3, drive=1)
    assert (result["barcode"], result["destination_address"]) == (
        "DISC3", DRIVE + 1)
    box.service.mounted("VOL-3")
    assert box.service.volume("VOL-3")["drive"] == "d2"
    box.agree()
    assert box.where()["DISC3"] == ("drive", 1)
    client = box.service.client("VOL-3")
    clients.append(client)
    assert client.read(0x8000, 4096) == disc(robot, "DISC3", 4096)
    with pytest.raises(house.ApiError) as error:
        box.do("load", source=1, drive=1)
    assert (error.value.status, error.value.code) == (409, "full")
    assert box.do("unload", drive=1)["destination"] == 3
    box.service.absent("VOL-3")
    box.agree()
    # In the other drive it is the same volume.
    box.do("load", label="DISC3", drive=0)
    box.service.mounted("VOL-3")
    assert client.read(0x8000, 4096) == disc(robot, "DISC3", 4096)
    box.agree()


def test_a_restart_forgets_nothing(box, robot):
    box.do("load", source=2, drive=0)
    before = box.where()
    box.service.stop()
    box.service.process.stdout.close()
    box.service.start()
    box.service.stopped = False
    assert box.where() == before == robot.truth()
    box.service.mounted("VOL-2")
    assert box.do("unload", drive=0)["destination"] == 2
    box.agree()


def test_robot_brings_what_a_client_reads(robot, serve, clients):
    """Three discs, two drives; nobody is asked."""
    box = Jukebox(serve, robot)
    for n in (1, 2, 3):
        box.do("load", source=n, drive=0)
        box.service.mounted(f"VOL-{n}")
        box.do("unload", drive=0)
    mine = [box.service.client(f"VOL-{n}") for n in (1, 2, 3)]
    clients.extend(mine)
    for n, client in list(enumerate(mine, 1)) * 2:
        assert client.read(0x8000, 4096) == disc(
            robot, f"DISC{n}", 4096), n
    assert not box.service.prompts()
    box.agree()


def test_words_of_mtx(box, robot):
    def line(number):
        return box.mtx("status").stdout.splitlines()[number]

    assert line(0) == ("  Storage Changer box:2 Drives, 9 Slots "
                       "( 1 Import/Export )")
    assert line(1) == "Data Transfer Element 0:Empty"
    assert line(3) == ("      Storage Element 1:Full :VolumeTag=" +
                       "DISC1".ljust(32))
    assert box.mtx("load", "1", "0").returncode == 0
    assert line(1) == ("Data Transfer Element 0:Full (Storage Element 1 "
                       "Loaded):VolumeTag = " + "DISC1".ljust(32))
    refused = box.mtx("load", "2", "0")
    assert refused.returncode == 1
    assert "Drive 0 Full (Storage Element 1 loaded)" in refused.stderr
    assert box.mtx("transfer", "2", "8").returncode == 0
    assert box.mtx("unload", "1", "0").returncode == 0
    assert robot.truth() == {"DISC1": ("slot", 1), "DISC2": ("slot", 8),
                             "DISC3": ("slot", 3)}
    box.agree()


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("what, body, end", [
    ("transfer", {"source": 2, "destination": 6}, ("slot", 6)),
    ("load", {"source": 2, "drive": 0}, ("drive", 0))])
def test_session_lost_in_a_motion(wire, serve, robot, what, body, end,
                                  carried_out):
    """It is sent once, and reading says how it ended."""
    box = Jukebox(serve, robot, port=wire.port)
    sent = []

    def rule(pdu, to_target):
        if (to_target and pdu.opcode == COMMAND
                and pdu.cdb[0] == MOVE_MEDIUM):
            sent.append(pdu.task)
            if not carried_out:
                return CUT
        mine = sent and pdu.task == sent[0] and wire.cuts == 0
        return (CUT if mine and pdu.opcode == RESPONSE and not to_target
                else PASS)

    wire.rule = rule
    said = None
    try:
        box.do(what, **body)
    except house.ApiError as error:
        said = error
    assert wire.cuts == 1
    truth = robot.truth()
    assert truth["DISC2"] == (end if carried_out else ("slot", 2))
    assert said or carried_out
    until(lambda: box.look()["library"]["state"] == "ready", "ready")
    until(lambda: box.where() == truth, "what is true")
    assert len(sent) == 1
    # ... and it goes on.
    wire.rule = lambda pdu, to_target: PASS
    if end[0] == "slot" or not carried_out:
        box.do("load", label="DISC2", drive=0)
    box.service.mounted("VOL-2")
    box.agree()


def test_service_ends_in_a_motion(wire, serve, robot):
    """It waits for nobody; its next start finds out."""
    box = Jukebox(serve, robot, port=wire.port)
    sent = []

    def rule(pdu, to_target):
        if to_target and pdu.opcode == COMMAND and pdu.cdb[0] == MOVE_MEDIUM:
            sent.append(pdu.task)
        mine = pdu.task in sent and pdu.opcode == RESPONSE and not to_target
        return DROP if mine else PASS

    def move():
        with contextlib.suppress(Exception):    # its connection may break
            box.do("transfer", source=1, destination=8)

    wire.rule = rule
    thread = threading.Thread(target=move)
    thread.start()
    until(lambda: robot.truth().get("DISC1") == ("slot", 8), "the motion")
    box.service.stop()
    thread.join()
    box.service.process.stdout.close()
    wire.rule = lambda pdu, to_target: PASS
    box.service.start()
    box.service.stopped = False
    until(lambda: box.where() == robot.truth(), "what is true")
    assert len(sent) == 1


def test_robot_away_and_back(box, robot):
    box.do("transfer", source=3, destination=4)
    robot.where = {1: "DISC1", 2: "DISC2", 8: "DISC3"}  # meanwhile
    robot.kill()
    until(lambda: box.look()["library"]["state"] != "ready", "away")
    with pytest.raises(house.ApiError):
        box.do("transfer", source=1, destination=5, timeout=1)
    robot.start()
    until(lambda: box.look()["library"]["state"] == "ready", "back")
    until(lambda: box.where() == robot.truth(), "what is true")
    assert box.where()["DISC3"] == ("slot", 8)


def test_hands_are_not_ours(box):
    with pytest.raises(house.ApiError) as error:
        box.service.call("POST", "/v1/libraries/box/hand",
                         {"what": "open-door"})
    assert error.value.code == "not-supported"
    assert "box is a real one" in error.value.text


def test_a_drive_is_no_robot(robot, serve, tmp_path):
    with pytest.raises(AssertionError) as error:
        serve({"d1": {"port": "iscsi", "url": robot.url(1)}},
              libraries={"box": {**library(robot, tmp_path, "d1"),
                                 "url": robot.url(2)}})
    assert "library box: cannot be started: is no media changer" in str(
        error.value)


def library(robot, tmp_path, *names):
    return {"port": "iscsi", "url": robot.url(ROBOT), "drive": list(names),
            "state": tmp_path / "state"}


def test_drives_that_nobody_named_are_not_used(robot, serve, tmp_path):
    s = serve({"d1": {"port": "iscsi", "url": robot.url(1)}},
              libraries={"box": library(robot, tmp_path, "d1")})
    s.call("POST", "/v1/libraries/box/load", {"source": 2})
    s.mounted("VOL-2")
    with pytest.raises(house.ApiError) as error:
        s.call("POST", "/v1/libraries/box/load", {"source": 1})
    assert "no drive is free" in error.value.text
    assert robot.truth() == {"DISC1": ("slot", 1), "DISC2": ("drive", 0),
                             "DISC3": ("slot", 3)}


def test_more_drives_than_there_are(robot, serve, tmp_path):
    drives = {f"d{n}": {"port": "iscsi", "url": robot.url(n)}
              for n in (1, 2, 9)}
    with pytest.raises(AssertionError) as error:
        serve(drives, libraries={"box": library(robot, tmp_path, *drives)})
    assert "its robot has 2 drives, and 3 are named" in str(error.value)


def test_robot_and_drives_that_come_after_the_service(robot, serve, clients):
    """The target is away at the start: said once, then all goes on by itself;
    what was loaded meanwhile is no secret either."""
    robot.kill()
    box = Jukebox(serve, robot)
    info = box.look()["library"]
    assert info["state"] != "ready" and box.where() == {}
    assert {d["state"] for d in box.service.drives().values()} == {"away"}
    until(lambda: "library box: its robot is away: " in box.service.stderr(),
          "a line")
    with pytest.raises(house.ApiError):
        box.do("load", source=1, drive=0)
    robot.start()
    until(lambda: box.look()["library"]["state"] == "ready", "the library")
    until(lambda: box.where() == robot.truth(), "its elements")
    until(lambda: all(d["state"] == "empty"
                      for d in box.service.drives().values()), "drives")
    until(lambda: "library box: its robot is there now" in box.service.stderr(),
          "a line")
    # Once for each reason: it may be asked before it knows its own name, who
    # may come, and its units.
    told = [line.split(" ", 1)[1] for line in box.service.stderr().splitlines()
            if "its robot is away" in line]
    assert len(told) == len(set(told)), told
    box.do("load", source=3, drive=1)
    box.service.mounted("VOL-3")
    assert box.service.volume("VOL-3")["drive"] == "d2"
    client = box.service.client("VOL-3")
    clients.append(client)
    assert client.read(0x8000, 4096) == disc(robot, "DISC3", 4096)
    assert box.do("unload", drive=1)["destination"] == 3
    box.agree()


def test_volumes_of_before_wait_for_a_robot_that_comes(robot, serve, clients):
    """A restart while the target is away: who reads a volume waits until the
    robot has brought it."""
    box = Jukebox(serve, robot)
    assert "3 looked at, 3 with a volume" in box.do("scan")["text"]
    for kind, number in list(box.where().values()):
        if kind == "drive":
            box.do("unload", drive=number)
    assert box.where() == {f"DISC{n}": ("slot", n) for n in BEGIN}
    box.service.stop()
    box.service.process.stdout.close()
    robot.kill()
    box.service.start()
    box.service.stopped = False
    assert box.look()["library"]["state"] != "ready"
    robot.start()
    until(lambda: box.service.volume("VOL-2") is not None, "the volume")
    client = box.service.client("VOL-2")
    clients.append(client)
    assert client.read(0x8000, 4096) == disc(robot, "DISC2", 4096)
