"""The service is killed (SIGKILL) at any moment, by chance, and started again:
a crash is a yank.

The drives' caches are lost with it, as with a power cut: a sector may then
hold what the last flush promised, or anything that was written since, whole.

SPDX-License-Identifier: MIT
"""
import errno
import os
import random
import signal
import struct
import threading
import time
import zlib

import nbd
import pytest

from house import MIB, Fio, bytes_at, volumes

SEED = int(os.environ.get("REINSERT_SEED",
                          str(random.SystemRandom().randrange(1 << 32))))
KILLS = int(os.environ.get("REINSERT_KILLS", "15"))
NEVER = "3600"                          # seconds: nothing is flushed by itself
SECTOR = 512
HEAD = struct.Struct("<8sQQI")          # mark, sector, number, CRC of the rest


def sector(index, number):
    body = random.Random(number).randbytes(SECTOR - HEAD.size)
    return HEAD.pack(b"REINSERT", index, number, zlib.crc32(body)) + body


class Gone(Exception):
    """The connection ended, as it does when the service is killed."""


def good(request):
    error = request.wait()
    if error is not None:
        # That would be an answer, and the service has no reason to give it.
        assert error.errnum != errno.EIO, str(error)
        raise Gone


class Ledger:
    """What each sector of a range may hold: number 0 is the content that the
    range began with, others are those of writes."""

    def __init__(self, client, offset, length, dice):
        self.offset = offset
        self.first = client.read(offset, length)
        self.promised = [0] * (length // SECTOR)
        self.since = [[] for _ in self.promised]    # written after that
        self.acknowledged = list(self.promised)
        self.dice = dice
        self.number = 0
        self.writes = self.flushes = 0

    def write(self, client):
        """Like a program that hurries: some at a time, in places that do not
        overlap, and then waits for them."""
        under_way = []
        taken = set()
        for _ in range(self.dice.choice([1, 4, 16])):
            count = self.dice.choice([1, 1, 2, 8, 64])
            at = self.dice.randrange(len(self.promised) - count)
            if taken & set(range(at, at + count)):
                continue
            taken.update(range(at, at + count))
            self.number += 1
            data = b"".join(sector(s, self.number)
                            for s in range(at, at + count))
            for s in range(at, at + count):
                self.since[s].append(self.number)
            under_way.append((client.write_on(self.offset + at * SECTOR, data),
                              range(at, at + count), self.number))
        for request, sectors, number in under_way:
            good(request)
            self.writes += 1
            for s in sectors:
                self.acknowledged[s] = number

    def flush(self, client):
        good(client.flush_on())
        self.flushes += 1
        self.promised = list(self.acknowledged)
        self.since = [[] for _ in self.promised]

    def check(self, content, all_acknowledged):
        """Nothing that must be there is lost; then this is what there is."""
        lost = []
        for s, allowed in enumerate(self.since):
            found = content[s * SECTOR:(s + 1) * SECTOR]
            mine = HEAD.unpack_from(found)
            number = mine[2] if mine[0] == b"REINSERT" else 0
            whole = (found == sector(s, number) if number else
                     found == self.first[s * SECTOR:(s + 1) * SECTOR])
            least = (self.acknowledged if all_acknowledged
                     else self.promised)[s]
            if not whole or number < least or number not in (
                    [self.promised[s]] + allowed):
                lost.append((s, number, whole, least, allowed))
            self.promised[s] = self.acknowledged[s] = number
            self.since[s] = []
        assert not lost, (f"{len(lost)} sectors; the first (sector, found, "
                          f"whole, at least, written since): {lost[:5]}")


class Killer(threading.Thread):
    """Yanks now and then, and kills after a while."""

    def __init__(self, service, image, dice):
        super().__init__(daemon=True)
        self.s, self.image = service, image
        self.after = dice.choice([0.005, 0.05, 0.15, 0.4]) * dice.random()
        self.yanks = dice.choice([0, 0, 1, 3])
        self.put_back = dice.random() < 0.7
        self.done = 0
        self.error = None

    def run(self):
        try:
            for n in range(self.yanks):
                time.sleep(self.after / (self.yanks + 1))
                self.s.yank("left")
                self.done += 1
                if n + 1 < self.yanks or self.put_back:
                    self.s.insert("left", self.image)
            time.sleep(self.after / (self.yanks + 1))
        except Exception as error:      # told by the test
            self.error = error
        finally:
            self.s.process.send_signal(signal.SIGKILL)


def again(service, dice):
    """After a kill; at times it is killed while it mounts, or replays."""
    while True:
        service.process.wait()
        service.process.stdout.close()
        service.start()
        if dice.random() < 0.7:
            return
        time.sleep(dice.random() * 0.02)
        service.process.kill()


def hurry(client, ledger, dice):
    """Writes and flushes until the service is no more."""
    try:
        while True:
            ledger.write(client)
            if dice.random() < 0.15:
                ledger.flush(client)
    except (Gone, nbd.Error):
        pass


def keys_of(kind, folder):
    """What the service is told, so that a kill loses no more than this kind:
    flushed: what was not flushed; the others: nothing acknowledged."""
    return {"flush_idle": NEVER,
            **{"flushed": {}, "through": {"unflushed_limit": "0"},
               "logged": {"unflushed_log": str(folder / "log")}}[kind]}


@pytest.mark.parametrize("kind", ["flushed", "through", "logged"])
def test_P8_what_was_promised_survives_every_kill(serve, media, tmp_path,
                                                  kind):
    dice = random.Random(SEED)
    s = serve({"left": {"type": "disk", "medium": media.a,
                        "cache": "volatile"}}, **keys_of(kind, tmp_path))
    s.mounted("ARCHIVE-A")
    offset, _ = volumes.extent(media.a)
    c = s.client("ARCHIVE-A")
    ledger = Ledger(c, offset, MIB, dice)
    yanks = n = 0
    try:
        for n in range(KILLS):
            killer = Killer(s, media.a, dice)
            killer.start()
            hurry(c, ledger, dice)
            killer.join()
            assert killer.error is None, killer.error
            yanks += killer.done
            c.close()
            again(s, dice)
            s.mounted("ARCHIVE-A")
            c = s.client("ARCHIVE-A")
            ledger.check(c.read(offset, MIB), kind != "flushed")
    except AssertionError as broken:
        raise AssertionError(f"seed {SEED}, kill {n + 1}: {broken}\n"
                             f"{s.stderr()[-3000:]}") from broken
    print(f"\nkills, {kind}: seed {SEED}, {KILLS} kills, {yanks} yanks, "
          f"{ledger.writes} writes, {ledger.flushes} flushes", flush=True)
    ledger.write(c)
    ledger.flush(c)
    c.close()
    ledger.check(bytes_at(media.a, offset, MIB), True)
    assert volumes.fsck(media.a) is None


class Phases:
    """What fio wrote to the end, and a client flushed if there is no log,
    range by range."""

    def __init__(self, service, image, dice, logged):
        self.s, self.dice, self.logged = service, dice, logged
        self.fsync = 0 if logged else 64
        self.offset, _ = volumes.extent(image)
        self.done = {}
        self.count = 0

    def fio(self, place, keys, **more):
        return Fio(self.s.uri("ARCHIVE-A"), self.offset + place * MIB, MIB,
                   self.s.folder, **keys, **more)

    def write(self, place):
        """Begins; nothing is known of what was there."""
        self.done.pop(place, None)
        keys = {"randseed": self.dice.randrange(1 << 31),
                "bs": self.dice.choice(["4k", "16k"]),
                "iodepth": self.dice.choice([1, 8, 32])}
        self.count += 1
        return keys, self.fio(place, keys, do_verify=0, fsync=self.fsync)

    def ended(self, place, keys):
        if not self.logged:
            c = self.s.client("ARCHIVE-A")
            c.flush()
            c.close()
        self.done[place] = keys

    def verify(self, places):
        for place in places:
            self.fio(place, self.done[place], verify_only=1).good()


@pytest.mark.parametrize("kind", ["flushed", "logged"])
def test_P8_fio_finds_what_it_wrote_after_every_kill(serve, media, clients,
                                                     tmp_path, kind):
    dice = random.Random(SEED)
    s = serve({"left": {"type": "disk", "medium": media.a,
                        "cache": "volatile"}}, **keys_of(kind, tmp_path))
    s.mounted("ARCHIVE-A")
    phases = Phases(s, media.a, dice, kind == "logged")
    verified = yanks = 0
    for _ in range(max(3, KILLS // 4)):
        whole, broken = dice.sample(range(12), 2)
        keys, job = phases.write(whole)
        job.good()
        phases.ended(whole, keys)
        _, job = phases.write(broken)
        clients.append(job)
        killer = Killer(s, media.a, dice)
        killer.start()
        killer.join()
        assert killer.error is None, killer.error
        yanks += killer.done
        job.wait()
        again(s, dice)
        s.mounted("ARCHIVE-A")
        places = {whole, dice.choice(sorted(phases.done))}
        phases.verify(places)
        verified += len(places)
    phases.verify(phases.done)
    verified += len(phases.done)
    print(f"\nfio, {kind}: seed {SEED}, {max(3, KILLS // 4)} kills, {yanks} yanks, "
          f"{phases.count} runs, {verified} verified", flush=True)
    s.stop()
    assert volumes.fsck(media.a) is None
