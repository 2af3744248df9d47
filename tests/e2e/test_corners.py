"""Corners that were found the hard way: each of these once went wrong.

SPDX-License-Identifier: MIT
"""
import errno
import os
import random
import subprocess
import threading

import pytest

from house import HANG, MIB, bytes_at, steady, until, volumes


def plain(path, byte, size=8 * MIB):
    with open(path, "wb") as file:
        file.write(bytes([byte]) * size)
    return str(path)


def test_one_medium_carried_between_two_drives_under_load(
        serve, media, clients):
    offset, length = volumes.extent(media.a)
    s = serve({"left": {"type": "disk", "medium": media.a},
               "right": {"type": "disk"}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    stop = threading.Event()
    done, wrong = [], []

    def write():
        data = os.urandom(16384)
        try:
            while not stop.is_set():
                c.write(offset + random.randrange(length // 16384) * 16384,
                        data)
                done.append(1)
        except Exception as error:  # pylint: disable=broad-except
            wrong.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: done or wrong, "a write")
        drives = ["left", "right"]
        for _ in range(150):
            s.yank(drives[0])
            drives.reverse()
            s.insert(drives[0], media.a)
    finally:
        stop.set()
        writer.join(HANG)
    assert not writer.is_alive()
    assert not wrong, wrong
    s.no_prompt()
    c.flush()
    assert volumes.fsck(media.a) is None


def test_blank_medium_comes_back_when_a_person_says_so(
        serve, media, clients):
    s = serve({"disk": {"type": "disk", "medium": media.blank}})
    until(lambda: s.volumes(), "the volume")
    c = s.client("drive:disk")
    clients.append(c)
    s.yank("disk")
    write = c.write_on(4 * MIB, b"x" * 4096)
    until(lambda: len(s.prompts()) == 1, "the question")
    s.insert("disk", media.blank)
    # Blank media cannot be told apart: nobody but a person may say it is it.
    steady(lambda: len(s.prompts()) == 1, "the question")
    write.waits(0.1)
    s.answer(s.prompts()[0], "retry")
    write.good()
    s.no_prompt()
    c.flush()
    assert bytes_at(media.blank, 4 * MIB, 4096) == b"x" * 4096


@pytest.mark.parametrize("byte", [0x00, 0xF6, 0xFF])
def test_media_without_any_mark_are_not_taken_for_each_other(
        serve, tmp_path, clients, byte):
    one, two = plain(tmp_path / "one", byte), plain(tmp_path / "two", byte)
    s = serve({"disk": {"type": "disk", "medium": one}})
    until(lambda: s.volumes(), "the volume")
    c = s.client("drive:disk")
    clients.append(c)
    s.yank("disk")
    write = c.write_on(MIB, b"y" * 4096)
    until(lambda: len(s.prompts()) == 1, "the question")
    before = volumes.checksum(two)
    s.insert("disk", two)
    steady(lambda: len(s.prompts()) == 1, "the question")
    write.waits(0.1)
    assert volumes.checksum(two) == before
    s.answer(s.prompts()[0], "cancel")
    write.fails(errno.EIO)


def test_half_a_transfer_is_no_success(serve, media, clients):
    offset, _ = volumes.extent(media.a)
    where = f"lba {offset // 512}-{offset // 512 + 7}"
    s = serve({"disk": {"type": "disk", "medium": media.a, "fault": [
        f"at 1 write {where} do short 512", f"at 1 read {where} do short 512",
    ]}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    c.write_on(offset, b"z" * 4096).fails(errno.EIO)
    c.read_on(offset, 4096).fails(errno.EIO)
    c.write(offset, b"z" * 4096)
    assert c.read(offset, 4096) == b"z" * 4096


def test_a_volume_made_anew_by_its_client_is_still_known(
        serve, media, clients, tmp_path):
    """mkfs through the export; after the flush the new label is its name."""
    s = serve({"disk": {"type": "disk", "medium": media.a}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    made = volumes.make_ext4(str(tmp_path / "made.img"), "RENAMED")
    size = min(os.path.getsize(made), c.size)
    for at in range(0, size, MIB):
        c.write(at, bytes_at(made, at, min(MIB, size - at)))
    c.flush()
    s.yank("disk")
    read = c.read_on(0, 65536)
    until(lambda: len(s.prompts()) == 1, "the question")
    s.insert("disk", media.a)
    assert read.good() == bytes_at(made, 0, 65536)
    assert [v["label"] for v in s.volumes()] == ["RENAMED"]


def test_delayed_trim_with_flush_holds_up_nobody(serve, media, clients):
    """0x42 is UNMAP: its answer comes late, then the head is read again."""
    s = serve({"disk": {"type": "disk", "medium": media.a,
                        "fault": ["at 1 0x42 do delay 300"]},
               "other": {"type": "disk", "medium": media.b}})
    s.mounted("ARCHIVE-A", "ARCHIVE-B")
    script = ("import nbd\n"
              "h = nbd.NBD()\n"
              f"h.connect_uri({s.uri('ARCHIVE-A')!r})\n"
              f"h.pwrite(bytes(4096), {8 * MIB})\n"
              f"h.pwrite(h.pread(4096, 0), 0)\n"
              f"h.trim({MIB}, {9 * MIB}, nbd.CMD_FLAG_FUA)\n"
              f"h.pread(4096, 0)\n")
    subprocess.run(["/usr/bin/python3", "-c", script], check=True, timeout=HANG)


def test_a_drive_that_is_busy_for_a_while_is_not_given_up(
        serve, media, clients):
    offset, _ = volumes.extent(media.a)
    where = f"lba {offset // 512}-{offset // 512 + 7}"
    s = serve({"disk": {"type": "disk", "medium": media.a, "fault": [
        f"at {n} read {where} do busy" for n in range(1, 6)]}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    assert c.read(offset, 4096) == bytes_at(media.a, offset, 4096)
    s.no_prompt()
