"""Drives of this machine that come late, or cannot be had yet.

SPDX-License-Identifier: MIT
"""
import fcntl
import os
import pathlib
import signal
import struct
import subprocess
import time

import pytest

from house import HANG, MIB, bytes_at, shown, steady, until, volumes
from sgbox import FIRST, Box, place


@pytest.fixture
def box(tmp_path, monkeypatch):
    def make(**environment):
        return Box(tmp_path, monkeypatch, **environment)
    return make


def udev_says(n, node):
    """As systemd's device monitor sends it: a header, then properties."""
    properties = (f"ACTION=add\0DEVPATH=/{place(n)}/{node}\0"
                  f"SUBSYSTEM={node.split('/', maxsplit=1)[0]}\0").encode()
    return struct.pack(">8sI", b"libudev", 0xFEEDCAFE) + struct.pack(
        "<IIIIIII", 40, 40, len(properties), 0, 0, 0, 0) + properties


def away(service, name):
    seen = service.drives()[name]
    return seen["state"] == "away" and seen["changes_why"]


def test_drive_that_is_not_there_at_the_start(box, serve, media, clients):
    """It is away, said once, and a drive like others when it comes."""
    b = box()
    image = b.put(1, media.a)
    s = serve({"d1": {"port": "sg", "match": "serial:HUX0000001"},
               "d2": {"medium": media.b}})
    s.mounted("ARCHIVE-B")
    until(lambda: "there is no drive that matches serial:HUX0000001" in
          (away(s, "d1") or ""), "the reason")
    assert s.drives()["d1"]["age_ms"] == -1
    assert "away" in s.run("status").stdout
    said = "drive d1 is away: there is no drive that matches"
    until(lambda: said in s.stderr(), "a line")
    # Another one comes.
    b.plug(2)
    steady(lambda: away(s, "d1"), "an absent drive", 0.5)
    b.plug(1)
    s.mounted("ARCHIVE-A")
    assert s.drives()["d1"]["state"] == "ready"
    s.says("drive d1 is there now")
    assert s.stderr().count(said) == 1
    c = s.client("ARCHIVE-A")
    clients.append(c)
    at, _ = volumes.extent(image)
    c.write(at, b"s" * 4096)
    c.flush()
    assert bytes_at(image, at, 4096) == b"s" * 4096
    # And it goes and comes back as others do.
    b.unplug(1)
    s.absent("ARCHIVE-A")
    b.plug(1)
    s.mounted("ARCHIVE-A")
    assert c.read(at, 4096) == b"s" * 4096


def test_name_that_udev_makes_later(box, serve, media, tmp_path):
    """A link in /dev/disk/by-id is there when udev has been told."""
    b = box()
    b.put(1, media.a)
    link = tmp_path / "by-id"
    s = serve({"d1": {"port": "sg", "device": link}})
    assert "by-id: No such file" in away(s, "d1")
    b.plug(1)
    steady(lambda: away(s, "d1"), "no name yet", 0.5)
    node = tmp_path / f"sg{FIRST + 1}"
    node.touch()
    link.symlink_to(node)
    b.send(udev_says(1, f"scsi_generic/sg{FIRST + 1}"), tmp_path / "udevd")
    s.mounted("ARCHIVE-A")


def test_drive_that_somebody_else_has_at_the_start(box, serve, media):
    """Others go on; when it is let go of, it is ours."""
    b = box()
    b.put(1, media.a)
    b.put(2, media.b)
    b.make(1)
    b.make(2)
    driver = b.sys / "bus/scsi/drivers/sd"
    driver.mkdir(parents=True)
    held = b.sys / place(1) / "driver"
    held.symlink_to("../../../../../bus/scsi/drivers/sd")
    s = serve({"d1": {"port": "sg", "match": "path:9:0:1:0"},
               "d2": {"port": "sg", "match": "path:9:0:2:0"}})
    s.mounted("ARCHIVE-B")
    assert "driver sd" in away(s, "d1")
    until(lambda: "drive d1 is away: " in s.stderr() and
          "driver sd" in s.stderr(), "a line")
    held.unlink()
    b.say(ACTION="unbind", DEVPATH=f"/{place(1)}", SUBSYSTEM="scsi")
    s.mounted("ARCHIVE-A")


def test_drive_that_is_mounted_at_the_start(box, serve, media, tmp_path):
    """An unmount is enough."""
    b = box()
    b.put(1, media.a)
    b.make(1)
    where = tmp_path / "mounted"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", where], check=True)
    try:
        number = os.stat(where).st_dev
        block = b.sys / place(1) / "block" / "sdz"
        block.mkdir(parents=True)
        (block / "dev").write_text(f"{os.major(number)}:{os.minor(number)}\n")
        (block / "device").symlink_to("../..")
        (b.sys / "class" / "block").mkdir()
        (b.sys / "class" / "block" / "sdz").symlink_to(
            f"../../{place(1)}/block/sdz")
        driver = b.sys / "bus/scsi/drivers/sd"
        driver.mkdir(parents=True)
        (b.sys / place(1) / "driver").symlink_to(
            "../../../../../bus/scsi/drivers/sd")
        s = serve({"d1": {"port": "sg", "match": "serial:HUX0000001",
                          "own": "shared"}})
        assert f"sdz is mounted on {where}" in away(s, "d1")
        subprocess.run(["nsenter", "-t", str(s.process.pid), "-m", "umount",
                        where], check=True)
    finally:
        subprocess.run(["umount", where], check=True)
    s.mounted("ARCHIVE-A")


def test_drive_whose_node_a_process_has_open(box, serve, media):
    """Its closing is enough: long before the clock's next look."""
    b = box()
    b.put(1, media.a)
    b.make(1)
    node = f"/dev/sg{FIRST + 1}"
    if os.path.isfile(node):        # of a run that was killed
        os.unlink(node)
    assert not os.path.exists(node)

    def closing():
        with open(node, "wb"):
            s = serve({"d1": {"port": "sg", "match": "serial:HUX0000001"}})
            assert f"{node} is open in process {os.getpid()}" in away(s, "d1")
            # Looks after 0.25, 0.75, 1.75, 3.75 and 7.75 s.
            steady(lambda: away(s, "d1"), "somebody else's", 4)
            closed = time.monotonic()
        s.mounted("ARCHIVE-A")
        took = time.monotonic() - closed
        s.stop()
        return took
    try:
        shown(closing, 2, "the drive, after its closing")
    finally:
        os.unlink(node)


def test_what_can_be_no_drive_is_refused(box, serve, tmp_path):
    box()
    other = tmp_path / "vdz"
    other.touch()
    with pytest.raises(AssertionError) as error:
        serve({"d1": {"port": "sg", "device": other}})
    assert "is no SCSI drive" in str(error.value)


@pytest.mark.parametrize("late", [False, True])
def test_drive_that_does_not_say_what_it_is_at_first(box, serve, media, late):
    """An INQUIRY that fails is asked again, without anything that turns."""
    b = box(FAULT="at 1 0x12 do sense 4/44/00")
    b.put(1, media.a)
    if not late:
        b.make(1)
    s = serve({"d1": {"port": "sg", "match": "serial:HUX0000001"}})
    if late:
        b.plug(1)
    s.mounted("ARCHIVE-A")


def test_P5_silent_drive_at_the_end_costs_nobody_anything(box, serve, media,
                                                          clients):
    """What others lack is kept, or flushed, as if it were not there; what its
    own volume lacks is kept, too."""
    b = box(FAULT="at * flush do lose", CACHE=1)
    b.put(1, media.a)
    b.put(2, media.b)
    b.make(2)
    s = serve({"d1": {"port": "sg", "match": "serial:HUX0000001"},
               "d2": {"port": "sg", "match": "serial:HUX0000002"},
               "d3": {"type": "disk", "cache": "volatile"},
               "d4": {"medium": media.c, "cache": "volatile"}}, flush_idle=0)
    # Some are known before the silent drive's volume, one after it.
    s.mounted("ARCHIVE-B", "ARCHIVE-C")
    b.plug(1)
    s.mounted("ARCHIVE-A")
    s.insert("d3", media.blank)
    until(lambda: s.drives()["d3"]["volume"], "the blank volume")
    images = {"ARCHIVE-C": media.c, s.drives()["d3"]["volume"]: media.blank}
    for name in ("ARCHIVE-A", "ARCHIVE-B", *images):
        c = s.client(name)
        clients.append(c)
        c.write(4 * MIB, b"w" * 4096)
    b.unplug(2)
    s.absent("ARCHIVE-B")
    assert all(bytes_at(image, 4 * MIB, 4096) != b"w" * 4096
               for image in images.values())
    s.stopped = True
    s.process.send_signal(signal.SIGTERM)
    until(lambda: all(bytes_at(image, 4 * MIB, 4096) == b"w" * 4096
                      for image in images.values()), "the flushes")
    until(lambda: "volume ARCHIVE-B still lacks" in s.stderr(), "its file")
    assert s.process.wait(HANG) == 0, s.stderr()
    said = s.stderr()
    # Nobody waited for it.
    assert said.index("what volume ARCHIVE-B still lacks") < said.index(
        "what volume ARCHIVE-A still lacks")
    assert len(os.listdir(s.recovery)) == 2


def open_files():
    """Of each process, by name."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        names = set()
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                name = os.readlink(f"/proc/{pid}/fd/{fd}")
                names.add("pipe" if name.startswith("pipe:") else name)
        except OSError:
            pass        # it ended, or the kernel's
        yield names


def test_driver_that_hangs_at_the_end_keeps_nobody_waiting(box, serve, media):
    """Its drive is not given back before the service has ended; what does that
    is a process of its own, which keeps nothing of the service."""
    b = box()
    b.put(1, media.a)
    b.make(1)
    folder = b.drive(1, "sd")
    s = serve({"d1": {"port": "sg", "match": "serial:HUX0000001",
                      "own": "yes"}})
    s.mounted("ARCHIVE-A")
    note = f"/run/reinsert/own/{place(1).rsplit('/', maxsplit=1)[-1]}"
    assert (folder / "unbind").read_text() == os.path.basename(note)
    # As sysfs would: who writes waits until somebody takes it.
    (folder / "bind").unlink()
    os.mkfifo(folder / "bind")
    (b.sys / place(1) / "driver").unlink()
    s.stopped = True
    s.process.send_signal(signal.SIGTERM)
    with open(note, encoding="utf-8") as file:
        try:
            assert s.process.wait(HANG) == 0, s.stderr()
            having = [names for names in open_files() if note in names]
            assert {"/dev/null", note, "pipe"} in having
        finally:
            taken = os.open(folder / "bind", os.O_RDONLY | os.O_NONBLOCK)
            until(lambda: come(taken) == b"9:0:1:0", "who is waited for")
            os.close(taken)
        until(lambda: unlocked(file), "the end of who had it")
    assert not os.path.exists(note)
    assert ("drive d1: 9:0:1:0 is not given back to driver sd: the kernel has "
            "not taken it within 3 s") in s.stderr()
    assert "echo 9:0:1:0 >/sys/bus/scsi/drivers/sd/bind" in s.stderr()


def come(fd):
    try:
        return os.read(fd, 64)
    except BlockingIOError:
        return b""


def unlocked(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def rewrite(image, data):
    """Another medium, by what it begins with: the rest of it comes first."""
    for at, end in (4096, len(data)), (0, 4096):
        with open(image, "r+b") as file:
            file.seek(at)
            file.write(data[at:end])


def test_P1_kernel_tells_of_a_change_that_others_were_told_of(box, serve,
                                                             media, clients):
    """A unit attention that somebody else's command took: the drive itself
    says nothing of it any more."""
    b = box()
    image = b.put(1, media.a)
    right, wrong = (pathlib.Path(path).read_bytes()
                    for path in (media.a, media.b))
    b.make(1)
    s = serve({"d1": {"port": "sg", "match": "serial:HUX0000001"}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    at, _ = volumes.extent(media.a)
    first = c.read(at, 4096)
    rewrite(image, wrong)
    b.say(ACTION="change", DEVPATH=f"/{place(1)}", SUBSYSTEM="scsi",
          SDEV_UA="INQUIRY_DATA_HAS_CHANGED")
    waiting = c.read_on(at, 4096)
    s.one_prompt("ARCHIVE-A")
    waiting.waits(0.3)
    rewrite(image, right)
    b.say(ACTION="change", DEVPATH=f"/{place(1)}", SUBSYSTEM="scsi",
          SDEV_MEDIA_CHANGE="1")
    assert waiting.good() == first
