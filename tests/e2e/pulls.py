"""pulls.py - a tree of files, and hands that pull the medium under it

What a real file system does on an export while its medium comes and goes:
Tree makes files and says what is on a medium afterwards, by the ordinary
tools; Hands pulls the medium when something is unflushed, waits until a
request has to wait, offers the wrong medium at times, and puts the right one
into any drive.

SPDX-License-Identifier: MIT
"""
import hashlib
import os
import random
import shutil
import subprocess

from house import steady, until, volumes

SIZES = [0, 1, 511, 4096, 4097, 10_000, 65_536, 100_001, 300_000]


class Tree:
    """Folders "part 00", "part 01", ... with files of all kinds of sizes."""

    def __init__(self, folder, parts, seed, files=9):
        self.folder = str(folder)
        self.dice = random.Random(seed)
        self.parts = []
        for n in range(parts):
            self.parts.append(os.path.join(self.folder, f"part {n:02}"))
            deep = os.path.join(self.parts[-1], "a folder in it", "another")
            os.makedirs(deep)
            for k in range(files):
                where = deep if k % 3 == 0 else self.parts[-1]
                name = f"file {k} " + "of a long name " * (k % 4) + ".bin"
                with open(os.path.join(where, name), "wb") as file:
                    file.write(self.dice.randbytes(
                        SIZES[(n + k) % len(SIZES)]))
        self.sums = sums(self.folder)
        self.bytes = sum(os.path.getsize(os.path.join(self.folder, p))
                         for p in self.sums)

    def differences(self, image, folder):
        """What is not as it was made, on this medium; read without us."""
        folder = str(folder)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        if volumes.probe(image)["TYPE"] == "vfat":
            volumes.tool("mcopy", "-n", "-s", "-i", image, "::/", folder)
        else:
            volumes.tool("debugfs", "-R", f"rdump / {folder}", image)
        shutil.rmtree(os.path.join(folder, "lost+found"), ignore_errors=True)
        found = sums(folder)
        return sorted(name for name in self.sums.keys() | found.keys()
                      if self.sums.get(name) != found.get(name))


def sums(folder):
    """{path within it: SHA-256} of the files in a folder."""
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            found[os.path.relpath(path, folder)] = volumes.checksum(path)
    return found


def empty_volume(image, kind, label, size_mib):
    if kind == "vfat":
        volumes.tool("mkfs.vfat", "-n", label, "-C", image, size_mib << 10)
    else:
        volumes.tool("mkfs.ext4", "-q", "-F", "-L", label, "-b", 4096, image,
                     f"{size_mib}M")
    return str(image)


def fsck(image):
    """None when the tool for its file system finds nothing to say."""
    if volumes.probe(image)["TYPE"] != "vfat":
        return volumes.fsck(image)
    done = subprocess.run(["fsck.vfat", "-n", image], env=volumes.ENV,
                          text=True, capture_output=True, check=False)
    return None if done.returncode == 0 else done.stdout + done.stderr


class Hands:
    """Two drives, one medium in the first; wrong: media to offer at times."""

    def __init__(self, service, image, seed, wrong=(), cli=False):
        self.s = service
        # Not by its name: that is another one after a namesake was seen.
        self.uuid = volumes.probe(image)["UUID"]
        self.image = image
        self.dice = random.Random(seed)
        self.wrong = {w: volumes.checksum(w) for w in wrong}
        self.drives = list(service.drives())
        self.cli = cli
        self.pulls = self.prompts = self.offers = self.dirty = 0

    def _do(self, verb, drive, *image):
        if not self.cli:
            getattr(self.s, verb)(drive, *image)
            return
        done = self.s.run(verb, drive, *image)
        assert done.returncode == 0, done.stderr

    def volume(self):
        return self.s.volume(self.uuid)

    def _unflushed(self):
        return self.volume()["unflushed_bytes"]

    def pull(self, busy, again, away=0.0):
        """In the middle of something: busy() is false when it is over, then
        again() begins something else.  Away for so many seconds."""
        least = self.dice.choice([1, 4096, 65_536, 200_000])
        until(lambda: self._unflushed() >= least or not busy(),
              "something to lose")
        self.dirty += self._unflushed() > 0
        self._do("yank", self.drives[0])
        self.pulls += 1
        prompt = until(lambda: self._question(busy, again), "a question")
        self.prompts += 1
        if self.wrong and self.dice.random() < 0.4:
            self._offer(prompt, self.dice.choice(sorted(self.wrong)))
        if away:
            steady(lambda: self.volume()["waiting"] > 0,
                   "a request that waits", away)
        self.dice.shuffle(self.drives)
        self._do("insert", self.drives[0], self.image)
        self.s.mounted(self.uuid)
        self.s.no_prompt()

    def _question(self, busy, again):
        if not busy():
            again()
        name = self.volume()["name"]
        mine = [p for p in self.s.prompts() if p["volume"] == name]
        assert len(mine) <= 1, mine
        return mine and mine[0]

    def _offer(self, prompt, wrong):
        self._do("insert", self.drives[1], wrong)
        until(lambda: self.s.drives()[self.drives[1]]["state"] == "ready",
              "the wrong medium in its drive")
        steady(lambda: [p["id"] for p in self.s.prompts()] == [prompt["id"]]
               and self.volume()["state"] == "absent",
               "the question, with the wrong medium", 0.2)
        self._do("yank", self.drives[1])
        assert volumes.checksum(wrong) == self.wrong[wrong]
        self.offers += 1

    def said(self):
        volume = self.volume()
        return (f"{self.pulls} pulls ({self.dirty} with unflushed writes), "
                f"{self.prompts} questions, {self.offers} wrong media, "
                f"{volume['replays']} replays")

    def untouched(self):
        return all(volumes.checksum(w) == s for w, s in self.wrong.items())


def copy_under(hands, tree, begin, pulls, pause=0.0):
    """begin(part) starts to copy and returns something with over() and
    good(); every part is under way when the medium is pulled, or begins
    while it is away.  More pulls than that, until one of them met unflushed
    writes: parts are copied once more for them."""
    jobs = []
    waiting = list(tree.parts)

    def again():
        jobs.append(begin(waiting.pop(0) if waiting else tree.parts[-1]))

    n = 0
    while n < pulls or (not hands.dirty and n < 10 * pulls):
        if not jobs or jobs[-1].over():
            again()
        hands.pull(lambda: not jobs[-1].over(), again,
                   pause if n == pulls // 2 else 0)
        n += 1
    while waiting:
        again()
    for job in jobs:
        job.good()
