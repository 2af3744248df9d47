"""What NBD clients see: names, sizes, flags, lists.

SPDX-License-Identifier: MIT
"""
import errno
import json
import os
import subprocess

import nbd
import pytest

from house import HANG, MIB, ApiError, Client, bytes_at, until, volumes


def nbdinfo(*words):
    done = subprocess.run(["nbdinfo", *words], text=True,
                          capture_output=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(s, name):
    with pytest.raises(nbd.Error):
        Client(s.uri(name)).close()


def test_by_label_by_uuid_and_by_drive(serve, media, clients):
    s = serve({"d0": {"type": "disk", "medium": media.a},
               "d1": {"type": "disk", "medium": media.b}})
    s.mounted("ARCHIVE-A", "ARCHIVE-B")
    want = bytes_at(media.a, 0, 65536)
    for name in ("ARCHIVE-A", volumes.probe(media.a)["UUID"], "drive:d0"):
        c = s.client(name)
        clients.append(c)
        assert c.size == os.path.getsize(media.a)
        assert c.read(0, 65536) == want
    c = s.client(volumes.probe(media.b)["UUID"])
    clients.append(c)
    assert c.read(0, 65536) == bytes_at(media.b, 0, 65536)
    for name in ("ARCHIVE-Z", "drive:d7", "drive:", "\u00fcmlaut", "x" * 4000):
        refused(s, name)


def test_labels_that_collide(serve, media, clients):
    """Named by UUID then; each UUID opens its own volume."""
    s = serve({"d0": {"type": "disk", "medium": media.a},
               "d1": {"type": "disk", "medium": media.a2}})
    images = {volumes.probe(i)["UUID"]: i for i in (media.a, media.a2)}
    s.mounted(*images)
    names = set(s.exports())
    assert set(images) <= names
    assert "ARCHIVE-A" not in names
    for uuid, image in images.items():
        c = s.client(uuid)
        clients.append(c)
        assert c.read(0, 65536) == bytes_at(image, 0, 65536)


def test_default_is_the_only_volume(serve, media, clients):
    s = serve({"d0": {"type": "disk", "medium": media.a},
               "d1": {"type": "disk"}})
    s.mounted("ARCHIVE-A")
    c = s.client("")
    clients.append(c)
    assert c.read(0, 4096) == bytes_at(media.a, 0, 4096)
    s.insert("d1", media.b)
    s.mounted("ARCHIVE-B")
    refused(s, "")


def test_list(serve, media):
    s = serve({"d0": {"type": "disk", "medium": media.a},
               "cd": {"type": "cdrom", "medium": media.cd}})
    s.mounted("ARCHIVE-A", "DISC")
    listing = json.loads(nbdinfo("--list", "--json",
                                 f"nbd+unix:///?socket={s.nbd}"))
    exports = {e["export-name"]: e for e in listing["exports"]}
    assert {"ARCHIVE-A", "DISC", "drive:d0", "drive:cd"} <= set(exports)
    a, cd = exports["ARCHIVE-A"], exports["DISC"]
    assert a["description"] and cd["description"]
    assert a["export-size"] == os.path.getsize(media.a)
    assert cd["export-size"] == os.path.getsize(media.cd)
    assert not a["is_read_only"] and cd["is_read_only"]
    assert "ARCHIVE-A" in nbdinfo("--list", f"nbd+unix:///?socket={s.nbd}")


def test_an_absent_volume_stays_with_its_size(serve, media, clients):
    s = serve({"d0": {"type": "disk", "medium": media.a}})
    s.mounted("ARCHIVE-A")
    size = os.path.getsize(media.a)
    want = bytes_at(media.a, MIB, 4096)
    s.yank("d0")
    s.absent("ARCHIVE-A")
    assert s.exports()["ARCHIVE-A"]["size_bytes"] == size
    info = json.loads(nbdinfo("--json", "--no-content", s.uri("ARCHIVE-A")))
    assert info["exports"][0]["export-size"] == size
    c = s.client("ARCHIVE-A")       # it can be opened while it is away
    clients.append(c)
    assert c.size == size
    read = c.read_on(MIB, 4096)
    s.one_prompt("ARCHIVE-A")
    s.insert("d0", media.a)
    assert read.good() == want


def test_a_cd_is_read_only(serve, media, clients):
    s = serve({"cd": {"type": "cdrom", "medium": media.cd}})
    s.mounted("DISC")
    before = volumes.checksum(media.cd)
    c = s.client("DISC")
    clients.append(c)
    assert c.handle.is_read_only()
    c.write_on(0, bytes(4096)).fails(errno.EPERM, errno.EIO, errno.EROFS)
    assert c.read(32768, 2048) == bytes_at(media.cd, 32768, 2048)
    assert volumes.checksum(media.cd) == before


def test_a_readonly_drive_makes_read_only_exports(serve, media, clients):
    s = serve({"d0": {"type": "disk", "medium": media.a, "readonly": "yes"}})
    s.mounted("ARCHIVE-A")
    before = volumes.checksum(media.a)
    for name in ("ARCHIVE-A", "drive:d0"):
        assert s.exports()[name]["read_only"]
        c = s.client(name)
        clients.append(c)
        assert c.handle.is_read_only()
        c.write_on(0, bytes(4096)).fails(errno.EPERM, errno.EIO, errno.EROFS)
    assert volumes.checksum(media.a) == before


def test_nbdcopy_there_and_back(serve, media, tmp_path):
    s = serve({"d0": {"type": "disk", "medium": media.a},
               "d1": {"type": "disk", "medium": media.blank},
               "cd": {"type": "cdrom", "medium": media.cd}})
    s.mounted("ARCHIVE-A", "DISC")
    copy = str(tmp_path / "copy")
    for name, image in (("ARCHIVE-A", media.a), ("DISC", media.cd)):
        subprocess.run(["nbdcopy", s.uri(name), copy], check=True, timeout=HANG)
        assert volumes.checksum(copy) == volumes.checksum(image)
        os.unlink(copy)
    source = volumes.make_blank(copy, os.path.getsize(media.blank) // MIB)
    with open(source, "r+b") as file:
        file.seek(MIB)
        file.write(os.urandom(3 * MIB))
    subprocess.run(["nbdcopy", "--flush", source, s.uri("drive:d1")],
                   check=True, timeout=HANG)
    s.eject("d1")
    assert volumes.checksum(media.blank) == volumes.checksum(source)


def test_holes_are_told(serve, media):
    s = serve({"d0": {"type": "disk", "medium": media.blank}})
    until(lambda: "drive:d0" in s.exports(), "the drive's export")
    extents = json.loads(nbdinfo("--map", "--json", s.uri("drive:d0")))
    assert sum(e["length"] for e in extents) == os.path.getsize(media.blank)


@pytest.mark.parametrize("name", ["odd name", "\u00fc \u4e2d", "a/b?c=d&e",
                                  "100%", "semi;colon", "quo'te\""])
def test_odd_names(serve, media, tmp_path, clients, name):
    """In a label, in the name of a drive, in the path of an image."""
    image = str(tmp_path / f"{name.replace('/', '_')}.img")
    label = name.encode()[:16].decode(errors="ignore")
    volumes.make_ext4(image, label, size_mib=8, stream_mib=1)
    s = serve({"d0": {"type": "disk"}})
    s.insert("d0", image)
    s.mounted(label)
    assert s.drives()["d0"]["medium"] == image
    c = s.client(label)
    clients.append(c)
    assert c.read(0, 65536) == bytes_at(image, 0, 65536)
    with pytest.raises(ApiError) as caught:
        s.insert(name, image)
    assert caught.value.status == 404
