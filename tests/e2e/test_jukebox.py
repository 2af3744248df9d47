"""test_jukebox.py - the robot of a library answers the questions

Six volumes, two drives.  A person is asked only when the robot cannot bring
what is wanted, once, with the reason, until that is cured.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import subprocess
import threading

import pytest

import house
from house import HANG, MIB, bytes_at, until, volumes

NAMES = ["EXT-1", "EXT-2", "EXT-3", "FAT-1", "FAT-2", "FAT-3"]
LABELS = {name: f"VOL{i}" for i, name in enumerate(NAMES)}
AT = 20 * MIB
FOR_EVER = 3600000              # ms: until somebody ends it


@pytest.fixture(scope="module")
def cartridges(tmp_path_factory):
    """The media of a library, made once."""
    folder = tmp_path_factory.mktemp("cartridges")
    for name, label in LABELS.items():
        image = str(folder / f"{label}.img")
        if name.startswith("EXT"):
            volumes.make_ext4(image, name, size_mib=32, stream_mib=1)
        else:
            volumes.make_fat(image, name, size_mib=34)
    for file in folder.iterdir():
        if file.suffix != ".img":
            file.unlink()
    return folder


class Library(house.Service):
    def __init__(self, folder, media, **keys):
        self.media = str(media)
        shelf = {"media": self.media, "state": f"{folder}/state",
                 "slots": 8, "mail-slots": 1, "drives": 2,
                 "drive-type": "disk", "drive-cache": "volatile",
                 "min-residence": 0, "adopt": "yes",
                 **{k.replace("_", "-"): v for k, v in keys.items()}}
        super().__init__(folder, {}, libraries={"shelf": shelf})

    def again(self, move_ms):
        """Started again, with a robot that takes so long."""
        with open(self.config, encoding="utf-8") as file:
            lines = [x for x in file if not x.startswith("move-ms")]
        with open(self.config, "w", encoding="utf-8") as file:
            file.writelines([*lines, f"move-ms = {move_ms}\n"])
        self.start()

    def command(self, what, **body):
        return self.call("POST", f"/v1/libraries/shelf/{what}", body)["result"]

    def library_hand(self, what, **body):
        return self.call("POST", "/v1/libraries/shelf/hand",
                         {"what": what, **body})

    def library(self):
        return self.call("GET", "/v1/libraries/shelf")["library"]

    def elements(self, kind=None):
        return [e for e in self.call("GET", "/v1/libraries/shelf")["elements"]
                if kind is None or e["type"] == kind]

    def where(self, name):
        """The element that the volume is in."""
        for element in self.elements():
            if element["full"] and element["label"] == name:
                return element
        return None

    def in_slot(self):
        """A volume that is in no drive."""
        return next(e["label"] for e in self.elements("slot")
                    if e["full"] and e["label"])

    def image(self, name):
        return os.path.join(self.media, LABELS[name] + ".img")

    def asked(self):
        """How often a person was asked; other words are no new question."""
        count, is_open = 0, set()
        for line in self.stderr().splitlines():
            at = re.search(r" prompt (\d+): (.*)", line)
            if at and " is needed. " in line:
                count += at[1] not in is_open
                is_open.add(at[1])
            elif at and "still not there" not in line:
                is_open.discard(at[1])
        return count


@pytest.fixture
def shelf(tmp_path, cartridges):
    """Starts libraries whose volumes are known; each is looked over."""
    services = []

    def start(known=True, **keys):
        media = tmp_path / "media"
        media.mkdir()
        for file in cartridges.iterdir():
            subprocess.run(["cp", "--sparse=always", str(file), str(media)],
                           check=True)
        service = Library(tmp_path / "s", media, **keys)
        services.append(service)
        if known:
            service.command("scan")
        return service

    yield start
    for service in services:
        service.end()


def pattern(name, turn):
    return (f"{name} {turn} ".encode() * 4096)[:16384]


# --- served -----------------------------------------------------------------


def test_six_volumes_and_two_drives_serve_everybody(shelf):
    service = shelf()
    faults = []

    def work(name):
        try:
            client = service.client(name)
            for turn in range(4):
                client.write(AT + turn * 16384, pattern(name, turn))
            client.flush()
            for turn in range(4):
                assert (client.read(AT + turn * 16384, 16384)
                        == pattern(name, turn))
            client.close()
        except Exception as error:  # pylint: disable=broad-except
            faults.append(f"{name}: {error!r}")

    threads = [threading.Thread(target=work, args=(n,)) for n in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(9 * HANG)
        assert not thread.is_alive()
    assert not faults, faults
    assert service.prompts() == []
    assert service.asked() == 0
    service.stop()
    for name in NAMES:
        for turn in range(4):
            assert (bytes_at(service.image(name), AT + turn * 16384, 16384)
                    == pattern(name, turn))
    for name in NAMES[:3]:
        volumes.tool("e2fsck", "-fn", service.image(name))


def test_volumes_in_slots_are_exports_after_a_restart(shelf):
    service = shelf()
    client = service.client("EXT-2")
    client.write(AT, b"kept" * 1024)
    client.flush()
    client.close()
    sizes = {n: e["size_bytes"] for n, e in service.exports().items()
             if n in NAMES}
    assert len(sizes) == 6
    service.stop()
    service.start()
    assert {n: e["size_bytes"] for n, e in service.exports().items()
            if n in NAMES} == sizes
    listed = subprocess.run(
        ["nbdinfo", "--list", "--json", service.uri("")], text=True,
        capture_output=True, check=True).stdout
    assert set(NAMES) <= {e["export-name"]
                          for e in json.loads(listed)["exports"]}
    for name in NAMES:
        client = service.client(name)
        assert len(client.read(0, 4096)) == 4096
        if name == "EXT-2":
            assert client.read(AT, 4096) == b"kept" * 1024
        client.close()
    assert service.asked() == 0


def test_killed_while_a_volume_is_fetched(shelf):
    service = shelf()
    name = service.in_slot()
    service.stop()
    service.again(FOR_EVER)
    client = service.client(name)
    read = client.read_on(0, 4096)
    until(lambda: service.library()["state"] == "moving", "a motion")
    read.waits()
    service.kill()
    client.close()
    service.again(0)
    client = service.client(name)
    assert len(client.read(0, 4096)) == 4096
    client.close()
    where = [e["barcode"] for e in service.elements() if e["full"]]
    assert sorted(where) == sorted(LABELS.values())
    assert service.asked() == 0


def test_what_was_not_flushed_is_on_the_medium_when_it_has_left(shelf):
    service = shelf(drives=1)
    first = service.in_slot()
    client = service.client(first)
    client.write(AT, b"acknowledged" * 1024)
    others = [service.client(n) for n in NAMES if n != first]
    for other in others:
        other.read(0, 512)
    until(lambda: (service.where(first) or {}).get("type") == "slot",
          "it to leave")
    assert bytes_at(service.image(first), AT, 12288) == b"acknowledged" * 1024
    for one in [client, *others]:
        one.close()


def test_scan_on_the_command_line(shelf):
    service = shelf(known=False)
    done = service.run("library", "scan", "--json")
    assert done.returncode == 0, done.stderr
    done = service.run("library", "list", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["cartridges"]
    assert sorted(r["label"] for r in rows) == sorted(NAMES)
    done = service.run("library", "list", "shelf")
    assert "EXT-1" in done.stdout and "VOL0" in done.stdout
    assert service.run("library", "scan", "nowhere").returncode == 1


# --- the robot cannot -------------------------------------------------------


def cured(service, name, read):
    """The question goes by itself, and the request with it."""
    read.good()
    service.no_prompt()
    until(service.asked, "the question in the log")
    assert service.asked() == 1, service.stderr()
    read.client.close()


def tried_again(service, read):
    """Somebody says so until it is done."""
    def over():
        service.answer_all("retry")
        read.turn()
        return read.over()
    until(over, "its end")


def test_door_is_open(shelf):
    service = shelf()
    name = service.in_slot()
    service.library_hand("open-door")
    read = service.client(name).read_on(0, 4096)
    prompt = service.one_prompt(name)
    assert "door" in prompt["text"] and "slot" in prompt["text"]
    read.waits()
    service.library_hand("close-door")
    cured(service, name, read)


def test_an_operator_has_both_drives(shelf):
    service = shelf()
    for drive in (0, 1):
        element = service.elements("drive")[drive]
        if element["full"]:
            service.command("unload", drive=drive)
    for drive in (0, 1):
        service.command("load", source=drive + 1, drive=drive)
    name = service.in_slot()
    read = service.client(name).read_on(0, 4096)
    prompt = service.one_prompt(name)
    assert "operator" in prompt["text"]
    read.waits()
    service.command("unload", drive=1)
    cured(service, name, read)


def test_not_in_the_library_then_in_its_mail_slot(shelf):
    service = shelf()
    name = service.in_slot()
    slot = service.where(name)["number"]
    service.library_hand("open-door")
    service.library_hand("remove", slot=slot)
    service.library_hand("close-door")
    until(lambda: service.where(name) is None, "the slot to be empty")
    read = service.client(name).read_on(0, 4096)
    prompt = service.one_prompt(name)
    assert "does not hold it" in prompt["text"]
    read.waits()
    service.library_hand("open-mail")
    service.library_hand("insert", slot=9, image=LABELS[name] + ".img")
    service.library_hand("close-mail")
    cured(service, name, read)


def test_the_robot_fails_then_works_again(shelf):
    # A scan makes ten motions; the next ones fail, as long as they may.
    service = shelf(fault=[f"at {n} move do sense 4/15/1"
                           for n in range(11, 15)])
    name = service.in_slot()
    read = service.client(name).read_on(0, 4096)
    prompt = service.one_prompt(name)
    assert "failed to bring it" in prompt["text"] \
        or "can be emptied" in prompt["text"], prompt["text"]
    read.waits()
    tried_again(service, read)
    cured(service, name, read)


def operator_empties(service):
    """Nothing is in a drive, and all are the robot's again."""
    for element in service.elements("drive"):
        if element["full"]:
            service.command("unload", drive=element["number"])


def refuse(service, what, **body):
    with pytest.raises(house.ApiError):
        service.command(what, **body)


def test_a_cartridge_that_failed_in_two_drives(shelf):
    # A scan makes six loads and four unloads, then two by the operator.
    service = shelf(fault=["at 13 move do sense 4/53/9",
                           "at 14 move do sense 4/53/9"])
    operator_empties(service)
    slot = service.where("FAT-2")["number"]
    for drive in (0, 1):
        refuse(service, "load", source=slot, drive=drive)
    assert service.where("FAT-2")["marked"]
    motions = service.library()["motions"]
    read = service.client("FAT-2").read_on(0, 4096)
    prompt = service.one_prompt("FAT-2")
    assert "marked bad" in prompt["text"]
    read.waits()
    assert service.library()["motions"] == motions
    # A person tries it, and it works: it is as good as any.
    service.command("load", source=slot, drive=0)
    cured(service, "FAT-2", read)
    assert not service.where("FAT-2")["marked"]


def test_a_drive_that_failed_three_cartridges(shelf):
    service = shelf(fault=[f"at {n} move do sense 4/53/9"
                           for n in (13, 14, 15)])
    operator_empties(service)
    slots = [e["number"] for e in service.elements("slot") if e["full"]]
    for slot in slots[:3]:
        refuse(service, "load", source=slot, drive=0)
    assert service.elements("drive")[0]["drive_set_aside"]
    for name in NAMES:
        client = service.client(name)
        assert len(client.read(0, 4096)) == 4096
        client.close()
        assert not service.elements("drive")[0]["full"]
    assert service.asked() == 0


def test_a_medium_that_is_stuck_in_its_drive(shelf):
    # The eleventh motion, and all after it until somebody helps.
    service = shelf(drives=1, fault=[f"at {n} move do sense 4/53/0"
                                     for n in (12, 13)])
    name = service.in_slot()
    read = service.client(name).read_on(0, 4096)
    prompt = service.one_prompt(name)
    assert "no drive can be emptied" in prompt["text"], prompt["text"]
    read.waits()
    tried_again(service, read)
    cured(service, name, read)
    where = [e["barcode"] for e in service.elements() if e["full"]]
    assert sorted(where) == sorted(LABELS.values())


# --- the end ----------------------------------------------------------------


def test_the_service_ends_in_the_middle_of_a_long_motion(shelf):
    service = shelf()
    name = service.in_slot()
    service.stop()
    service.again(FOR_EVER)
    client = service.client(name)
    client.read_on(0, 4096)
    until(lambda: service.library()["state"] == "moving", "a motion")
    service.stop()
    client.close()
    assert "by force" not in service.stderr()
    service.again(0)
    where = [e["barcode"] for e in service.elements() if e["full"]]
    assert sorted(where) == sorted(LABELS.values())
    client = service.client(name)
    assert len(client.read(0, 4096)) == 4096
    client.close()
    assert service.asked() == 0
