"""volumes.py - real volumes made with the ordinary tools, for demo and tests

mkfs.ext4, mkfs.vfat, mtools, genisoimage and debugfs do the work; nothing of
Reinsert is used here, so that what they say afterwards is worth something.

SPDX-License-Identifier: MIT
"""
import hashlib
import os
import re
import subprocess
import urllib.parse

BLOCK = 4096
ENV = dict(os.environ, MTOOLS_SKIP_CHECK="1",
           PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def tool(*words, ok=(0,)):
    """Output of a tool; its words and output when it fails."""
    done = subprocess.run([str(w) for w in words], env=ENV, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, errors="replace")
    if done.returncode not in ok:
        raise RuntimeError(f"{' '.join(str(w) for w in words)}: exit "
                           f"{done.returncode}\n{done.stdout}")
    return done.stdout


def noise(path, size):
    """Bytes that no two files share; cheap."""
    with open(path, "wb") as file:
        left = size
        while left > 0:
            piece = os.urandom(min(left, 1 << 20))
            file.write(piece)
            left -= len(piece)


def make_ext4(image, label, size_mib=48, stream_mib=24, uuid=None):
    """A volume that holds /stream.bin, in blocks that follow each other."""
    folder = f"{image}.content"
    os.makedirs(folder)
    noise(os.path.join(folder, "stream.bin"), stream_mib << 20)
    with open(os.path.join(folder, "readme.txt"), "w",
              encoding="utf-8") as file:
        file.write(f"This is {label}.\n")
    more = ["-U", uuid] if uuid else []
    tool("mkfs.ext4", "-q", "-F", "-L", label, "-b", BLOCK, *more,
         "-d", folder, image, f"{size_mib}M")
    tool("rm", "-r", folder)
    return image


def make_fat(image, label, size_mib=32, serial=None):
    more = ["-i", serial] if serial else []
    tool("mkfs.vfat", "-n", label, *more, "-C", image, size_mib << 10)
    content = f"{image}.content"
    noise(content, 4 << 20)
    tool("mcopy", "-i", image, content, "::content.bin")
    os.unlink(content)
    return image


def make_iso(image, label, size_mib=16):
    folder = f"{image}.content"
    os.makedirs(folder)
    noise(os.path.join(folder, "content.bin"), size_mib << 20)
    tool("genisoimage", "-quiet", "-r", "-V", label, "-o", image, folder)
    tool("rm", "-r", folder)
    return image


def make_blank(image, size_mib=16):
    with open(image, "wb") as file:
        file.truncate(size_mib << 20)
    return image


def extent(image, name="/stream.bin"):
    """(offset, length) in bytes of a file that is one piece on an ext4."""
    text = tool("debugfs", "-R", f"blocks {name}", image)
    blocks = [int(w) for w in text.split("\n", 1)[-1].split() if w.isdigit()]
    if not blocks:
        raise RuntimeError(f"{image}: {name} has no blocks:\n{text}")
    if blocks != list(range(blocks[0], blocks[0] + len(blocks))):
        raise RuntimeError(f"{image}: {name} is in pieces")
    return blocks[0] * BLOCK, len(blocks) * BLOCK


def probe(image):
    """{TAG: value} as blkid sees the image itself."""
    text = tool("blkid", "-p", "-o", "export", image, ok=(0, 2))
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.M))


def checksum(image, without=None):
    """SHA-256 of an image, optionally without the range (offset, length)."""
    digest = hashlib.sha256()
    with open(image, "rb") as file:
        if without is None:
            ranges = [(0, os.path.getsize(image))]
        else:
            end = without[0] + without[1]
            ranges = [(0, without[0]), (end, os.path.getsize(image) - end)]
        for offset, length in ranges:
            file.seek(offset)
            while length > 0:
                piece = file.read(min(length, 1 << 20))
                digest.update(piece)
                length -= len(piece)
    return digest.hexdigest()


def fsck(image):
    """None when e2fsck finds nothing to say, else what it says."""
    done = subprocess.run(["e2fsck", "-fn", str(image)], env=ENV, text=True,
                          capture_output=True)
    return None if done.returncode == 0 else done.stdout + done.stderr


def uri(socket, export):
    name = urllib.parse.quote(export, safe="")
    return f"nbd+unix:///{name}?socket={urllib.parse.quote(str(socket))}"
