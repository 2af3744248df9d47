"""A library of this machine: robot and drives through Linux's SG_IO.

No kernel here has one, so it is made (sgbox.py): the robot is behind /dev/sg70,
its drives are behind the nodes after it.

SPDX-License-Identifier: MIT
"""
import os
import subprocess
import threading
import time
from http.client import HTTPException

import pytest

import house
from house import HANG, REINSERT, volumes
from sgbox import Box

LABELS = [f"SG{n}" for n in range(1, 5)]
DEVICES = [{"kind": 8, "model": "MEDIA LIBRARY", "serial": "MXA0000001"},
           {"kind": 0, "serial": "HUX0000001"},
           {"kind": 0, "serial": "HUX0000002"}]


class Machine:
    """drives: the drives' sections, in the order of the configuration, by the
    numbers that the robot gives them.  late: nodes that are not there yet."""

    def __init__(self, serve, tmp_path, monkeypatch, order=(0, 1), fault=None,
                 move_ms=0, late=(), **keys):
        self.folder = tmp_path
        self.media = tmp_path / "media"
        if not self.media.exists():
            self.media.mkdir()
            for label in LABELS:
                volumes.make_fat(str(self.media / f"{label}.img"), label, 8)
        again = (tmp_path / "sys").exists()
        self.box = Box(
            tmp_path, monkeypatch, FAULT=fault, MOVE_MS=move_ms, SLOTS=8,
            MEDIA=self.media, STATE=tmp_path / "library.state", MAIL=1)
        for n in () if again else {0, 1, 2} - set(late):
            self.box.make(n, **DEVICES[n])
        names = [f"d{n}" for n in order]
        self.service = serve(
            {f"d{n}": {"type": "disk", "port": "sg",
                       "match": f"path:9:0:{n + 1}:0"} for n in order},
            libraries={"box": {"port": "sg", "match": "path:9:0:0:0",
                               "drive": names, "state": tmp_path / "state",
                               "min_residence": 0, **keys}})

    def plug(self, n):
        self.box.plug(n, **DEVICES[n])

    def do(self, command, **body):
        return self.service.call(
            "POST", f"/v1/libraries/box/{command}", body)["result"]

    def look(self):
        return self.service.call("GET", "/v1/libraries/box")

    def where(self):
        return {e["barcode"]: (e["type"], e["number"])
                for e in self.look()["elements"] if e["full"]}


@pytest.fixture
def machine(serve, tmp_path, monkeypatch):
    def start(**keys):
        return Machine(serve, tmp_path, monkeypatch, **keys)
    return start


def test_status_load_read_unload(machine, clients):
    m = machine()
    assert m.where() == {label: ("slot", n)
                         for n, label in enumerate(LABELS, 1)}
    info = m.look()["library"]
    assert (info["slots"], info["mail_slots"], info["drives"]) == (8, 1, 2)
    m.do("load", source=3, drive=1)
    m.service.mounted("SG3")
    assert m.service.volume("SG3")["drive"] == "d1"
    assert m.where()["SG3"] == ("drive", 1)
    client = m.service.client("SG3")
    clients.append(client)
    assert client.read(0, 4096) == house.bytes_at(
        m.media / "SG3.img", 0, 4096)
    client.write(1 << 20, b"x" * 4096)
    assert m.do("unload", drive=1)["destination"] == 3
    m.service.absent("SG3")
    # Flushed before it left.
    assert house.bytes_at(m.media / "SG3.img", 1 << 20, 4096) == b"x" * 4096
    m.do("transfer", source=3, destination=9)
    assert m.where()["SG3"] == ("mail-slot", 9)


def test_robot_brings_what_a_client_reads(machine, clients):
    m = machine()
    assert "4 looked at, 4 with a volume" in m.do("scan")["text"]
    for label in LABELS:
        client = m.service.client(label)
        clients.append(client)
        assert client.read(0, 512) == house.bytes_at(
            m.media / f"{label}.img", 0, 512)
    assert m.service.prompts() == []


def test_words_of_mtx(machine):
    m = machine()
    link = m.folder / "mtx"
    link.symlink_to(os.path.abspath(REINSERT))
    said = subprocess.run(
        [link, "-f", "/dev/box", "load", "2", "0", "status"], text=True,
        env=dict(os.environ, REINSERT_CONTROL=m.service.control),
        capture_output=True, timeout=HANG, check=True).stdout
    assert "Data Transfer Element 0:Full (Storage Element 2 Loaded)" in said


def test_service_ends_in_a_motion_that_cannot_be_taken_back(machine):
    m = machine(move_ms=3600000)

    def load():
        with pytest.raises((house.ApiError, OSError, HTTPException)):
            m.do("load", source=1, drive=0)
    waits = threading.Thread(target=load)
    waits.start()
    house.until(lambda: m.look()["library"]["state"] == "moving", "a motion")
    m.service.stop()
    assert m.service.process.returncode == 0, m.service.stderr()
    waits.join()
    # The emulation ended with the service, its arm in mid-air.
    m = machine()
    house.until(lambda: "a motion of cartridge SG1 was interrupted" in
                m.service.stderr(), "what became of it")
    assert m.where()["SG1"] == ("slot", 1)


def test_a_drive_is_no_robot(machine):
    with pytest.raises(AssertionError) as error:
        machine(match="path:9:0:1:0")
    assert "is no media changer (device type 00)" in str(error.value)


def loaded_where_it_should(m):
    drives = {e["number"]: (e["drive"], e["drive_serial"])
              for e in m.look()["elements"] if e["type"] == "drive"}
    assert drives == {0: ("d0", "HUX0000001"), 1: ("d1", "HUX0000002")}
    m.do("load", source=1, drive=1)
    m.service.mounted("SG1")
    assert m.service.volume("SG1")["drive"] == "d1"
    m.do("load", source=2, drive=0)
    m.service.mounted("SG2")
    assert m.service.volume("SG2")["drive"] == "d0"


def test_drives_are_known_by_their_serial_numbers(machine):
    """... in whichever order they are named."""
    m = machine(order=(1, 0))
    loaded_where_it_should(m)
    house.until(lambda: "box: its drives, by their serial numbers: 0 is d0, "
                "1 is d1" in m.service.stderr(), "a line")


def test_drives_of_a_library_that_was_not_ready_at_the_start(machine):
    began = time.monotonic()
    m = machine(order=(1, 0), fault="at 1 tur do becoming-ready 4000",
                poll_interval=1)
    seen = m.look()["library"]["state"], m.where()
    if time.monotonic() - began < 4:
        assert seen[0] != "ready" and seen[1] == {}, seen
    house.until(lambda: m.look()["library"]["state"] == "ready",
                "the library")
    house.until(lambda: m.where(), "its elements")
    loaded_where_it_should(m)


def test_a_drive_that_is_named_without_those_before_it(machine):
    with pytest.raises(AssertionError) as error:
        machine(order=(1,))
    assert ("library box: drive d1 is the robot's drive 1, by its serial "
            "number; those before it have to be named, too") in str(
                error.value)


def test_a_drive_that_comes_later(machine, clients):
    """... and is put in its place then, by its serial number; what needs no
    more than the other one does not wait for it."""
    m = machine(order=(1, 0), late=(1,))
    drives = m.service.drives()
    assert (drives["d0"]["state"], drives["d1"]["state"]) == ("away", "empty")
    # d1 is the robot's second.
    with pytest.raises(house.ApiError) as error:
        m.do("load", source=1, drive=0)
    assert "drive 0 is away" in str(error.value)
    assert m.where()["SG1"] == ("slot", 1)
    m.do("load", source=1)
    m.service.mounted("SG1")
    assert m.service.volume("SG1")["drive"] == "d1"
    client = m.service.client("SG1")
    clients.append(client)
    assert client.read(0, 512) == house.bytes_at(m.media / "SG1.img", 0, 512)
    m.do("unload", drive=1)
    m.plug(1)
    house.until(lambda: m.service.drives()["d0"]["state"] == "empty",
                "the drive")
    loaded_where_it_should(m)


def test_robot_and_drives_that_come_later(machine):
    """In the worst order: the drives after the robot, and the names are not
    the robot's order."""
    m = machine(order=(1, 0), late=(0, 1, 2), poll_interval=0)
    assert m.look()["library"]["state"] != "ready" and m.where() == {}
    house.until(lambda: "box: its robot is away: there is no drive that "
                "matches path:9:0:0:0" in m.service.stderr(), "a line")
    m.plug(0)
    house.until(m.where, "its elements")
    m.plug(1)
    m.plug(2)
    house.until(lambda: all(d["state"] == "empty"
                            for d in m.service.drives().values()),
                "the drives")
    loaded_where_it_should(m)

