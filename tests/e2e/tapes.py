"""tapes.py - tape drives of a service as files, for the tests

SPDX-License-Identifier: MIT
"""
import fcntl
import os
import random
import struct
import subprocess

import house
from house import HANG, REINSERT, until

# <sys/mtio.h>
MTIOCTOP = 0x40086D01
MTIOCGET = 0x80306D02
MTIOCPOS = 0x80086D03
MTFSF, MTBSF, MTFSR, MTBSR, MTWEOF, MTREW, MTOFFL = range(1, 8)
MTEOM, MTSETBLK, MTSEEK = 12, 20, 22

BLANK = b""


def why_not():
    """Why FUSE cannot be used here, or None."""
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse"
    if os.geteuid() != 0:
        return "only root mounts without fusermount3"
    return None


def blank(path):
    with open(path, "wb"):
        pass
    return str(path)


class Mounted:
    """`reinsert tape mount`, in the foreground."""

    def __init__(self, service, folder, *drives, drive_is_there=True):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.log = self.folder + ".log"
        self.process = subprocess.Popen(
            [REINSERT, "tape", "mount", "--foreground", "--control",
             service.control, self.folder, *drives],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            stderr=open(self.log, "w", encoding="utf-8"))
        self.lines = []
        until(self.is_there if drive_is_there else self.is_mounted,
              "the tape files")

    def is_mounted(self):
        assert self.process.poll() is None, self.said()
        return os.path.exists(os.path.join(self.folder, "by-name"))

    def is_there(self):
        assert self.process.poll() is None, self.said()
        return os.path.exists(os.path.join(self.folder, "st0"))

    def said(self):
        with open(self.log, encoding="utf-8") as file:
            return file.read()

    def path(self, name):
        return os.path.join(self.folder, name)

    def unmount(self):
        subprocess.run(["fusermount3", "-u", self.folder], check=True)
        assert self.process.wait(HANG) == 0, self.said()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(HANG)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        subprocess.run(["fusermount3", "-u", "-z", "-q", self.folder],
                       check=False, capture_output=True)
        self.process.stdout.close()
        said = self.said()
        assert not house.SANITIZED.search(said), said[:6000]


class Tape:
    """An open tape file."""

    def __init__(self, path, flags=os.O_RDWR):
        self.fd = os.open(path, flags | os.O_CLOEXEC)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.fd >= 0:
            self.close()

    def close(self):
        fd, self.fd = self.fd, -1
        os.close(fd)

    def read(self, size=1 << 20):
        return os.read(self.fd, size)

    def write(self, data):
        return os.write(self.fd, data)

    def op(self, operation, count=1):
        fcntl.ioctl(self.fd, MTIOCTOP, struct.pack("hxxi", operation, count))

    def where(self):
        """The block that comes next, from the beginning of the tape."""
        reply = fcntl.ioctl(self.fd, MTIOCPOS, bytes(8))
        return struct.unpack("q", reply)[0]

    def status(self):
        names = ("type", "resid", "dsreg", "gstat", "erreg", "file", "block")
        reply = fcntl.ioctl(self.fd, MTIOCGET, bytes(48))
        return dict(zip(names, struct.unpack("qqqqqii", reply)))


def run(*words, good=True, **more):
    """A program as it is; what it said."""
    more = {"timeout": HANG, "capture_output": True, **more}
    done = subprocess.run([str(w) for w in words], **more,
                          env={**os.environ, "LC_ALL": "C"})
    if good:
        assert done.returncode == 0, (words, done.stderr)
    return done


def make_tree(folder, seed, size=3 << 20):
    """Files and folders as they come: long names, links, holes, nothing."""
    dice = random.Random(seed)
    folder = str(folder)
    os.makedirs(folder)
    made = 0
    for number in range(40):
        place = os.path.join(folder, f"d{dice.randrange(6)}",
                             "sub" * dice.randrange(1, 9))
        os.makedirs(place, exist_ok=True)
        path = os.path.join(place, f"file {number}" + "x" * dice.choice(
            [0, 3, 120]))
        length = dice.choice([0, 1, 511, 512, 10240, 65537, size // 16])
        with open(path, "wb") as file:
            file.write(dice.randbytes(length))
        made += length
        os.chmod(path, dice.choice([0o600, 0o644, 0o755]))
        if number % 9 == 4:
            os.symlink("../nowhere", path + ".link")
        if number % 9 == 5:
            os.link(path, path + ".twin")
    with open(os.path.join(folder, "large"), "wb") as file:
        file.write(dice.randbytes(max(0, size - made)))
    return folder


def same_trees(one, other):
    done = run("diff", "-r", "--no-dereference", one, other, good=False,
               text=True)
    assert done.returncode == 0, done.stdout[:2000]
    listing = ["find", ".", "-printf", "%P %m %l %n\\n"]
    first, second = (sorted(run(*listing, cwd=place).stdout.splitlines())
                     for place in (one, other))
    assert first == second
