"""A library of this machine: robot and drives through Linux's SG_IO.

No kernel here has one, so nodes and what sysfs says of them are made: the
service runs with tests/changer/sgnode.c preloaded, which answers behind
/dev/sg70 (the robot) and the nodes after it (its drives), and with a /sys of its
own in a mount namespace of its own.

SPDX-License-Identifier: MIT
"""
import os
import shlex
import subprocess
import threading
import time
from http.client import HTTPException

import pytest

import house
from house import REINSERT, SLOW, volumes

BUILD = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(REINSERT))))
SGNODE = os.path.join(BUILD, "tests", "changer", "sgnode.so")
FIRST = 70
LABELS = [f"SG{n}" for n in range(1, 5)]


def add_device(sys, n, kind, model, serial):
    """As the kernel has a SCSI device that no driver but sg has taken."""
    where = f"devices/platform/host9/target9:0:{n}/9:0:{n}:0"
    device = sys / where
    device.mkdir(parents=True)
    (device / "type").write_text(f"{kind}\n")
    (device / "vendor").write_text("REINSERT\n")
    (device / "model").write_text(model + "\n")
    (device / "inquiry").write_bytes(bytes([kind, 0x80, 6] + [0] * 33))
    (device / "vpd_pg80").write_bytes(
        bytes([kind, 0x80, 0, len(serial)]) + serial.encode())
    node = sys / "class" / "scsi_generic" / f"sg{FIRST + n}"
    node.mkdir(parents=True)
    (node / "device").symlink_to(f"../../../{where}")


class Machine:
    """drives: the drives' sections, in the order of the configuration, by the
    numbers that the robot gives them."""

    def __init__(self, serve, tmp_path, monkeypatch, order=(0, 1), fault=None,
                 move_ms=0, **keys):
        self.folder = tmp_path
        self.fault, self.move_ms = fault, move_ms
        self.media = tmp_path / "media"
        if not self.media.exists():
            self.media.mkdir()
            for label in LABELS:
                volumes.make_fat(str(self.media / f"{label}.img"), label, 8)
        sys = tmp_path / "sys"
        if not sys.exists():
            add_device(sys, 0, 8, "MEDIA LIBRARY", "MXA0000001")
            for n in (0, 1):
                add_device(sys, n + 1, 0, "DISK", f"HUX{n + 1:07}")
        monkeypatch.setattr(house, "REINSERT", self.wrapper(sys))
        names = [f"d{n}" for n in order]
        self.service = serve(
            {f"d{n}": {"type": "disk", "port": "sg",
                       "match": f"path:9:0:{n + 1}:0"} for n in order},
            libraries={"box": {"port": "sg", "match": "path:9:0:0:0",
                               "drive": names, "state": tmp_path / "state",
                               "min_residence": 0, **keys}})

    def wrapper(self, sys):
        environment = {
            "REINSERT_SG_NODE": f"/dev/sg{FIRST}",
            "REINSERT_SG_MEDIA": self.media, "REINSERT_SG_SLOTS": 8,
            "REINSERT_SG_STATE": self.folder / "library.state",
            "REINSERT_SG_MAIL": 1, "REINSERT_SG_DRIVES": 2,
            "REINSERT_SG_MOVE_MS": self.move_ms}
        if self.fault is not None:
            environment["REINSERT_SG_FAULT"] = self.fault
        words = "".join(f"export {k}={shlex.quote(str(v))}\n"
                        for k, v in environment.items())
        script = self.folder / "reinsert"
        script.write_text(
            f"#!/bin/sh\n{words}"
            "exec unshare -m sh -c 'mount --bind \"$0\" /sys && "
            "LD_PRELOAD=$1 && shift && export LD_PRELOAD && exec \"$@\"' "
            + shlex.join(map(str, [sys, SGNODE, os.path.abspath(REINSERT)]))
            + " \"$@\"\n")
        script.chmod(0o755)
        return str(script)

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
    if not os.path.exists(SGNODE):
        pytest.skip("not with a sanitizer's own library in front")
    if subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")

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
        capture_output=True, timeout=30 * SLOW, check=True).stdout
    assert "Data Transfer Element 0:Full (Storage Element 2 Loaded)" in said


def test_service_ends_in_a_motion_that_cannot_be_taken_back(machine):
    m = machine(move_ms=60000)

    def load():
        with pytest.raises((house.ApiError, OSError, HTTPException)):
            m.do("load", source=1, drive=0)
    waits = threading.Thread(target=load)
    waits.start()
    house.until(lambda: m.look()["library"]["state"] == "moving", "a motion")
    begin = time.monotonic()
    m.service.stop()
    assert m.service.process.returncode == 0, m.service.stderr()
    assert time.monotonic() - begin < 2 * SLOW
    waits.join()
    # The emulation ended with the service, its arm in mid-air.
    m = machine()
    house.until(lambda: "a motion of cartridge SG1 was interrupted" in
                m.service.stderr(), "what became of it", 10)
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
                "1 is d1" in m.service.stderr(), "a line", 10)


def test_drives_of_a_library_that_was_not_ready_at_the_start(machine):
    m = machine(order=(1, 0), fault="at 1 tur do becoming-ready 4000",
                poll_interval=1)
    assert m.look()["library"]["state"] != "ready" and m.where() == {}
    house.until(lambda: m.look()["library"]["state"] == "ready",
                "the library", 20)
    house.until(lambda: m.where(), "its elements", 10)
    loaded_where_it_should(m)


def test_a_drive_that_is_named_without_those_before_it(machine):
    with pytest.raises(AssertionError) as error:
        machine(order=(1,))
    assert ("library box: drive d1 is the robot's drive 1, by its serial "
            "number; those before it have to be named, too") in str(
                error.value)
