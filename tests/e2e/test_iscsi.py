"""Drives of an iSCSI target that nobody here wrote.

tgt's disks never report that their medium changed; what they do report is the
power-on condition of a new session, and that a drive is empty.

SPDX-License-Identifier: MIT
"""
import errno
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from house import (HANG, MIB, REINSERT, Busy, bytes_at, shown, steady, until,
                   volumes)
from tgt import NAME, Target

HEAD = 8 * MIB
NEVER = "3600"                  # seconds: nothing is flushed by itself


@pytest.fixture
def target(tmp_path):
    t = Target(tmp_path)
    yield t
    t.kill()


def drive(target, lun, **more):
    return {"port": "iscsi", "url": target.url(lun), **more}


@pytest.fixture
def start(serve, media, target, clients):
    """start(**keys): (service, client) with ARCHIVE-A in drive d1"""
    def begin(**keys):
        target.add(1, media.a)
        target.start()
        s = serve({"d1": drive(target, 1)}, **keys)
        s.mounted("ARCHIVE-A")
        c = s.client("ARCHIVE-A")
        clients.append(c)
        return s, c
    return begin


@pytest.fixture
def one(start):
    return start()


def content(media_file):
    with open(media_file, "rb") as file:
        return file.read()


def test_real_disk_reads_and_writes(one, media):
    s, c = one
    at, _ = volumes.extent(media.a)
    dice = random.Random(6)
    data = dice.randbytes(3 * MIB)
    c.write(at, data)
    c.flush()
    assert c.read(at, len(data)) == data
    assert bytes_at(media.a, at, len(data)) == data
    assert s.drives()["d1"]["state"] == "ready"


def test_what_is_of_use_next__no_image_goes_into_a_real_drive(one, serve,
                                                              target, media):
    s, _ = one
    said = [line.split("\t")[0] for line in s.lines]
    assert "eject" in said and "insert" not in said
    mixed = serve({"d1": drive(target, 1), "d2": {"medium": media.b}})
    said = {line.split("\t")[0]: line for line in mixed.lines}
    assert said["insert"].endswith(" d2 IMAGE")


def test_medium_is_locked_while_it_lacks_writes(start, target, media):
    s, c = start(flush_idle=NEVER)
    at, _ = volumes.extent(media.a)
    c.write(at, b"x" * 4096)
    until(lambda: s.drives()["d1"]["locked"], "the lock")
    assert target.update(1, "online=0", ok=False) != 0


def test_P2_P3_target_dies_and_comes_back(one, target, media, tmp_path):
    """fio goes on by itself, and what it wrote is there."""
    s, c = one
    at, length = volumes.extent(media.a)
    fio = Busy(s.uri("ARCHIVE-A"), at, 16 * MIB, tmp_path, loops=3)
    try:
        until(lambda: content(media.a)[at:at + MIB].count(0) < MIB,
              "fio's first writes")
        target.kill()
        s.one_prompt("ARCHIVE-A", user=fio)
        until(lambda: s.drives()["d1"]["state"] == "away", "away")
        question = s.one_prompt("ARCHIVE-A")
        assert question["reason"] == "STATUS_DEVICE_NOT_CONNECTED"
        assert "iSCSI target of drive d1" in question["text"]
        assert "every few seconds" in question["text"]
        steady(fio.running, "fio waits")
        target.start()
        s.no_prompt()
        fio.good()
    finally:
        fio.close()


def test_P3_P7_target_stops_under_a_write__told_then_asked__and_on_by_itself(
        start, target, media):
    """It is there, and answers nothing: what is on its way has no end.  A
    medium that is locked is not verified first."""
    s, c = start(flush_idle=NEVER)
    at, _ = volumes.extent(media.a)
    c.write(at, b"x" * 4096)
    until(lambda: s.drives()["d1"]["locked"], "the lock")
    target.process.send_signal(signal.SIGSTOP)
    try:
        writing = c.write_on(at, b"y" * 4096)
        seen = until(lambda: {d["state"]: d["changes_why"] for d in
                              s.drives().values() if d["state"] in
                              ("no answer", "away")}, "told")
        # It is that for some seconds only.
        assert "has stopped to answer" in seen.get("no answer",
                                                   "has stopped to answer")
        question = s.one_prompt("ARCHIVE-A")
        assert "iSCSI target of drive d1" in question["text"]
        assert "does not answer" in question["text"]
        until(lambda: s.drives()["d1"]["state"] == "away", "away")
        assert "the target does not answer" in s.drives()["d1"]["changes_why"]
        writing.waits(0.3)
    finally:
        target.process.send_signal(signal.SIGCONT)
    s.no_prompt()
    writing.good()
    c.flush()
    assert bytes_at(media.a, at, 4096) == b"y" * 4096
    assert s.drives()["d1"]["state"] == "ready"


@pytest.mark.parametrize("image, kind, name",
                         [("a", "disk", "ARCHIVE-A"), ("cd", "cd", "DISC")])
def test_P3_P7_target_away__told__and_on_by_itself(
        serve, target, media, clients, image, kind, name):
    """Nobody asked for anything: it is told all the same."""
    target.add(1, getattr(media, image), kind)
    target.start()
    s = serve({"d1": drive(target, 1)})
    s.mounted(name)
    c = s.client(name)
    clients.append(c)
    at = 0x8000 if kind == "cd" else 0
    first = c.read(at, 2048)
    target.kill()
    s.absent(name)
    shown = s.run("status").stdout
    assert "away" in shown and "UNRECOGNIZED" not in shown
    waiting = c.read_on(at, 2048)
    assert "is away" in s.one_prompt(name)["text"]
    target.start()
    assert waiting.good() == first
    s.no_prompt()


def test_P1_medium_exchanged_while_the_target_was_away(one, target, media):
    s, c = one
    at, _ = volumes.extent(media.a)
    c.write(at, b"1" * 4096)
    target.kill()
    waiting = c.write_on(at, b"2" * 4096)
    s.one_prompt("ARCHIVE-A")
    before = content(media.b)
    target.put(1, media.b)
    target.start()
    until(lambda: s.volume("ARCHIVE-B"), "the other volume is seen")
    waiting.waits(0.5)
    assert content(media.b) == before
    target.kill()
    target.put(1, media.a)
    target.start()
    waiting.good()
    c.flush()
    assert bytes_at(media.a, at, 4096) == b"2" * 4096
    assert content(media.b) == before


def test_P1_P2_medium_exchanged_while_away_under_fio(one, target, media,
                                                     tmp_path):
    """The session is killed under a verifying client, another medium is in the
    drive when it comes back, then the right one."""
    s, _ = one
    at, length = volumes.extent(media.a)
    before = content(media.b)
    fio = Busy(s.uri("ARCHIVE-A"), at, 16 * MIB, tmp_path, loops=3)
    try:
        until(lambda: content(media.a)[at:at + MIB].count(0) < MIB,
              "fio's first writes")
        target.kill()
        target.put(1, media.b)
        target.start()
        until(lambda: s.volume("ARCHIVE-B"), "the other volume is seen")
        s.one_prompt("ARCHIVE-A", user=fio)
        steady(fio.running, "fio waits")
        target.kill()
        assert content(media.b) == before
        target.put(1, media.a)
        target.start()
        s.no_prompt()
        fio.good()
    finally:
        fio.close()
    assert content(media.b) == before


def test_disc_is_exchanged_in_a_drive_that_says_nothing(
        serve, target, media, clients):
    """It is out for a while: that is what is noticed."""
    target.add(1, media.cd, "cd")
    target.start()
    s = serve({"cd": drive(target, 1)})
    s.mounted("DISC")
    c = s.client("DISC")
    clients.append(c)
    first = c.read(0x8000, 2048)
    target.update(1, "online=0")
    s.absent("DISC")
    waiting = c.read_on(0x8000, 2048)
    s.one_prompt("DISC")
    target.update(1, "online=1")
    assert waiting.good() == first


def other_disc(media, folder):
    """As large as the disc, with another name."""
    with open(media.cd, "rb") as file:
        data = bytearray(file.read())
    at = data.index(b"DISC", 0x8000)
    while at >= 0:
        data[at:at + 4] = b"DISK"
        at = data.find(b"DISC", at)
    path = os.path.join(str(folder), "other.iso")
    with open(path, "wb") as file:
        file.write(data)
    return path


@pytest.mark.parametrize("kind", ["cd", "disk"])
def test_P1_medium_exchanged_in_a_drive_that_never_says_so(
        serve, target, media, clients, tmp_path, kind):
    """No unit attention, same size; the disc could even go on being read."""
    mine = media.cd if kind == "cd" else media.a
    other = other_disc(media, tmp_path) if kind == "cd" else media.b
    name = "DISC" if kind == "cd" else "ARCHIVE-A"
    target.add(1, mine, kind)
    target.start()
    s = serve({"d1": drive(target, 1)})
    s.mounted(name)
    assert s.drives()["d1"]["changes"] == "unknown"
    c = s.client(name)
    clients.append(c)
    first = c.read(0x8000, 2048)
    target.update(1, "online=0")
    s.absent(name)
    target.update(1, f"path={other}")
    target.update(1, "online=1")
    waiting = c.read_on(0x8000, 2048)
    until(lambda: s.drives()["d1"]["changes"] == "silent", "silent")
    until(lambda: s.drives()["d1"]["volume"] not in ("", name),
          "the other one is seen")
    waiting.waits(1)
    assert "without a word" in s.drives()["d1"]["changes_why"]
    target.update(1, "online=0")
    until(lambda: s.drives()["d1"]["state"] == "empty", "empty")
    target.update(1, f"path={mine}")
    target.update(1, "online=1")
    assert waiting.good() == first


def overwrite(target, path, source):
    """Another medium in the drive, and the drive has not noticed anything:
    nobody sees half of it."""
    data = content(source)
    target.process.send_signal(signal.SIGSTOP)
    try:
        with open(path, "r+b") as file:
            file.write(data)
    finally:
        target.process.send_signal(signal.SIGCONT)


def overwrite_at(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def quiet(service, drive="d1"):
    """Longer than anybody can exchange a medium in: only polls meanwhile."""
    end = time.monotonic() + 1.1
    until(lambda: time.monotonic() > end, "a gap")
    assert service.drives()[drive]["state"] == "ready"


def test_P1_P3_medium_exchanged_between_two_looks(one, target, media,
                                                  tmp_path):
    """Same size, never not ready, no word: what is on it tells."""
    s, c = one
    at, _ = volumes.extent(media.a)
    mine = os.path.join(str(tmp_path), "mine.img")
    c.write(at, b"1" * 4096)
    c.flush()
    until(lambda: not s.drives()["d1"]["locked"], "no lock")
    with open(mine, "wb") as file:
        file.write(content(media.a))
    quiet(s)
    overwrite(target, media.a, media.b)
    other = content(media.a)
    waiting = c.write_on(at, b"2" * 4096)
    assert "ARCHIVE-A" in s.one_prompt("ARCHIVE-A")["text"]
    until(lambda: s.volume("ARCHIVE-B"), "the other volume is seen")
    waiting.waits(0.5)
    assert content(media.a) == other
    overwrite(target, media.a, mine)
    waiting.good()
    s.no_prompt()
    c.flush()
    assert bytes_at(media.a, at, 4096) == b"2" * 4096
    with open(mine, "wb") as file:
        file.write(content(media.a))
    until(lambda: not s.drives()["d1"]["locked"], "no lock")
    quiet(s)
    overwrite(target, media.a, media.b)
    reading = c.read_on(at, 4096)
    s.one_prompt("ARCHIVE-A")
    reading.waits(0.5)
    overwrite(target, media.a, mine)
    assert reading.good() == b"2" * 4096


@pytest.fixture
def blank(serve, target, media):
    """A service; in d1 a blank medium that nobody has written to."""
    target.add(1, media.blank)
    target.start()
    s = serve({"d1": drive(target, 1)})
    until(lambda: s.drives()["d1"]["volume"], "the blank volume")
    assert s.drives()["d1"]["changes"] == "unknown"
    return s


def never_asked(service):
    service.no_prompt()
    return "prompt 1" not in service.stderr()


def test_blank_medium_is_formatted_by_its_user_and_nobody_is_asked(
        blank, media, tmp_path, clients):
    """Half a second of silence would be enough to exchange it; and of blank
    ones nobody could tell which it is."""
    s, folder = blank, tmp_path / "nbd"
    image = str(folder / "file")
    folder.mkdir()
    quiet(s)
    job = subprocess.Popen(["nbdfuse", image,
                            f"nbd+unix:///drive:d1?socket={s.nbd}"])
    try:
        until(lambda: os.path.exists(image), "nbdfuse")
        quiet(s)
        with open(image, "rb") as file:
            assert file.read(4096) == bytes(4096)
        quiet(s)
        volumes.tool("mkfs.ext4", "-q", "-F", "-L", "MADE", image)
        s.mounted("MADE")
        quiet(s)
        volumes.tool("e2fsck", "-f", "-n", image)
        assert never_asked(s)
    finally:
        subprocess.run(["fusermount3", "-u", "-z", str(folder)], check=False,
                       timeout=HANG)
        if job.poll() is None:
            job.wait(HANG)
    s.stop()
    assert volumes.fsck(media.blank) is None


def test_P1_blank_medium_is_told_by_what_was_written_to_it(
        blank, target, media, tmp_path, clients):
    """Slowly, without any label or file system."""
    s, data = blank, [os.urandom(4096) for _ in range(4)]
    mine, other = str(tmp_path / "mine.img"), str(tmp_path / "other.img")
    c = s.client("drive:d1")
    clients.append(c)
    for i, part in enumerate(data):
        c.write((3 + i) * MIB, part)
        quiet(s)
    c.flush()
    assert never_asked(s)
    until(lambda: not s.drives()["d1"]["locked"], "no lock")
    with open(mine, "wb") as file:
        file.write(content(media.blank))
    volumes.make_blank(other)
    quiet(s)
    overwrite(target, media.blank, other)
    waiting = c.write_on(8 * MIB, data[0])
    until(lambda: len(s.prompts()) == 1, "the question")
    waiting.waits(1)
    assert content(media.blank) == content(other)
    overwrite(target, media.blank, mine)
    waiting.good()
    s.no_prompt()
    c.flush()
    assert bytes_at(media.blank, 8 * MIB, 4096) == data[0]
    assert [c.read((3 + i) * MIB, 4096) for i in range(4)] == data


def test_P3_volume_is_told_to_be_there_once(serve, target, media, clients):
    """However often it is looked at, because another is asked for."""
    target.add(1, media.a)
    target.start()
    s = serve({"d1": drive(target, 1),
               "d2": {"type": "disk", "medium": media.b}})
    s.mounted("ARCHIVE-A")
    s.mounted("ARCHIVE-B")
    told = "volume ARCHIVE-A (ext4) is in drive d1"
    until(lambda: told in s.stderr(), "told")
    c = s.client("ARCHIVE-B")
    clients.append(c)
    s.yank("d2")
    waiting = c.read_on(0, 4096)
    s.one_prompt("ARCHIVE-B")
    end = time.monotonic() + 3.5
    until(lambda: time.monotonic() > end, "three looks")
    assert s.stderr().count(told) == 1
    s.insert("d2", media.b)
    waiting.good()
    # When it was away it is told again.
    target.update(1, "online=0")
    s.absent("ARCHIVE-A")
    target.update(1, "online=1")
    until(lambda: s.stderr().count(told) == 2, "told again")


def test_P7_target_comes_after_the_service(serve, target, media, clients):
    """It is away, and told as such; then it is a drive like others."""
    target.add(1, media.a)
    s = serve({"d1": drive(target, 1), "d2": {"medium": media.b}})
    s.mounted("ARCHIVE-B")
    away(s, "d1", "every few seconds")
    assert s.drives()["d1"]["age_ms"] == -1
    assert "away" in s.run("status").stdout
    done = s.run("eject", "d1")
    assert done.returncode != 0 and "away" in done.stderr
    target.start()
    s.mounted("ARCHIVE-A")
    assert s.drives()["d1"]["state"] == "ready"
    c = s.client("ARCHIVE-A")
    clients.append(c)
    on_medium(c, media.a, b"7")
    # And it may go away again.
    target.kill()
    s.absent("ARCHIVE-A")
    target.start()
    s.mounted("ARCHIVE-A")


def test_unit_that_the_target_gets_later(serve, target, media, clients):
    """The target is there, and has no such unit yet."""
    target.add(1, media.a)
    target.start()
    s = serve({"d1": drive(target, 1), "d2": drive(target, 2)})
    s.mounted("ARCHIVE-A")
    away(s, "d2", "no such unit")
    s.says("drive d2 is away")
    target.add(2, media.b)
    s.mounted("ARCHIVE-B")
    assert s.volume("ARCHIVE-B")["drive"] == "d2"
    assert s.stderr().count("drive d2 is away") == 1


@pytest.mark.parametrize("whole", [False, True])
def test_P8_log_on_disk_waits_for_the_target(serve, target, media, clients,
                                             tmp_path, whole):
    """Killed with a write that is not flushed; no drive is there at the next
    start."""
    log = tmp_path / "ulog"
    log.mkdir()
    target.add(1, media.a)
    target.start()
    s = serve({"vault": all_of(target)} if whole else
              {"d1": drive(target, 1)}, unflushed_log=str(log),
              flush_idle=NEVER)
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    at, _ = volumes.extent(media.a)
    target.process.send_signal(signal.SIGSTOP)
    lost = c.write_on(at, b"8" * 4096)
    target.process.send_signal(signal.SIGCONT)
    lost.good()
    s.kill()
    target.kill()
    overwrite_at(media.a, at, b"\0" * 4096)    # what a write cache loses
    s.start()
    until(lambda: [d["state"] for d in s.drives().values()] == ["away"],
          "one that is away")
    target.start()
    s.mounted("ARCHIVE-A")
    until(lambda: bytes_at(media.a, at, 4096) == b"8" * 4096, "the replay")


def test_P1_another_initiator_asks_first(one, target, media, tmp_path):
    """Whatever there was to be told of the new medium, it was told."""
    s, c = one
    mine = os.path.join(str(tmp_path), "mine.img")
    with open(mine, "wb") as file:
        file.write(content(media.a))
    at, _ = volumes.extent(media.a)
    first = c.read(at, 4096)
    target.update(1, "online=0")
    overwrite(target, media.a, media.b)
    target.update(1, "online=1")
    done = subprocess.run([REINSERT, "probe", target.url(1)], text=True,
                          capture_output=True, timeout=HANG, check=False)
    assert done.returncode == 0 and "ARCHIVE-B" in done.stdout
    until(lambda: s.drives()["d1"]["state"] == "ready", "ready")
    quiet(s)
    other = content(media.a)
    waiting = c.write_on(at, b"9" * 4096)
    s.one_prompt("ARCHIVE-A")
    waiting.waits(0.5)
    assert content(media.a) == other
    overwrite(target, media.a, mine)
    waiting.good()
    s.no_prompt()
    c.flush()
    assert bytes_at(media.a, at, 4096) == b"9" * 4096 != first


@pytest.fixture
def deaf():
    """A target that accepts and never answers."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(16)
        yield s.getsockname()[1]


def away(service, name, why):
    """It is told why."""
    def told():
        seen = service.drives()[name]
        return seen["state"] == "away" and why in seen["changes_why"]
    until(told, f"{name}: {why}")


def on_medium(c, image, byte):
    """A write that is flushed is on it.  Returns where."""
    at, _ = volumes.extent(image)
    c.write(at, byte * 4096)
    c.flush()
    assert bytes_at(image, at, 4096) == byte * 4096
    return at


def test_P4_target_that_never_answers(serve, deaf, media):
    """Neither the start nor the end waits for it for long."""
    s = serve({"d1": {"port": "iscsi",
                      "url": f"iscsi://127.0.0.1:{deaf}/iqn.x:y/1"},
               "d2": {"medium": media.b}})

    def begins():
        if s.stopped:
            s.start()
        s.mounted("ARCHIVE-B")
        assert s.drives()["d1"]["state"] == "away"

    def ends():
        begins()
        return s.stop()
    shown(ends, 5, "the end")
    shown(lambda: begins() or (s.stop() and None), 20, "start and end")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_P4_silent_target_is_asked_for_its_units__end_at_once(tmp_path, how):
    shown(lambda: told_to_end(tmp_path, how), 5, "the end")


def told_to_end(tmp_path, how):
    """... at its start; how long that takes."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        config = tmp_path / "config"
        config.write_text(f"[service]\nnbd = unix:{tmp_path}/n\n"
                          f"control = {tmp_path}/c\n[drive vault]\n"
                          "port = iscsi\nurl = iscsi://127.0.0.1:"
                          f"{s.getsockname()[1]}/iqn.x:y\n")
        process = subprocess.Popen([REINSERT, "serve", "--config", config],
                                   stdout=subprocess.PIPE, text=True)
        asked, _ = s.accept()
        with asked:
            began = time.monotonic()
            process.send_signal(how)
            assert process.communicate(timeout=HANG)[0] == ""
            assert process.returncode == 0
            return time.monotonic() - began


@pytest.mark.parametrize("dirty", [False, True])
def test_P4_target_that_falls_silent__end_in_bounds(start, target, media,
                                                    dirty):
    s, c = start(flush_idle=NEVER)
    at, _ = volumes.extent(media.a)
    if dirty:
        c.write(at, b"5" * 4096)
    target.process.send_signal(signal.SIGSTOP)
    try:
        reading = c.read_on(at + 65536, 4096)
        reading.waits(0.2)
        s.stop()
        assert s.process.returncode == 0, "by force"
        assert os.path.isdir(s.recovery) == dirty
        assert not dirty or len(os.listdir(s.recovery)) == 1
    finally:
        target.process.send_signal(signal.SIGCONT)


def test_two_units_of_one_target(serve, target, media, clients):
    target.add(1, media.a)
    target.add(2, media.cd, "cd")
    target.start()
    s = serve({"d1": drive(target, 1), "d2": drive(target, 2)})
    s.mounted("ARCHIVE-A", "DISC")
    kinds = {name: d["type"] for name, d in s.drives().items()}
    assert kinds == {"d1": "disk", "d2": "cdrom"}


def box(target, media):
    """A disk, a CD drive, and a disk in flat addressing (SAM-5, 4.7: 4000h and
    the number); LUN 0 is tgt's own."""
    target.add(1, media.a)
    target.add(2, media.cd, "cd")
    target.add(300, media.b)


def all_of(target, **more):
    return {"port": "iscsi", "url": target.url(0).rsplit("/", 1)[0], **more}


def test_P1_all_units_of_a_target(serve, target, media, clients):
    """Each is a drive like one that has a section of its own."""
    box(target, media)
    target.start()
    s = serve({"d": {"medium": media.blank}, "vault": all_of(target)})
    s.mounted("ARCHIVE-A", "ARCHIVE-B", "DISC")
    kinds = {name: d["type"] for name, d in s.drives().items()}
    assert kinds == {"d": "disk", "vault-1": "disk", "vault-2": "cdrom",
                     "vault-300": "disk"}
    assert s.drives()["vault-300"]["address"] == target.url(0x4000 + 300)
    assert s.volume("ARCHIVE-B")["drive"] == "vault-300"
    c = s.client("ARCHIVE-A")
    clients.append(c)
    at = on_medium(c, media.a, b"4")
    target.kill()
    s.absent("ARCHIVE-A")
    assert {d["state"] for name, d in s.drives().items()
            if name != "d"} == {"away"}
    target.start()
    s.mounted("ARCHIVE-A", "ARCHIVE-B", "DISC")
    assert c.read(at, 4096) == b"4" * 4096


def test_P1_all_units__one_has_a_section_of_its_own__is_one_drive(
        serve, target, media, clients):
    """Two would take each other's lock away."""
    target.add(1, media.a)
    target.start()
    s = serve({"own": drive(target, 1), "vault": all_of(target)}, flush_idle=0)
    s.mounted("ARCHIVE-A")
    until(lambda: "section of its own" in s.drives()["vault"]["changes_why"],
          "the reason")
    target.add(2, media.b)
    s.mounted("ARCHIVE-B")
    assert sorted(s.drives()) == ["own", "vault-2"]
    c = s.client("ARCHIVE-A")
    clients.append(c)
    at, _ = volumes.extent(media.a)
    c.write(at, b"5" * 4096)
    until(lambda: s.drives()["own"]["locked"], "the lock")
    assert target.update(1, "online=0", ok=False) != 0


def test_all_units_of_a_type_with_chap(serve, target, media, tmp_path):
    box(target, media)
    target.chap = ("archive", "correct-horse-99")
    target.start()
    secret = tmp_path / "secret"
    secret.write_text("correct-horse-99\n")
    secret.chmod(0o600)
    s = serve({"vault": all_of(target, type="cdrom", chap_user="archive",
                               chap_secret=str(secret))})
    s.mounted("DISC")
    assert list(s.drives()) == ["vault-2"]
    assert "correct-horse" not in s.run("status", "--json").stdout + s.stderr()


def test_all_units__a_name_is_taken__file_and_line(serve, target, media):
    box(target, media)
    target.start()
    with pytest.raises(AssertionError) as failure:
        serve({"vault": all_of(target), "vault-300": {"medium": media.b}})
    text = str(failure.value)
    assert "its unit 300 would be drive vault-300, which is there" in text
    assert re.search(r"\S+:\d+: drive vault: ", text), text


def test_P7_all_units__target_comes_after_the_service(serve, target, media,
                                                      clients):
    """Its drives are not known before; it is told so, and they come."""
    box(target, media)
    s = serve({"vault": all_of(target), "d2": {}})
    until(lambda: s.drives().get("vault"), "a line for the target")
    until(lambda: "cannot be reached" in s.drives()["vault"]["changes_why"],
          "the reason")
    seen = s.drives()["vault"]
    assert seen["state"] == "away" and seen["age_ms"] == -1
    assert "every few seconds" in seen["changes_why"]
    assert "vault" in s.run("status").stdout
    until(lambda: "drive vault: its target cannot be asked for its units"
          in s.stderr(), "a line of the log")
    done = s.run("eject", "vault")
    assert done.returncode != 0 and "means all units" in done.stderr
    target.start()
    s.mounted("ARCHIVE-A", "ARCHIVE-B", "DISC")
    assert sorted(s.drives()) == ["d2", "vault-1", "vault-2", "vault-300"]
    assert s.stderr().count("cannot be asked for its units") == 1
    for name in ("vault-1", "vault-2", "vault-300"):
        s.says(f"drive {name} is there now")
    c = s.client("drive:vault-1")
    clients.append(c)
    on_medium(c, media.a, b"5")


def test_P7_all_units__refused__away_with_the_reason__then_let_in(
        serve, target, media):
    box(target, media)
    target.chap = ("archive", "correct-horse-99")
    target.start()
    s = serve({"vault": all_of(target), "d2": {}})
    until(lambda: "(0201): it asks for chap-user" in
          s.drives()["vault"]["changes_why"], "the reason")
    assert "lets us not in" in s.drives()["vault"]["changes_why"]
    target.admin("--op", "unbind", "--mode", "account", "--tid", "1",
                 "--user", "archive")
    s.mounted("ARCHIVE-A", "ARCHIVE-B", "DISC")
    assert "vault" not in s.drives()


def test_all_units__none_is_a_drive__until_one_comes(serve, target, media):
    target.add(1, media.a)
    target.start()
    s = serve({"vault": all_of(target, type="cdrom"), "d2": {}})
    until(lambda: "is a drive of this type" in
          s.drives()["vault"]["changes_why"], "the reason")
    until(lambda: "drive vault: none of the" in s.stderr(), "a line of the log")
    target.add(2, media.cd, "cd")
    s.mounted("DISC")
    assert sorted(s.drives()) == ["d2", "vault-2"]


def test_all_units__the_target_gets_another_and_loses_one(serve, target, media,
                                                          clients):
    """It says REPORTED LUNS DATA HAS CHANGED; others go on meanwhile."""
    target.add(1, media.a)
    target.start()
    s = serve({"vault": all_of(target)})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    target.add(2, media.b)
    s.mounted("ARCHIVE-B")
    assert s.volume("ARCHIVE-B")["drive"] == "vault-2"
    s.says("drive vault-2 is there now")
    other = s.client("drive:vault-2")
    clients.append(other)
    assert other.read(0, 4096) == bytes_at(media.b, 0, 4096)
    target.admin("--op", "delete", "--mode", "logicalunit", "--tid", "1",
                 "--lun", "2")
    s.absent("ARCHIVE-B")
    away(s, "vault-2", "no such unit")
    on_medium(c, media.a, b"6")
    target.add(2, media.b)
    s.mounted("ARCHIVE-B")
    assert s.drives()["vault-2"]["state"] == "ready"


def test_all_units__asked_again_when_the_target_was_away(serve, target, media):
    target.add(1, media.a)
    target.start()
    s = serve({"vault": all_of(target)})
    s.mounted("ARCHIVE-A")
    target.kill()
    s.absent("ARCHIVE-A")
    target.add(3, media.b)
    target.start()
    s.mounted("ARCHIVE-A", "ARCHIVE-B")
    assert s.volume("ARCHIVE-B")["drive"] == "vault-3"


def test_all_units__no_second_session__asked_over_the_one_there_is(
        serve, target, media, clients):
    """A target that lets nobody else in, as one for a single session."""
    target.add(1, media.a)
    target.start()
    s = serve({"vault": all_of(target)})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    first = c.read(0, 4096)
    target.admin("--op", "unbind", "--mode", "target", "--tid", "1",
                 "-I", "ALL")
    done = subprocess.run([REINSERT, "probe", target.url(1)], text=True,
                          capture_output=True, timeout=HANG, check=False)
    assert done.returncode != 0, "a second session"
    target.add(2, media.b)
    s.mounted("ARCHIVE-B")
    assert s.volume("ARCHIVE-B")["drive"] == "vault-2"
    assert "cannot be asked" not in s.stderr()
    assert "is away" not in s.stderr()
    assert c.read(0, 4096) == first


@pytest.mark.skipif(not shutil.which("tgtimg"), reason="needs tgtimg")
def test_all_units__tape_drives_alone__new_units_are_found(serve, target,
                                                           media, tmp_path):
    """Nothing is sent to a tape drive that nobody uses: nothing tells."""
    for n in (1, 2):
        subprocess.run(["tgtimg", "--op", "new", "--device-type", "tape",
                        "--barcode", f"TAPE000{n}", "--size", "4", "--type",
                        "data", "--file", str(tmp_path / f"t{n}")],
                       check=True, stdout=subprocess.DEVNULL)
    target.add(1, tmp_path / "t1", "tape")
    target.start()
    s = serve({"vault": all_of(target), "d2": {}})
    until(lambda: "vault-1" in s.drives(), "the tape drive")
    target.add(2, tmp_path / "t2", "tape")
    until(lambda: "vault-2" in s.drives(), "another")
    assert s.drives()["vault-2"]["type"] == "tape"
    target.add(3, media.a)
    s.mounted("ARCHIVE-A")
    # And it is told by the disk now, not looked for.
    target.add(4, media.b)
    s.mounted("ARCHIVE-B")
    assert sorted(s.drives()) == ["d2", "vault-1", "vault-2", "vault-3",
                                  "vault-4"]


@pytest.mark.parametrize("when", ["away", "asked"])
def test_all_units__the_service_ends_while_it_asks(serve, deaf, media, when):
    """A target that takes connections and says nothing."""
    port = deaf if when == "asked" else 1
    s = serve({"d": {"medium": media.a}, "vault": {
        "port": "iscsi", "url": f"iscsi://127.0.0.1:{port}/{NAME}"}})

    def end():
        if s.stopped:
            s.start()
        s.mounted("ARCHIVE-A")
        return s.stop()
    shown(end, 5, "the end")


@pytest.mark.parametrize("given_by", ["file", "environment"])
def test_chap_secret__shown_nowhere(serve, target, media, tmp_path,
                                    monkeypatch, given_by):
    target.add(1, media.a)
    target.chap = ("archive", "correct-horse-99")
    target.start()
    keys = {"chap_user": "archive"}
    if given_by == "file":
        secret = tmp_path / "secret"
        secret.write_text("correct-horse-99\n")
        secret.chmod(0o600)
        keys["chap_secret"] = str(secret)
    else:
        monkeypatch.setenv("REINSERT_ISCSI_SECRET", "correct-horse-99")
    s = serve({"d1": drive(target, 1, **keys)})
    s.mounted("ARCHIVE-A")
    shown = s.run("status", "--json").stdout + s.run("status").stdout
    shown += s.run("drives", "--json").stdout + s.run("errors").stdout
    with open(f"/proc/{s.process.pid}/cmdline", encoding="utf-8") as words:
        shown += words.read() + s.stderr() + "\n".join(s.lines)
    assert "correct-horse" not in shown


def test_chap_secret_is_corrected__let_in_without_a_restart(serve, target,
                                                            media, tmp_path):
    target.add(1, media.a)
    target.add(2, media.b)
    target.chap = ("archive", "correct-horse-99")
    target.start()
    secret = tmp_path / "secret"
    secret.write_text("battery-staple-7\n")
    secret.chmod(0o600)
    keys = {"chap_user": "archive", "chap_secret": str(secret)}
    s = serve({"d1": drive(target, 1, **keys), "d2": {}})
    until(lambda: "(0201)" in s.drives()["d1"]["changes_why"], "the reason")
    secret.write_text("correct-horse-99\n")
    s.mounted("ARCHIVE-A")
    # And one that asks for all units.
    secret.write_text("battery-staple-7\n")
    s2 = serve({"vault": all_of(target, **keys), "d2": {}})
    until(lambda: "(0201)" in s2.drives()["vault"]["changes_why"], "the reason")
    secret.write_text("correct-horse-99\n")
    s2.mounted("ARCHIVE-A", "ARCHIVE-B")
    for one_of in (s, s2):
        shown = one_of.run("status", "--json").stdout + one_of.stderr()
        assert "horse" not in shown and "staple" not in shown


@pytest.fixture
def elsewhere(tmp_path):
    t = Target(tmp_path, host="127.0.0.2")
    yield t
    t.kill()


@pytest.mark.parametrize("reason", ["Temporary", "Permanent"])
def test_login_is_sent_on__to_another_portal(serve, target, elsewhere, media,
                                             reason):
    """RFC 7143, 11.13.5: 0101 and 0102, and where they end."""
    target.add(1, media.a)
    target.start()
    elsewhere.add(1, media.b)
    target.send_on(elsewhere.port, reason)
    s = serve({"d1": drive(target, 1), "d2": {}})
    away(s, "d1", f"sent on to 127.0.0.2:{elsewhere.port}: ")
    away(s, "d1", "cannot be reached")
    elsewhere.start()
    s.mounted("ARCHIVE-B")
    s2 = serve({"vault": all_of(target), "d2": {}})
    s2.mounted("ARCHIVE-B")
    assert s2.volume("ARCHIVE-B")["drive"] == "vault-1"
    # Both are gone; the configured one comes back, and serves by itself.
    elsewhere.kill()
    s.absent("ARCHIVE-B")
    target.restart()
    s.mounted("ARCHIVE-A")


def test_login_is_sent_on__to_nobody__is_told(serve, target, media):
    target.add(1, media.a)
    target.start()
    target.send_on(target.port)     # nobody is there
    s = serve({"d1": drive(target, 1), "d2": {}})
    away(s, "d1", f"sent on to 127.0.0.2:{target.port}: ")
    done = subprocess.run([REINSERT, "probe", target.url(1)], text=True,
                          capture_output=True, timeout=HANG)
    assert done.returncode != 0 and "sent on to 127.0.0.2:" in done.stderr


REFUSED = {
    "secret": "(0201): it does not take this chap-user and its secret",
    "none": "(0201): it asks for chap-user and chap-secret",
    "name": "(0203): there is no target of this name",
}


@pytest.mark.parametrize("why", REFUSED)
def test_P4_P7_login_refused__away_and_why__others_work(
        serve, target, media, tmp_path, why):
    """What the target says is in the log and in the status, no secret is."""
    target.add(1, media.a)
    if why != "name":
        target.chap = ("archive", "correct-horse-99")
    target.start()
    secret = tmp_path / "secret"
    secret.write_text("correct-horse-17\n")
    secret.chmod(0o600)
    keys = {"chap_user": "archive", "chap_secret": str(secret)}
    refused = drive(target, 1, **(keys if why == "secret" else {}))
    if why == "name":
        refused["url"] = refused["url"].replace(":t1/", ":t2/")
    s = serve({"d1": refused, "d2": {"medium": media.b}})
    s.mounted("ARCHIVE-B")
    away(s, "d1", "lets us not in")
    away(s, "d1", REFUSED[why])
    s.says(REFUSED[why])
    with open(f"/proc/{s.process.pid}/cmdline", encoding="utf-8") as cmdline:
        shown = cmdline.read() + s.run("status", "--json").stdout + s.stderr()
    assert "correct-horse" not in shown
    # Somebody mends it at the target.
    if why == "name":
        target.admin("--op", "new", "--mode", "target", "--tid", "2",
                     "-T", NAME.replace(":t1", ":t2"))
        target.admin("--op", "new", "--mode", "logicalunit", "--tid", "2",
                     "--lun", "1", "-b", str(media.a))
        target.admin("--op", "bind", "--mode", "target", "--tid", "2",
                     "-I", "ALL")
    else:
        target.admin("--op", "unbind", "--mode", "account", "--tid", "1",
                     "--user", "archive")
    s.mounted("ARCHIVE-A")
    until(lambda: "away" not in s.drives()["d1"]["changes_why"], "the end of it")


def test_P7_login_refused_later__told_while_it_lasts(one, target):
    """It let us in at first."""
    s, _ = one
    target.chap = ("archive", "correct-horse-99")
    target.restart()
    s.says("(0201): it asks for chap-user")
    away(s, "d1", "(0201)")
    target.admin("--op", "unbind", "--mode", "account", "--tid", "1",
                 "--user", "archive")
    s.mounted("ARCHIVE-A")
    until(lambda: "(0201)" not in s.drives()["d1"]["changes_why"],
          "the end of it")


@pytest.mark.parametrize("change, say", [
    ({"url": "iscsi://a%b@127.0.0.1/x/1"}, "chap-user"),
    ({"url": "nonsense"}, "line|url"),
    ({"medium": "/dev/null"}, "emulated"),
])
def test_bad_configuration_is_named(serve, target, media, change, say):
    target.add(1, media.a)
    target.start()
    keys = drive(target, 1)
    keys.update({k: v.format(port=target.port) for k, v in change.items()})
    with pytest.raises(AssertionError) as failure:
        serve({"d1": keys})
    assert any(word in str(failure.value) for word in say.split("|"))


def test_hands_on_a_real_drive_are_refused(one, media):
    s, _ = one
    done = s.run("yank", "d1")
    assert done.returncode != 0 and "real drive" in done.stderr
    done = s.run("insert", "d1", media.b)
    assert done.returncode != 0 and "real drive" in done.stderr


@pytest.mark.parametrize("change", ["identity", "content"])
def test_P6_changed_elsewhere__stays_that_until_somebody_answers(
        one, target, media, change):
    """A drive that announces nothing is verified again and again."""
    s, c = one
    at, _ = volumes.extent(media.a)
    first = c.read(at, 65536)
    target.kill()
    s.absent("ARCHIVE-A")
    if change == "identity":
        # Mounted elsewhere, that is: same numbers, another super block.
        subprocess.run(["tune2fs", "-C", "7", media.a], check=True,
                       capture_output=True)
    else:
        overwrite_at(media.a, at, b"e" * 65536)
    target.start()
    until(lambda: s.volume("ARCHIVE-A")["state"] == "changed elsewhere",
          "noticed")
    waiting = c.read_on(at, 4096)
    prompt = s.one_prompt("ARCHIVE-A")
    assert prompt["answers"] == ["use", "retry", "cancel"]
    until(lambda: "prompt 1: " in s.stderr(), "the question in the log")
    told = s.stderr().count("changed elsewhere")
    seen, end = set(), time.monotonic() + 4
    while not seen or time.monotonic() < end:
        state = s.volume("ARCHIVE-A")["state"]
        # What its content says is compared with it again and again.
        if change == "identity" or state != "replaying":
            seen.add(state)
        assert [(p["id"], p["title"]) for p in s.prompts()] == [
            (prompt["id"], prompt["title"])]
    assert seen == {"changed elsewhere"}
    assert s.stderr().count("changed elsewhere") == told
    s.answer(prompt, "retry")
    prompt = s.one_prompt("ARCHIVE-A")
    assert prompt["answers"] == ["use", "retry", "cancel"]
    waiting.waits(0.5)
    s.answer(prompt, "use")
    s.mounted("ARCHIVE-A")
    s.no_prompt()
    waiting.fails(errno.EIO)
    now = s.client("ARCHIVE-A").read(at, 65536)
    assert (now == first) == (change == "identity")


def test_silent_drive__each_look_verifies_its_medium_once(
        serve, target, media, clients, monkeypatch):
    """Every second, while another medium is asked for; each costs the drive as
    much as the sample of its blocks."""
    monkeypatch.setenv("REINSERT_TRACE", "verify")
    target.add(1, media.a)
    target.start()
    s = serve({"d1": drive(target, 1),
               "d2": {"type": "disk", "medium": media.b}})
    s.mounted("ARCHIVE-A", "ARCHIVE-B")
    c = s.client("ARCHIVE-B")
    clients.append(c)
    s.yank("d2")
    c.read_on(0, 4096)
    s.one_prompt("ARCHIVE-B")

    def verified():
        return [float(line.split()[0]) for line in s.stderr().splitlines()
                if "verify ARCHIVE-A: STATUS_SUCCESS" in line]

    before = len(verified())
    at = until(lambda: (lambda v: len(v) > 6 and v)(verified()[before + 1:]),
               "looks")
    # Some of them late, perhaps, and none of them twice.
    assert len(at) - 1 <= at[-1] - at[0] + 2, at
