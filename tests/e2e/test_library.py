"""test_library.py - a media library: cartridges, drives, the robot, the ledger

SPDX-License-Identifier: MIT
"""
import contextlib
import threading

import pytest

import house
from house import MIB, until, volumes

LABELS = [f"LTO{n:03}L6" for n in range(1, 7)]


class Shelf:
    """Eight slots, two drives; volumes VOL-1 to VOL-6 in slots 1 to 6."""

    def __init__(self, serve, tmp_path, **keys):
        media = tmp_path / "media"
        media.mkdir()
        for n, label in enumerate(LABELS, 1):
            volumes.make_ext4(str(media / f"{label}.img"), f"VOL-{n}")
        self.media = media
        self.service = serve({}, libraries={"shelf": dict(
            media=media, state=tmp_path / "state", slots=8, mail_slots=1,
            drives=2, drive_type="disk", **keys)})

    def do(self, command, **body):
        return self.service.call(
            "POST", f"/v1/libraries/shelf/{command}", body)["result"]

    def look(self):
        return self.service.call("GET", "/v1/libraries/shelf")

    def element(self, kind, number):
        return next(e for e in self.look()["elements"]
                    if (e["type"], e["number"]) == (kind, number))

    def where(self):
        """{label: (type, number)}; nobody is in two places."""
        found = {}
        for e in self.look()["elements"]:
            if e["full"]:
                assert e["barcode"] not in found, found
                found[e["barcode"]] = (e["type"], e["number"])
        return found


@pytest.fixture
def shelf(serve, tmp_path):
    return Shelf(serve, tmp_path)


def test_load_read_unload(shelf, clients):
    before = shelf.where()
    assert before == {label: ("slot", n) for n, label in enumerate(LABELS, 1)}
    result = shelf.do("load", source=3, drive=1)
    assert result["barcode"] == "LTO003L6" and result["drive"] == 1
    shelf.service.mounted("VOL-3")
    client = shelf.service.client("VOL-3")
    clients.append(client)
    assert client.read(0, 4096) == house.bytes_at(
        shelf.media / "LTO003L6.img", 0, 4096)
    client.write(MIB, b"kept" * 1024)
    client.flush()
    drive = shelf.element("drive", 1)
    assert (drive["volume"], drive["home"], drive["drive"]) == (
        "VOL-3", 3, "shelf-1")
    shelf.do("unload", drive=1)
    assert shelf.where() == before
    shelf.service.absent("VOL-3")
    assert house.bytes_at(shelf.media / "LTO003L6.img", MIB,
                          4096) == b"kept" * 1024
    # In the other drive it is the same volume.
    shelf.do("load", label="LTO003L6", drive=0)
    shelf.service.mounted("VOL-3")
    assert client.read(MIB, 4096) == b"kept" * 1024
    assert shelf.element("drive", 0)["uses"] == 2


def test_what_is_not_there_is_refused(shelf):
    with pytest.raises(house.ApiError) as error:
        shelf.do("load", source=7, drive=0)
    assert (error.value.status, error.value.code) == (409, "no-medium")
    shelf.do("load", source=1, drive=0)
    with pytest.raises(house.ApiError) as error:
        shelf.do("load", source=2, drive=0)
    assert (error.value.status, error.value.code) == (409, "full")
    with pytest.raises(house.ApiError) as error:
        shelf.service.insert("shelf-1", shelf.media / "LTO002L6.img")
    assert error.value.code == "busy"
    assert "library shelf" in error.value.text


def test_a_restart_forgets_nothing(shelf):
    shelf.do("load", source=2, drive=0)
    shelf.do("transfer", source=5, destination=8)
    shelf.service.mounted("VOL-2")
    before = shelf.where()
    shelf.service.stop()
    shelf.service.process.stdout.close()
    shelf.service.start()
    shelf.service.stopped = False
    assert shelf.where() == before
    drive = shelf.element("drive", 0)
    assert (drive["barcode"], drive["home"], drive["uses"]) == (
        "LTO002L6", 2, 1)
    shelf.service.mounted("VOL-2")
    assert shelf.do("unload", drive=0)["destination"] == 2


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.25, 0.4])
def test_killed_in_the_middle_of_a_motion(serve, tmp_path, moment):
    shelf = Shelf(serve, tmp_path, move_ms=300)

    def load():
        # Its connection breaks, somehow.
        with contextlib.suppress(Exception):
            shelf.do("load", source=4, drive=1)

    thread = threading.Thread(target=load)
    thread.start()
    until(lambda: shelf.look()["library"]["state"] == "moving"
          or not thread.is_alive(), "a motion")
    threading.Event().wait(moment)
    shelf.service.kill()
    thread.join()
    shelf.service.start()
    where = shelf.where()
    assert sorted(where) == LABELS
    assert where["LTO004L6"] in (("slot", 4), ("drive", 1),
                                 ("transport", 0)), where
    if where["LTO004L6"] == ("drive", 1):
        assert shelf.element("drive", 1)["home"] == 4
        shelf.do("unload", drive=1)
        assert shelf.where()["LTO004L6"] == ("slot", 4)
    else:
        shelf.do("load", label="LTO004L6", drive=1)
        shelf.service.mounted("VOL-4")


def test_one_process_at_a_time(shelf, tmp_path):
    with pytest.raises(AssertionError) as error:
        house.Service(tmp_path / "other", {}, libraries={"shelf": dict(
            media=shelf.media, state=tmp_path / "state", slots=8,
            drives=2, drive_type="disk")})
    assert f"process {shelf.service.process.pid}" in str(error.value)


def test_two_clients_move_at_once(serve, tmp_path):
    """Each gets what he asked for, or is told why not; nothing is lost."""
    shelf = Shelf(serve, tmp_path, move_ms=5)
    codes = []

    def work(drive, slots):
        for slot in slots:
            for command, body in (("load", dict(source=slot, drive=drive)),
                                  ("unload", dict(drive=drive))):
                try:
                    shelf.do(command, **body)
                    codes.append("done")
                except house.ApiError as error:
                    codes.append(error.code)

    threads = [threading.Thread(target=work, args=(d, s)) for d, s in (
        (0, [1, 2, 3, 4] * 3), (1, [4, 3, 2, 1] * 3), (0, [5, 6] * 6))]
    for thread in threads:
        thread.start()
    # Who only looks does not wait for them.
    for _ in range(20):
        shelf.look()
    for thread in threads:
        thread.join()
    assert set(codes) <= {"done", "full", "no-medium"}, codes
    # Whoever finds the drive full of another's, or empty again, has met one
    # that was done; slots 5 and 6 are nobody else's.
    assert codes.count("done") >= 12
    where = shelf.where()
    assert sorted(where) == LABELS
    assert all(kind in ("slot", "drive") for kind, _ in where.values())
    for drive in (0, 1):
        try:
            shelf.do("unload", drive=drive)
        except house.ApiError as error:
            assert error.code == "no-medium"
    assert shelf.where() == {
        label: ("slot", n) for n, label in enumerate(LABELS, 1)}


def test_an_answer_lost_in_the_middle(serve, tmp_path):
    """The robot did it, and said that it failed: what is true counts."""
    shelf = Shelf(serve, tmp_path,
                  fault="at 1 0xA5 do recovered 4/15/01")
    shelf.do("load", source=1, drive=0)
    shelf.service.mounted("VOL-1")
    assert shelf.where()["LTO001L6"] == ("drive", 0)
    assert shelf.look()["library"]["failures"] == 0


def test_a_hand_behind_the_robots_back(shelf):
    def hand(what, **body):
        shelf.service.call("POST", "/v1/libraries/shelf/hand",
                           dict(what=what, **body))
    shelf.do("load", source=6, drive=0)
    hand("open-door")
    with pytest.raises(house.ApiError) as error:
        shelf.do("load", source=1, drive=1)
    assert (error.value.status, error.value.code) == (409, "offline")
    assert "door" in error.value.text
    hand("remove", slot=2)
    hand("close-door")
    until(lambda: "LTO002L6" not in shelf.where(), "the hand noticed")
    shelf.do("load", source=1, drive=1)
    assert shelf.element("drive", 0)["home"] == 6
