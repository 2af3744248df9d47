"""Floppies, block sizes, and disks that 32 bits cannot count.

SPDX-License-Identifier: MIT
"""
import errno
import os
import struct
import subprocess
import zlib

import pytest

from house import HANG, MIB, bytes_at, until, volumes

TIB = 1 << 40


def sparse(path, size):
    """Skips where the file system cannot hold it."""
    with open(path, "wb") as file:
        try:
            file.truncate(size)
        except OSError as error:
            pytest.skip(f"no file of {size} bytes here: {error}")
    return str(path)


# --- floppies ------------------------------------------------------------------

def make_floppy(path, label, kib=1440, serial="0BADCAFE"):
    volumes.tool("mkfs.fat", "-n", label, "-i", serial, "-C", path, kib)
    note = f"{path}.note"
    with open(note, "w", encoding="utf-8") as file:
        file.write(f"This is {label}.\n" * 40)
    volumes.tool("mcopy", "-i", path, note, "::NOTE.TXT")
    return str(path)


def test_a_floppy_image_is_a_floppy(serve, tmp_path):
    image = make_floppy(tmp_path / "f.img", "FLOPPY-A")
    s = serve({"a": {"type": "floppy", "medium": image}})
    s.mounted("FLOPPY-A")
    drive = s.drives()["a"]
    assert drive["type"] == "floppy"
    assert drive["size_bytes"] == 1474560
    assert drive["block_bytes"] == 512
    assert "floppy" in s.run("status").stdout
    volume = s.volume("FLOPPY-A")
    assert volume["type"] == "vfat"
    assert volume["size_bytes"] == 1474560


@pytest.mark.parametrize("kib", [160, 180, 320, 360, 640, 720, 1200, 1440,
                                 2880])
def test_serve_makes_floppy_drives_for_floppy_images(serve, tmp_path, kib):
    """The size tells, as in: reinsert serve floppy.img"""
    image = sparse(tmp_path / "f.img", kib * 1024)
    s = serve({"x": {"type": "disk"}})
    s.stop()
    s.stopped = False
    s.process.stdout.close()
    s.start(image, "--nbd", f"unix:{s.nbd}", "--control", s.control)
    until(lambda: s.drives(), "drives")
    assert s.drives()["floppy0"]["type"] == "floppy"
    assert s.drives()["floppy0"]["size_bytes"] == kib * 1024


def test_mtools_on_a_floppy_through_nbd(serve, tmp_path, clients):
    image = make_floppy(tmp_path / "f.img", "FLOPPY-A")
    s = serve({"a": {"type": "floppy", "medium": image}})
    s.mounted("FLOPPY-A")
    c = s.client("FLOPPY-A")
    clients.append(c)
    copy = str(tmp_path / "copy.img")
    with open(copy, "wb") as file:
        file.write(c.read(0, c.size))
    assert volumes.checksum(copy) == volumes.checksum(image)
    # a file is added to the copy, and the difference written through NBD
    more = tmp_path / "more"
    more.write_bytes(os.urandom(200000))
    volumes.tool("mcopy", "-i", copy, more, "::MORE.BIN")
    for at in range(0, c.size, 18 * 512):
        track = bytes_at(copy, at, 18 * 512)
        if track != bytes_at(image, at, 18 * 512):
            c.write(at, track)
    c.flush()
    back = tmp_path / "back"
    volumes.tool("mcopy", "-n", "-i", image, "::MORE.BIN", back)
    assert back.read_bytes() == more.read_bytes()
    volumes.tool("fsck.fat", "-n", image)


def test_floppy_pulled_and_the_wrong_one(serve, tmp_path, clients):
    a = make_floppy(tmp_path / "a.img", "FLOPPY-A", serial="AAAA0001")
    b = make_floppy(tmp_path / "b.img", "FLOPPY-B", serial="BBBB0002")
    was = volumes.checksum(b)
    s = serve({"a": {"type": "floppy", "medium": a}})
    s.mounted("FLOPPY-A")
    c = s.client("FLOPPY-A")
    clients.append(c)
    data = os.urandom(512)
    s.yank("a")
    write = c.write_on(1474560 - 512, data)
    prompt = s.one_prompt("FLOPPY-A")
    write.waits()
    s.insert("a", b)
    s.mounted("FLOPPY-B")
    write.waits()
    assert s.one_prompt("FLOPPY-A")["volume"] == prompt["volume"]
    s.yank("a")
    s.insert("a", a)
    write.good()
    c.flush()
    s.no_prompt()
    assert bytes_at(a, 1474560 - 512, 512) == data
    assert volumes.checksum(b) == was


def test_write_protected_floppy(serve, tmp_path, clients):
    image = make_floppy(tmp_path / "f.img", "FLOPPY-A")
    s = serve({"a": {"type": "floppy", "medium": image, "readonly": "yes"}})
    s.mounted("FLOPPY-A")
    assert s.drives()["a"]["write_protected"]
    assert s.exports()["FLOPPY-A"]["read_only"]
    c = s.client("FLOPPY-A")
    clients.append(c)
    c.write_on(0, bytes(512)).fails(errno.EPERM)


# --- block sizes -----------------------------------------------------------------

def make_with_blocks(path, block):
    """A file system that counts in such blocks, where there is one."""
    if block == 2048:
        volumes.tool("mkfs.vfat", "-S", 2048, "-n", "BLOCKS", "-C", path,
                     32 << 10)
    else:
        volumes.tool("mkfs.ext4", "-q", "-F", "-L", "BLOCKS", "-b", 4096,
                     path, "32M")
    return str(path)


@pytest.mark.parametrize("block", [512, 2048, 4096])
def test_blocks_of_each_size(serve, tmp_path, clients, block):
    """Advertised, used, and a yank survived."""
    image = make_with_blocks(tmp_path / "d.img", block)
    size = os.path.getsize(image)
    s = serve({"d": {"type": "disk", "medium": image, "block-size": block}})
    s.mounted("BLOCKS")
    assert s.drives()["d"]["block_bytes"] == block
    assert s.volume("BLOCKS")["block_bytes"] == block
    c = s.client("BLOCKS")
    clients.append(c)
    assert c.handle.get_block_size(0) == block      # the minimum
    assert c.size == size
    data = os.urandom(block)
    c.write(size - block, data)
    c.flush()
    assert bytes_at(image, size - block, block) == data
    # with the disk out, a write of one block waits and lands
    s.yank("d")
    data = os.urandom(block)
    write = c.write_on(size - block, data)
    s.one_prompt("BLOCKS")
    write.waits()
    s.insert("d", image)
    write.good()
    c.flush()
    s.no_prompt()
    assert bytes_at(image, size - block, block) == data
    assert c.read(size - block, block) == data


@pytest.mark.parametrize("block", [512, 2048, 4096])
def test_parts_of_blocks_are_refused(serve, tmp_path, clients, block):
    """The protocol lets a server refuse what its minimum excludes."""
    image = make_with_blocks(tmp_path / "d.img", block)
    s = serve({"d": {"type": "disk", "medium": image, "block-size": block}})
    s.mounted("BLOCKS")
    c = s.client("BLOCKS")
    clients.append(c)
    before = volumes.checksum(image)
    c.read_on(0, block // 2).fails(errno.EINVAL)
    c.read_on(block // 2, block).fails(errno.EINVAL)
    c.write_on(block // 2, bytes(block)).fails(errno.EINVAL)
    c.write_on(0, bytes(block + block // 2)).fails(errno.EINVAL)
    c.read(0, block)
    assert volumes.checksum(image) == before


def test_a_block_size_that_floppies_do_not_have(tmp_path):
    from house import REINSERT
    config = tmp_path / "c.conf"
    config.write_text("[drive f]\ntype = floppy\nblock-size = 4096\n")
    done = subprocess.run([REINSERT, "serve", "--config", str(config)],
                          text=True, capture_output=True, timeout=HANG,
                          check=False)
    assert done.returncode != 0
    assert "4096" in done.stderr


# --- large disks ------------------------------------------------------------------

GUID = bytes(range(16))


def gpt(path, size, block=512):
    """A GPT with one partition, main and backup, as UEFI 2.10 (5.3) has it."""
    last = size // block - 1
    entries = bytearray(128 * 128)
    entries[0:56] = struct.pack(
        "<16s16sQQQ", bytes.fromhex("af3dc60f838472478e793d69d8477de4"),
        bytes(range(16, 32)), 2048, last - 2048, 0)
    count = len(entries) // block

    def header(mine, other, first):
        raw = bytearray(struct.pack(
            "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, mine, other,
            2 + count, last - count - 1, GUID, first, 128, 128,
            zlib.crc32(entries)))
        raw[16:20] = struct.pack("<I", zlib.crc32(raw))
        return raw

    with open(path, "r+b") as file:
        file.seek(446)
        file.write(struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff" * 3, 1,
                               min(last, 0xFFFFFFFF)))
        file.seek(510)
        file.write(b"\x55\xaa")
        for at, data in [(1, header(1, last, 2)), (2, entries),
                         (last - count, entries),
                         (last, header(last, 1, last - count))]:
            file.seek(at * block)
            file.write(data)


# 15 TiB is as much as a file may have on many a file system.
@pytest.mark.parametrize("tib", [3, 15])
def test_a_disk_beyond_32_bits(serve, tmp_path, clients, tib):
    image = sparse(tmp_path / "large.img", tib * TIB)
    gpt(image, tib * TIB)
    other = sparse(tmp_path / "other.img", tib * TIB)
    s = serve({"d": {"type": "disk", "medium": image}})
    until(lambda: s.volumes(), "a volume")
    volume = s.volumes()[0]
    assert volume["type"] == "gpt"
    assert volume["size_bytes"] == tib * TIB
    c = s.client(volume["name"])
    clients.append(c)
    assert c.size == tib * TIB
    # behind 2^32 blocks, and in the place that 32 bits would make of it
    at = (1 << 32) * 512 + 4096
    data = os.urandom(8192)
    c.write(at, data)
    c.flush()
    assert bytes_at(image, at, 8192) == data
    assert bytes_at(image, 4096, 8192) != data
    # the last block but those of the backup table
    end = tib * TIB - 512 * 40
    c.write(end, data[:512])
    c.read_on(tib * TIB - 512, 1024).fails(errno.EINVAL)
    # pulled, another one, and back
    s.yank("d")
    write = c.write_on(end, data[512:1024])
    s.one_prompt(volume["name"])
    s.insert("d", other)
    write.waits()
    s.yank("d")
    s.insert("d", image)
    write.good()
    c.flush()
    s.no_prompt()
    assert bytes_at(image, end, 512) == data[512:1024]
    assert os.stat(other).st_blocks == 0
    assert os.stat(image).st_blocks * 512 < MIB


def test_identity_at_the_end_of_a_large_disk(serve, tmp_path):
    """An md member of version 1.0 is known by its last blocks."""
    size = 3 * TIB
    image = sparse(tmp_path / "md.img", size)
    # linux/raid/md_p.h: the superblock lies 8 KiB before the end, at 4 KiB
    at = (size // 512 - 16) // 8 * 8
    block = bytearray(256 + 2 * 2)
    struct.pack_into("<III", block, 0, 0xA92B4EFC, 1, 0)
    block[16:32] = GUID
    block[32:37] = b"large"
    struct.pack_into("<QiiQII", block, 64, 0, 1, 0, size // 512 - 16, 0, 2)
    struct.pack_into("<QQQ", block, 128, 0, size // 512 - 16, at)
    block[168:184] = bytes(range(16, 32))
    struct.pack_into("<I", block, 220, 2)
    block[256:260] = struct.pack("<HH", 0, 1)
    total = sum(struct.unpack(f"<{len(block) // 4}I", block))
    struct.pack_into("<I", block, 216,
                     ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
    with open(image, "r+b") as file:
        file.seek(at * 512)
        file.write(block)
    want = volumes.probe(image)
    s = serve({"d": {"type": "disk", "medium": image}})
    until(lambda: s.volumes(), "a volume")
    volume = s.volumes()[0]
    assert want["TYPE"] == volume["type"] == "linux_raid_member"
    assert want["UUID"] == volume["uuid"]
