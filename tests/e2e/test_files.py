"""A file system of somebody else's on an export: ext4 by fuse2fs, on the file
that nbdfuse makes of it, while its medium is pulled by the command line.

SPDX-License-Identifier: MIT
"""
import os
import shlex
import subprocess
import time

import pytest

import pages
import pulls
from house import HANG, until

PULLS = 20
SEED = int(os.environ.get("REINSERT_SEED", "20"))


def fuse_works():
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not fuse_works(), reason="no /dev/fuse here")


class Job:
    """A program, killed if it has to be; its words are in a file."""

    def __init__(self, folder, name, *words):
        self.log = os.path.join(str(folder), f"{name}.log")
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [str(w) for w in words], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)

    def over(self):
        return self.process.poll() is not None

    def good(self):
        assert self.process.wait(HANG) == 0, self.said()

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def close(self):
        if not self.over():
            self.process.kill()
        self.process.wait()


class Mounted:
    """folder/nbd/file is the export, folder/tree the file system on it; with
    the command lines of docs/clients.md."""

    def __init__(self, folder, service, export):
        self.folder = str(folder)
        self.file = os.path.join(self.folder, "nbd", "file")
        self.tree = os.path.join(self.folder, "tree")
        self.names = {"socket": service.nbd, "export": export,
                      "file": self.file, "folder": self.tree,
                      "files": os.path.dirname(self.file)}
        self.jobs = []
        os.makedirs(os.path.dirname(self.file))
        os.makedirs(self.tree)
        self._start("nbdfuse /")
        until(lambda: os.path.exists(self.file), "nbdfuse")
        self._start("fuse2fs ")
        until(lambda: os.path.ismount(self.tree), "fuse2fs")

    def _words(self, start):
        return shlex.split(pages.command(start, **self.names))

    def _start(self, start):
        words = self._words(start)
        self.jobs.append(Job(self.folder, words[0], *words))

    def copy(self, part):
        return Job(self.folder, "cp", "sh", "-c",
                   'cp -r "$0" "$1" && sync "$1"', part, self.tree)

    def unmount(self):
        for where in ("/mnt/archive", "/mnt/nbd"):
            subprocess.run(self._words(f"fusermount3 -u {where}"), check=True,
                           timeout=HANG)
            self.jobs.pop().good()

    def close(self):
        """Whatever is left; the one that waits for the export goes first."""
        for job in self.jobs:
            job.close()
        for where in (self.tree, os.path.dirname(self.file)):
            subprocess.run(["fusermount3", "-u", "-z", "-q", where],
                           check=False, timeout=HANG)


def test_P2_files_are_copied_while_the_medium_is_pulled(serve, tmp_path,
                                                        clients):
    began = time.monotonic()
    image = pulls.empty_volume(str(tmp_path / "right.img"), "ext4", "TREE", 48)
    wrong = [pulls.empty_volume(str(tmp_path / "other.img"), "vfat", "OTHER",
                                16),
             pulls.empty_volume(str(tmp_path / "same.img"), "ext4", "TREE",
                                48)]
    tree = pulls.Tree(tmp_path / "made", PULLS + 2, SEED)
    service = serve({"left": {"type": "disk", "medium": image,
                              "cache": "volatile"},
                     "right": {"type": "disk", "cache": "volatile"}})
    service.mounted("TREE")
    mounted = Mounted(tmp_path / "m", service, "TREE")
    clients.append(mounted)
    hands = pulls.Hands(service, image, SEED, wrong, cli=True)
    pulls.copy_under(hands, tree, mounted.copy, PULLS)
    mounted.unmount()
    said = hands.said()
    service.stop()
    print(f"\nfuse2fs: seed {SEED}, {said}; {len(tree.sums)} files, "
          f"{tree.bytes >> 10} KiB; {time.monotonic() - began:.0f} s",
          flush=True)
    assert pulls.fsck(image) is None
    assert tree.differences(image, tmp_path / "found") == []
    assert hands.pulls == hands.prompts >= PULLS
    assert hands.offers > 0 and hands.untouched()
    assert hands.dirty > 0
