"""The log on disk: nothing acknowledged is lost, killed at any instant.

The drives have a write cache that dies with the service (cache = volatile).

SPDX-License-Identifier: MIT
"""
import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import nbd
import pytest

from house import HANG, MIB, REINSERT, bytes_at, until, volumes
from test_unflushed import Model, read_much, unflushed

NEVER = "3600"
SEED = int(os.environ.get("REINSERT_SEED", "11"))
KILLS = int(os.environ.get("REINSERT_KILLS", "20"))


@pytest.fixture
def logged(serve, media, clients, tmp_path):
    """start(**keys) -> (service, client): A in `left`, `right` empty"""
    def start(cache="volatile", log=None, **keys):
        s = serve({"left": {"type": "disk", "medium": media.a,
                            "cache": cache},
                   "right": {"type": "disk", "cache": cache}},
                  unflushed_log=str(log or tmp_path / "log"), **keys)
        s.logs = str(log or tmp_path / "log")
        s.mounted("ARCHIVE-A")
        c = s.client("ARCHIVE-A")
        clients.append(c)
        return s, c
    return start


def logs(s):
    return sorted(n for n in os.listdir(s.logs) if n != "lock")


def state(s):
    return s.call("GET", "/v1/status")["service"]["unflushed_log"]


def without_medium(s):
    """The next start finds the drives empty."""
    with open(s.config, encoding="utf-8") as file:
        lines = [x for x in file if not x.startswith("medium")]
    with open(s.config, "w", encoding="utf-8") as file:
        file.writelines(lines)


def flushed(s):
    until(lambda: unflushed(s) == 0, "replayed")


def test_P8_killed_after_the_acknowledgement(logged, media):
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    assert len(logs(s)) == 1 and logs(s)[0].endswith(".unflushed")
    s.kill()
    assert not model.on(media.a), "the drive lost nothing: no test"
    s.start()
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert model.on(media.a)
    assert s.volume("ARCHIVE-A")["replays"] == 1
    assert not s.prompts()
    assert volumes.fsck(media.a) is None
    s.stop()
    assert logs(s) == []


def test_P8_the_medium_comes_later_into_another_drive(logged, media):
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    s.kill()
    without_medium(s)
    s.start()
    assert s.volume("ARCHIVE-A")["state"] == "absent"
    assert unflushed(s) > 0
    told, = s.call("GET", "/v1/recovery")["recovery"]
    assert told["volume"] == "ARCHIVE-A" and told["drive"] == "left"
    assert os.path.basename(told["file"]) in logs(s)
    assert told["bytes"] == unflushed(s)
    s.insert("left", media.c)
    assert s.volume("ARCHIVE-A")["state"] == "absent"
    s.insert("right", media.a)
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert model.on(media.a)
    assert s.call("GET", "/v1/recovery")["recovery"] == []
    assert volumes.fsck(media.a) is None


def test_P8_requests_wait_for_it_after_the_restart(logged, media, clients):
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    s.kill()
    without_medium(s)
    s.start()
    again = s.client("ARCHIVE-A")
    clients.append(again)
    read = again.read_on(model.offset, len(model.content))
    prompt = s.one_prompt("ARCHIVE-A")
    assert prompt["drive"] == "left"
    s.insert("right", media.a)
    assert read.good() == bytes(model.content)
    s.no_prompt()


def test_P6_changed_elsewhere_after_a_kill_is_a_question(logged, media,
                                                        clients):
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    read_much(c, model)
    model.write(c)
    s.kill()
    other = os.urandom(len(model.content))
    with open(media.a, "r+b") as file:
        file.seek(model.offset)
        file.write(other)
    s.start()
    until(lambda: s.volume("ARCHIVE-A")["state"] == "changed elsewhere",
          "noticed")
    assert bytes_at(media.a, model.offset, len(other)) == other
    again = s.client("ARCHIVE-A")
    clients.append(again)
    read = again.read_on(model.offset, 4096)
    prompt = s.one_prompt("ARCHIVE-A")
    assert prompt["answers"] == ["use", "retry", "cancel"]
    name = s.answer(prompt, "use")["prompt"]["recovery"]
    read.fails(errno.EIO)
    assert os.path.dirname(name) == s.recovery
    s.mounted("ARCHIVE-A")
    assert bytes_at(media.a, model.offset, len(other)) == other
    s.stop()
    assert logs(s) == []


def test_P5_cancel_after_a_kill_leaves_a_recovery_file(logged, media, clients):
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    s.kill()
    without_medium(s)
    s.start()
    again = s.client("ARCHIVE-A")
    clients.append(again)
    read = again.read_on(model.offset, 4096)
    name = s.answer(s.one_prompt("ARCHIVE-A"), "cancel")["prompt"][
        "recovery"]
    read.fails(errno.EIO)
    assert unflushed(s) == 0
    s.kill()
    r = subprocess.run([REINSERT, "recover", "apply", name, "--to", media.a],
                       text=True, capture_output=True, timeout=HANG)
    assert r.returncode == 0, r.stderr
    assert model.on(media.a)
    s.start()
    assert s.volume("ARCHIVE-A") is None, "the log was to be void"


def test_P5_killed_when_the_recovery_file_is_there_and_the_log_still_is(
        logged, media, clients, monkeypatch):
    """The file is what counts: told once, and nothing is replayed."""
    monkeypatch.setenv("REINSERT_FAULT", "kept:1")
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    before = bytes_at(media.a, model.offset, len(model.content))
    model.write(c, 40)
    s.yank("left")
    s.absent("ARCHIVE-A")
    read = c.read_on(model.offset, 4096)
    prompt = s.one_prompt("ARCHIVE-A")
    with contextlib.suppress(Exception):    # it dies before it answers
        s.answer(prompt, "cancel")
    assert s.process.wait(HANG) == -signal.SIGKILL
    del read
    files = [n for n in os.listdir(s.recovery) if n.endswith(".recovery")]
    assert len(files) == 1 and len(logs(s)) == 1, "both, or no test"
    monkeypatch.delenv("REINSERT_FAULT")
    s.start()
    s.mounted("ARCHIVE-A")
    assert s.volume("ARCHIVE-A")["replays"] == 0
    assert bytes_at(media.a, model.offset, len(model.content)) == before
    assert logs(s) == []
    kept = s.call("GET", "/v1/recovery")["recovery"]
    assert [os.path.basename(k["file"]) for k in kept] == files
    s.says("killed before it could say so")
    s.stop()
    assert s.stderr().count("killed before it could say so") == 1
    s.start()
    s.mounted("ARCHIVE-A")
    s.yank("left")
    s.absent("ARCHIVE-A")
    assert s.stderr().count("killed before it could say so") == 1, "once"
    done = recover("apply", os.path.join(s.recovery, files[0]), "--to",
                   media.a)
    assert done.returncode == 0, done.stderr
    assert model.on(media.a)


def test_P5_a_recovery_file_of_an_older_state_of_the_log_voids_nothing(
        logged, media, clients):
    """The same log, with what was written after the volume came back."""
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    c.write(model.offset, b"o" * 4096)
    s.yank("left")
    s.absent("ARCHIVE-A")
    read = c.read_on(model.offset, 4096)
    s.answer(s.one_prompt("ARCHIVE-A"), "cancel")
    read.fails()
    s.insert("left", media.a)
    s.mounted("ARCHIVE-A")
    model = Model(media.a)
    d = s.client("ARCHIVE-A")
    clients.append(d)
    model.write(d, 40)
    assert len(logs(s)) == 1
    s.kill()
    s.start()
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert model.on(media.a)


def test_an_orderly_end_while_it_is_away_keeps_the_log(logged, media):
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    s.yank("left")
    s.absent("ARCHIVE-A")
    c.close()
    s.stop()
    name, = logs(s)
    assert name in s.stderr() and not os.path.isdir(s.recovery)
    s.stopped = False
    s.start()
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert model.on(media.a)


def recover(*words):
    return subprocess.run([REINSERT, "recover", *words], text=True,
                          capture_output=True, timeout=HANG)


def test_recover_reads_a_log_without_a_service(logged, media):
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    read_much(c, model)
    model.write(c)
    c.write(model.offset, b"f" * 4096, nbd.CMD_FLAG_FUA)
    model.content[:4096] = b"f" * 4096
    s.kill()
    listed = recover("list", s.logs).stdout.rstrip("\n").split("\t")
    assert listed[0] == "recovery" and listed[2] == "ARCHIVE-A"
    name = listed[1]
    assert os.path.basename(name) in logs(s)
    assert recover("show", name).stdout.startswith("data\t")
    assert recover("apply", name, "--to", media.c).returncode == 1
    r = recover("apply", name, "--to", media.a)
    assert r.returncode == 0, r.stderr
    assert model.on(media.a)
    s.start()
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert model.on(media.a) and not s.prompts()


def test_what_was_flushed_is_not_replayed(logged, media):
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c, 100)
    c.flush()
    assert unflushed(s) == 0
    s.kill()
    other = bytes(reversed(model.content))
    with open(media.a, "r+b") as file:
        file.seek(model.offset)
        file.write(other)
    s.start()
    s.mounted("ARCHIVE-A")
    assert bytes_at(media.a, model.offset, len(other)) == other
    assert not s.prompts()


def test_a_write_with_fua_is_not_undone_by_a_replay(logged, media):
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    c.write(model.offset, b"a" * 8192)
    c.write(model.offset, b"b" * 4096, nbd.CMD_FLAG_FUA)
    assert bytes_at(media.a, model.offset, 4096) == b"b" * 4096
    s.kill()
    s.start()
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert bytes_at(media.a, model.offset, 8192) == b"b" * 4096 + b"a" * 4096


def test_a_drive_without_a_cache_logs_nothing(logged, media):
    s, c = logged(cache="none", flush_idle=NEVER)
    model = Model(media.a)
    model.write(c, 50)
    assert logs(s) == []
    assert model.on(media.a)


class Writer(threading.Thread):
    """Writes pieces of 4 KiB, several at a time, and knows which of them were
    acknowledged last."""

    def __init__(self, s, model, seed):
        super().__init__()
        self.dice = random.Random(seed)
        self.handle = nbd.NBD()
        self.handle.connect_uri(s.uri("ARCHIVE-A"))
        self.offset = model.offset
        self.pages = len(model.content) // 4096
        self.model = model
        self.maybe = {}                 # page -> what it may be instead
        self.acknowledged = 0

    def turn(self, pending):
        self.handle.poll(50)
        for cookie, (page, data) in list(pending.items()):
            if self.handle.aio_command_completed(cookie):
                del pending[cookie]
                if page is None:
                    continue
                at = page * 4096
                self.model.content[at:at + 4096] = data
                self.maybe.pop(page, None)
                self.acknowledged += 1

    def send(self, pending):
        page = self.dice.randrange(self.pages)
        what = self.dice.random()
        if what < 0.01:
            pending[self.handle.aio_flush()] = (None, None)
        elif page not in self.maybe:
            data = self.dice.randbytes(4096)
            self.maybe[page] = data
            buffer = nbd.Buffer.from_bytearray(bytearray(data))
            flags = nbd.CMD_FLAG_FUA if what < 0.05 else 0
            self.keep = getattr(self, "keep", [])[-64:] + [buffer]
            pending[self.handle.aio_pwrite(
                buffer, self.offset + page * 4096, flags=flags)] = (page, data)

    def run(self):
        pending = {}
        try:
            while True:
                while len(pending) < 8:
                    self.send(pending)
                self.turn(pending)
        except nbd.Error:
            pass                        # the service was killed


def check(model, writer, image):
    found = bytes_at(image, model.offset, len(model.content))
    for page in range(len(found) // 4096):
        at = page * 4096
        now, want = found[at:at + 4096], model.content[at:at + 4096]
        if now != want and now == writer.maybe.get(page):
            model.content[at:at + 4096] = now
        assert model.content[at:at + 4096] == now, (
            f"page {page} is lost or misplaced")


def test_P8_killed_at_any_instant_under_writes(logged, media, clients):
    s, c = logged(flush_idle="0.05")
    c.close()
    model = Model(media.a)
    dice = random.Random(SEED)
    total = 0
    print(f"REINSERT_SEED={SEED}")
    for n in range(KILLS):
        writer = Writer(s, model, SEED * 1000 + n)
        writer.start()
        least = dice.randrange(1, 600)
        until(lambda: writer.acknowledged >= least or not writer.is_alive(),
              "writes")
        time.sleep(dice.uniform(0, 0.01))   # the instant, nothing else
        s.kill()
        writer.join()
        total += writer.acknowledged
        s.start()
        s.mounted("ARCHIVE-A")
        flushed(s)
        assert not s.prompts()
        check(model, writer, media.a)
    assert total >= KILLS
    assert volumes.fsck(media.a) is None


def test_a_torn_tail_loses_nothing_acknowledged(logged, media):
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c, 50)
    s.kill()
    name, = logs(s)
    with open(os.path.join(s.logs, name), "ab") as file:
        file.write(os.urandom(10000))
    s.start()
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert model.on(media.a)


def test_a_damaged_log_is_set_aside(logged, media):
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c, 50)
    s.kill()
    name, = logs(s)
    with open(os.path.join(s.logs, name), "r+b") as file:
        file.seek(65536 + 100)
        file.write(b"\xff" * 8)
    s.start()
    s.mounted("ARCHIVE-A")
    assert logs(s) == [name + ".damaged"]
    until(lambda: name + ".damaged" in s.stderr(), "told")
    assert name + ".damaged" in state(s)["warning"]
    assert name + ".damaged" in s.run("status").stdout


def test_what_is_no_log_is_left_alone_and_named(logged, media):
    s, c = logged()
    s.stop()
    with open(os.path.join(s.logs, "notes"), "w", encoding="utf-8") as file:
        file.write("mine")
    with open(os.path.join(s.logs, "x.unflushed"), "w",
              encoding="utf-8") as file:
        file.write("not one")
    s.stopped = False
    s.start()
    s.mounted("ARCHIVE-A")
    assert logs(s) == ["notes", "x.unflushed.damaged"]
    s.says("notes")
    s.says("x.unflushed")


def test_two_services_cannot_share_a_folder(logged, media, tmp_path):
    s, c = logged()
    config = tmp_path / "second.conf"
    config.write_text(f"[service]\nunflushed-log = {s.logs}\n"
                      f"nbd = unix:{tmp_path}/2n\ncontrol = {tmp_path}/2c\n"
                      "[drive d]\ntype = disk\n")
    r = subprocess.run([REINSERT, "serve", "--config", str(config)],
                       text=True, capture_output=True, timeout=HANG)
    assert r.returncode == 1
    assert f"{s.logs} is used by another service" in r.stderr


@pytest.fixture
def small_disk(tmp_path):
    where = tmp_path / "small"
    where.mkdir()
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs",
                        str(where)], capture_output=True, check=False)
    if r.returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def fill(s, c, model):
    """It is tried again after a while: until there is no room once more."""
    def full():
        model.write(c, 60)
        return state(s)["state"] == "flush-through"
    until(full, "a full disk")


def test_a_full_log_disk_means_flush_through_and_a_warning(
        logged, media, small_disk):
    s, c = logged(log=small_disk, flush_idle=NEVER)
    model = Model(media.a)
    fill(s, c, model)
    until(lambda: "warning: the log of unflushed data fails" in s.stderr(),
          "told")
    assert "flush-through" in s.run("status").stdout
    with open(small_disk / "filler", "wb") as file:
        try:
            file.write(bytes(MIB))
        except OSError:
            pass
    model.write(c, 50)
    s.kill()
    s.start()
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert model.on(media.a), "flush-through lost something"
    os.unlink(small_disk / "filler")


def test_it_logs_again_when_there_is_room(logged, media, small_disk):
    filler = small_disk / "filler"
    s, c = logged(log=small_disk, flush_idle=NEVER)
    with open(filler, "wb") as file:
        file.write(bytes(300 << 10))
    model = Model(media.a)
    fill(s, c, model)
    os.unlink(filler)

    def again():
        c.write(model.offset, b"x" * 4096)
        model.content[:4096] = b"x" * 4096
        return state(s)["state"] == "logging"
    until(again, "logging again")
    until(lambda: "works again" in s.stderr(), "told")
    c.write(model.offset + 4096, b"y" * 4096)
    model.content[4096:8192] = b"y" * 4096
    assert unflushed(s) > 0
    s.kill()
    s.start()
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert model.on(media.a)


@pytest.fixture
def fix():
    """Makes a file one that nothing can be done to, until the end"""
    files = []

    def make(path):
        r = subprocess.run(["chattr", "+i", str(path)], capture_output=True,
                           check=False)
        if r.returncode != 0:
            pytest.skip("no file can be made immutable here")
        files.append(path)
    yield make
    for path in files:
        subprocess.run(["chattr", "-i", str(path)], capture_output=True,
                       check=False)


@pytest.mark.parametrize("after", ["flush", "write"])
def test_P8_a_log_that_cannot_be_voided_is_not_replayed(
        logged, media, fix, after, tmp_path):
    kept = tmp_path / "kept"
    s, c = logged(flush_idle=NEVER, recovery_dir=str(kept))
    c.write(4 * MIB, b"a" * 4096)
    log = os.path.join(s.logs, logs(s)[0])
    fix(log)
    if after == "flush":
        c.flush()
        c.write(4 * MIB, b"b" * 4096, nbd.CMD_FLAG_FUA)
    else:
        c.write(4 * MIB, b"b" * 4096)
    until(lambda: "does not count any more" in s.stderr(), "told")
    assert [n for n in os.listdir(kept) if n.endswith(".void")]
    s.kill()
    subprocess.run(["chattr", "-i", log], check=True)
    s.start()
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert bytes_at(media.a, 4 * MIB, 4096) == b"b" * 4096
    assert not s.prompts()
    assert not os.path.exists(log) and not os.listdir(kept)


def test_P8_a_stale_log_that_nothing_can_name_stops_writes_until_it_can(
        logged, media, fix, tmp_path, monkeypatch):
    """Not overwritten, cut, removed or marked: what is acknowledged stays."""
    monkeypatch.setenv("REINSERT_FAULT", "void-mark:1+")
    s, c = logged(flush_idle=NEVER, recovery_dir=str(tmp_path / "kept"))
    c.write(4 * MIB, b"a" * 4096)
    log = os.path.join(s.logs, logs(s)[0])
    fix(log)
    c.write_on(4 * MIB, b"b" * 4096).fails()
    until(lambda: "takes no writes" in s.stderr(), "told")
    assert "takes no writes" in s.run("status").stdout
    for flags in (0, nbd.CMD_FLAG_FUA):
        c.write_on(5 * MIB, b"c" * 4096, flags).fails()
    c.flush()
    assert c.read(6 * MIB, 4096) is not None
    s.kill()
    subprocess.run(["chattr", "-i", log], check=True)
    monkeypatch.delenv("REINSERT_FAULT")
    s.start()
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert bytes_at(media.a, 4 * MIB, 4096) == b"a" * 4096
    assert bytes_at(media.a, 5 * MIB, 4096) != b"c" * 4096


def test_P8_a_stale_log_that_can_be_voided_again_lets_writes_go_on(
        logged, media, fix, tmp_path, monkeypatch):
    monkeypatch.setenv("REINSERT_FAULT", "void-mark:1+")
    s, c = logged(flush_idle=NEVER, recovery_dir=str(tmp_path / "kept"))
    c.write(4 * MIB, b"a" * 4096)
    log = os.path.join(s.logs, logs(s)[0])
    fix(log)
    c.write_on(4 * MIB, b"b" * 4096).fails()
    subprocess.run(["chattr", "-i", log], check=True)

    def goes():
        return c.write_on(4 * MIB, b"d" * 4096).wait() is None
    until(goes, "written again")
    # The first one that goes may be flushed instead: another one has to come.
    until(lambda: goes() and state(s)["state"] == "logging", "logging again")
    s.kill()
    s.start()
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert bytes_at(media.a, 4 * MIB, 4096) == b"d" * 4096


def test_P8_a_log_that_does_not_count_and_stays_is_left_out(
        logged, media, fix, tmp_path):
    s, c = logged(flush_idle=NEVER, recovery_dir=str(tmp_path / "kept"))
    c.write(4 * MIB, b"a" * 4096)
    log = os.path.join(s.logs, logs(s)[0])
    fix(log)
    c.write(4 * MIB, b"b" * 4096)
    s.kill()
    for _ in range(2):
        s.start()
        s.mounted("ARCHIVE-A")
        until(lambda: "cannot be removed" in s.stderr(), "told")
        flushed(s)
        assert bytes_at(media.a, 4 * MIB, 4096) == b"b" * 4096
        s.kill()
    assert os.path.exists(log)
    s.start()


def test_it_does_not_grow_with_time(logged, media):
    s, c = logged(unflushed_limit="1M", flush_idle=NEVER)
    model = Model(media.a)
    for _ in range(10):
        model.write(c, 200)
        used = sum(os.path.getsize(os.path.join(s.logs, n)) for n in logs(s))
        assert used <= (8 << 20) + 65536
    s.kill()
    s.start()
    s.mounted("ARCHIVE-A")
    flushed(s)
    assert model.on(media.a)


def test_an_eject_leaves_an_empty_log(logged, media):
    s, c = logged(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c, 50)
    s.eject("left")
    s.kill()
    assert model.on(media.a)
    copy = shutil.copy(media.a, media.a + ".other")
    s.start()
    s.mounted("ARCHIVE-A")
    assert s.volume("ARCHIVE-A")["replays"] == 0
    assert logs(s) == []
    os.unlink(copy)
