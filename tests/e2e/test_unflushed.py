"""What was acknowledged and not flushed: kept, written again, or in a file.

The drives have a write cache that a yank really loses (cache = volatile).

SPDX-License-Identifier: MIT
"""
import contextlib
import errno
import json
import os
import pty
import random
import re
import shutil
import subprocess

import pytest

from house import (HANG, MIB, REINSERT, ApiError, Busy, bytes_at, steady,
                   until, volumes)

NEVER = "3600"                          # seconds: nothing is flushed by itself


class Model:
    """The stream as its client was told it is; seeded."""

    def __init__(self, image, length=4 * MIB, seed=4):
        self.offset, _ = volumes.extent(image)
        self.content = bytearray(bytes_at(image, self.offset, length))
        self.dice = random.Random(seed)

    def write(self, client, count=200):
        for _ in range(count):
            length = self.dice.choice([512, 4096, 8192, 65536])
            at = self.dice.randrange(
                (len(self.content) - length) // 512) * 512
            data = (bytes(length) if self.dice.random() < 0.1
                    else self.dice.randbytes(length))
            client.write(self.offset + at, data)
            self.content[at:at + length] = data

    def on(self, image):
        return bytes_at(image, self.offset,
                        len(self.content)) == bytes(self.content)


@pytest.fixture
def two(serve, media, clients):
    """start(**keys) -> (service, client): A in a drive, another one empty"""
    def start(cache="volatile", **keys):
        s = serve({"left": {"type": "disk", "medium": media.a,
                            "cache": cache},
                   "right": {"type": "disk", "cache": cache}}, **keys)
        s.mounted("ARCHIVE-A")
        c = s.client("ARCHIVE-A")
        clients.append(c)
        return s, c
    return start


def recover(*words):
    return subprocess.run([REINSERT, "recover", *words], text=True,
                          capture_output=True, timeout=HANG)


def unflushed(service):
    return service.volume("ARCHIVE-A")["unflushed_bytes"]


def files(service):
    return sorted(os.listdir(service.recovery)
                  if os.path.isdir(service.recovery) else [])


def test_P2_what_a_yank_lost_is_written_again(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    assert unflushed(s) > 0
    s.yank("left")
    assert not model.on(media.a), "the drive lost nothing: no test"
    s.insert("right", media.a)
    s.mounted("ARCHIVE-A")
    assert c.read(model.offset, len(model.content)) == bytes(model.content)
    until(lambda: unflushed(s) == 0, "replayed")
    assert model.on(media.a)
    assert s.volume("ARCHIVE-A")["replays"] == 1
    assert not s.prompts() and not files(s)
    assert volumes.fsck(media.a) is None


def test_P2_fio_verifies_through_yanks_without_a_flush(two, media, clients):
    s, c = two()
    offset, _ = volumes.extent(media.a)
    fio = Busy(s.uri("ARCHIVE-A"), offset, 16 * MIB, s.folder, rate="12m")
    clients.append(fio)
    drives = ["left", "right"]
    for _ in range(12):
        s.yank(drives[0])
        s.one_prompt("ARCHIVE-A", user=fio)
        s.insert(drives[1], media.a)
        s.no_prompt()
        drives.reverse()
    fio.good()
    c.flush()
    assert not files(s)
    assert volumes.fsck(media.a) is None


def cancelled(s, c, model):
    """Yanks, lets a read wait, cancels its question; the file's name."""
    s.yank("left")
    read = c.read_on(model.offset, 4096)
    prompt = s.one_prompt("ARCHIVE-A")
    assert prompt["answers"] == ["retry", "cancel"]
    name = s.answer(prompt, "cancel")["prompt"]["recovery"]
    read.fails(errno.EIO)
    return name


def test_P5_cancel_leaves_a_recovery_file_that_makes_it_whole(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    name = cancelled(s, c, model)
    assert os.path.dirname(name) == s.recovery
    assert os.stat(s.recovery).st_mode & 0o777 == 0o700
    assert os.stat(name).st_mode & 0o777 == 0o600
    assert files(s) == [os.path.basename(name)]
    assert s.volume("ARCHIVE-A")["recovery"] == name
    assert unflushed(s) == 0
    told, = s.call("GET", "/v1/recovery")["recovery"]
    assert (told["file"], told["volume"], told["drive"], told["reason"]) == (
        name, "ARCHIVE-A", "left", "STATUS_NO_MEDIA_IN_DEVICE")
    until(lambda: name in s.stderr(), "the name on stderr")
    assert not model.on(media.a)
    assert recover("apply", name, "--to", media.a, "--dry-run").returncode == 0
    assert not model.on(media.a)
    r = recover("apply", name, "--to", media.a)
    assert r.returncode == 0, r.stderr
    assert model.on(media.a)
    assert volumes.fsck(media.a) is None


def test_P5_the_file_is_refused_for_every_other_medium(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    name = cancelled(s, c, model)
    for other in media.a2, media.c, media.b:
        before = volumes.checksum(other)
        r = recover("apply", name, "--to", other)
        assert r.returncode == 1 and "nothing was written" in r.stderr
        assert volumes.checksum(other) == before
    summary = json.loads(recover("show", name, "--json").stdout)
    assert summary["label"] == "ARCHIVE-A" and summary["complete"]
    assert summary["witnesses"] > 0
    assert summary["uuid"] == volumes.probe(media.a)["UUID"]


def test_P5_what_is_behind_the_end_of_a_file_is_told(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    name = cancelled(s, c, model)
    with open(name, "ab") as file:
        file.write(b"another one")
    says = f"{name}: 11 bytes behind its end are not read"
    r = recover("show", name, "--json")
    assert r.returncode == 0 and says in r.stderr
    assert json.loads(r.stdout)["stray_bytes"] == 11
    for more in [], ["--force"]:
        r = recover("apply", name, "--to", media.a, "--dry-run", *more)
        assert r.returncode == 0 and says in r.stderr, r.stderr


def test_P5_the_command_line_names_the_file(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c, 20)
    s.yank("left")
    read = c.read_on(model.offset, 4096)
    prompt = s.one_prompt("ARCHIVE-A")
    r = s.run("answer", str(prompt["id"]), "cancel")
    assert r.returncode == 0, r.stderr
    read.fails(errno.EIO)
    name = r.stdout.rstrip("\n").split("\t")[3]
    assert files(s) == [os.path.basename(name)]
    assert f"recovery\t{name}\tARCHIVE-A\t" in s.run("status").stdout


def test_P5_a_file_that_cannot_be_written_costs_nothing(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c, 50)
    with open(s.recovery, "wb"):
        pass                            # a file where the folder should be
    assert cancelled(s, c, model) == ""
    until(lambda: "stays in memory" in s.stderr(), "the failure is told")
    assert unflushed(s) > 0
    os.unlink(s.recovery)
    s.insert("right", media.a)
    s.mounted("ARCHIVE-A")
    until(lambda: unflushed(s) == 0, "replayed")
    assert model.on(media.a)


@pytest.mark.parametrize("more", [[], ["--quiet"]])
def test_end_of_service_while_the_medium_is_away(two, media, more):
    s, c = two(flush_idle=NEVER)
    if more:
        s.stop()
        s.start("--config", s.config, *more)
        s.stopped = False
        s.mounted("ARCHIVE-A")
        c = s.client("ARCHIVE-A")
    model = Model(media.a)
    model.write(c)
    s.yank("left")
    s.absent("ARCHIVE-A")
    c.close()
    s.stop()
    found = re.findall(r"is kept in (\S+\.recovery)", s.stderr())
    assert len(found) == 1, s.stderr()
    assert recover("apply", found[0], "--to", media.a).returncode == 0
    assert model.on(media.a)


def test_end_of_service_flushes_what_is_there(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    c.close()
    s.stop()
    assert model.on(media.a)
    assert not files(s)


def test_eject_of_a_dirty_volume_leaves_nothing_unflushed(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    assert unflushed(s) > 0
    s.eject("left")
    assert unflushed(s) == 0
    assert model.on(media.a)
    assert not files(s)


def test_eject_that_fails_says_why_and_loses_nothing(serve, media, clients):
    """A medium that takes no more; then another one in its place."""
    s = serve({"left": {"type": "disk", "medium": media.a,
                        "cache": "volatile",
                        "fault": "at 1 flush do sense 3/0c/00"}},
              flush_idle=NEVER)
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    model = Model(media.a)
    model.write(c)
    done = s.run("eject", "left")
    assert done.returncode != 0
    assert "could not be flushed (STATUS_DEVICE_DATA_ERROR)" in done.stderr
    assert s.volume("ARCHIVE-A")["state"] == "mounted"
    assert unflushed(s) > 0
    s.eject("left")
    assert unflushed(s) == 0
    assert model.on(media.a)


def test_a_clone_in_the_place_of_a_volume_becomes_one_of_its_own(
        serve, media, clients):
    """As soon as the true medium is found, in another drive."""
    clone = shutil.copy(media.a, media.a + ".clone")
    s = serve({n: {"type": "disk", "cache": "volatile"}
               for n in ("left", "right")})
    s.insert("left", media.a)
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    model = Model(media.a)
    model.write(c, 50)
    c.flush()
    read_much(c, model)
    s.yank("left")
    s.insert("left", clone)
    until(lambda: s.volume("ARCHIVE-A")["state"] == "changed elsewhere",
          "noticed")
    s.insert("right", media.a)
    s.mounted("ARCHIVE-A")
    assert s.volume("ARCHIVE-A")["drive"] == "right"
    until(lambda: s.drives()["left"]["volume"], "the clone, mounted")
    assert len(s.volumes()) == 2
    assert {v["state"] for v in s.volumes()} == {"mounted"}
    os.unlink(clone)


def test_the_button_of_a_drive_in_use_flushes_unlocks_and_opens(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    assert unflushed(s) > 0
    until(lambda: s.drives()["left"]["locked"], "locked in its drive")
    reply = s.run("press", "left")
    assert reply.returncode == 0, reply.stderr
    s.absent("ARCHIVE-A")
    until(lambda: s.drives()["left"]["state"] == "empty", "open")
    until(lambda: "flushed and opened" in s.stderr(), "said")
    assert unflushed(s) == 0
    assert model.on(media.a)
    assert not files(s)
    before = s.volume("ARCHIVE-A")["replays"]
    s.insert("right", media.a)
    s.mounted("ARCHIVE-A")
    assert s.volume("ARCHIVE-A")["replays"] == before


def test_the_button_of_an_idle_drive_opens_at_once(two, media):
    s, c = two()
    model = Model(media.a)
    model.write(c, 50)
    c.flush()
    until(lambda: not s.drives()["left"]["locked"], "unlocked")
    s.press("left")
    s.absent("ARCHIVE-A")
    assert model.on(media.a)
    with pytest.raises(ApiError) as error:
        s.press("left")
    assert error.value.code == "no-medium"
    s.insert("left", media.a)
    s.mounted("ARCHIVE-A")
    assert c.read(model.offset, len(model.content)) == bytes(model.content)


def test_the_button_when_it_cannot_be_flushed_is_told_and_loses_nothing(
        serve, media, clients):
    """As a disk says whose medium will take no more: a write error.

    At each flush: what the button has to say may be seen before the eject
    begins, and then the first flush is the one of the replay.
    """
    s = serve({"left": {"type": "disk", "medium": media.a,
                        "cache": "volatile",
                        "fault": "at 1+ flush do sense 3/0c/00"},
               "right": {"type": "disk", "cache": "volatile"}},
              flush_idle=NEVER)
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    model = Model(media.a)
    model.write(c, 50)
    until(lambda: s.drives()["left"]["locked"], "locked in its drive")
    s.press("left")
    until(lambda: "it stays closed" in s.stderr(), "told")
    assert "flushed and opened" not in s.stderr()
    assert s.drives()["left"]["state"] != "empty"
    assert unflushed(s) > 0
    s.yank("left")                      # a pin in the hole of its front
    assert not model.on(media.a), "the drive lost nothing: no test"
    s.insert("right", media.a)
    until(lambda: s.volume("ARCHIVE-A")["state"] == "mounted" and
          s.volume("ARCHIVE-A")["drive"] == "right", "in the other drive")
    assert c.read(model.offset, len(model.content)) == bytes(model.content)
    s.press("right")
    s.absent("ARCHIVE-A")
    assert model.on(media.a)
    assert unflushed(s) == 0 and not files(s)


def test_a_quiet_volume_is_flushed_by_itself(two, media):
    s, c = two()
    model = Model(media.a)
    model.write(c, 50)
    until(lambda: unflushed(s) == 0, "flushed")
    assert model.on(media.a)


def test_limit_0_writes_through(two, media):
    s, c = two(unflushed_limit="0", flush_idle=NEVER)
    model = Model(media.a)
    model.write(c, 50)
    assert unflushed(s) == 0
    assert model.on(media.a)


def test_at_the_limit_it_is_flushed_before_more_is_acknowledged(two, media):
    s, c = two(unflushed_limit="256K", flush_idle=NEVER)
    model = Model(media.a)
    for _ in range(20):
        model.write(c, 20)
        assert unflushed(s) <= 256 << 10
    s.yank("left")
    s.insert("left", media.a)
    s.mounted("ARCHIVE-A")
    assert c.read(model.offset, len(model.content)) == bytes(model.content)


def test_a_drive_without_a_cache_keeps_nothing(two, media):
    s, c = two(cache="none", flush_idle=NEVER)
    model = Model(media.a)
    model.write(c, 50)
    assert unflushed(s) == 0
    assert model.on(media.a)


# --- changed elsewhere -----------------------------------------------------


def read_much(c, model):
    """Some of what is read is remembered, to tell the medium by."""
    for at in range(0, len(model.content), 8192):
        c.read(model.offset + at, 4096)


def changed(s, c, model, image):
    """Out, written to by somebody else, and in again; what was written."""
    s.yank("left")
    s.absent("ARCHIVE-A")
    other = os.urandom(len(model.content))
    with open(image, "r+b") as file:
        file.seek(model.offset)
        file.write(other)
    s.insert("right", image)
    until(lambda: s.volume("ARCHIVE-A")["state"] == "changed elsewhere",
          "noticed")
    assert bytes_at(image, model.offset, len(other)) == other
    return other


def test_P6_changed_elsewhere_is_a_question_of_its_own(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    read_much(c, model)
    model.write(c)
    other = changed(s, c, model, media.a)
    read = c.read_on(model.offset, 4096)
    prompt = s.one_prompt("ARCHIVE-A")
    assert prompt["title"] == "Changed elsewhere"
    assert prompt["answers"] == ["use", "retry", "cancel"]
    s.answer(prompt, "retry")
    read.waits()
    assert s.one_prompt("ARCHIVE-A")["id"] == prompt["id"]
    assert bytes_at(media.a, model.offset, len(other)) == other
    s.answer(prompt, "cancel")
    read.fails(errno.EIO)


def test_P6_use_takes_it_as_it_is(two, media, clients):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    read_much(c, model)
    model.write(c)
    other = changed(s, c, model, media.a)
    write = c.write_on(model.offset, bytes(4096))
    prompt = s.one_prompt("ARCHIVE-A")
    name = s.answer(prompt, "use")["prompt"]["recovery"]
    write.fails(errno.EIO)
    s.no_prompt()
    s.mounted("ARCHIVE-A")
    assert files(s) == [os.path.basename(name)]
    for request in (c.read_on(0, 512), c.flush_on(),
                    c.write_on(model.offset, bytes(512))):
        request.fails(errno.EIO)
    again = s.client("ARCHIVE-A")
    clients.append(again)
    assert again.read(model.offset, len(other)) == other
    again.write(model.offset, b"on with it"[:10].ljust(512, b"."))
    again.flush()
    assert bytes_at(media.a, model.offset, 10) == b"on with it"
    # The file is for what the medium was: only --force writes it here.
    s.eject("right")
    r = recover("apply", name, "--to", media.a)
    assert r.returncode == 1 and "changed since" in r.stderr


def test_P6_use_waits_for_a_file_that_can_be_written(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    read_much(c, model)
    model.write(c, 50)
    changed(s, c, model, media.a)
    read = c.read_on(model.offset, 4096)
    prompt = s.one_prompt("ARCHIVE-A")
    with open(s.recovery, "wb"):
        pass
    with pytest.raises(ApiError) as error:
        s.answer(prompt, "use")
    assert error.value.status == 502
    assert unflushed(s) > 0
    read.waits()
    os.unlink(s.recovery)
    assert s.answer(s.one_prompt("ARCHIVE-A"), "use")["prompt"]["recovery"]
    read.fails(errno.EIO)


def test_P6_cancel_fails_requests_and_asks_again_later(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    read_much(c, model)
    model.write(c, 50)
    other = changed(s, c, model, media.a)
    read = c.read_on(model.offset, 4096)
    name = s.answer(s.one_prompt("ARCHIVE-A"), "cancel")["prompt"][
        "recovery"]
    read.fails(errno.EIO)
    assert files(s) == [os.path.basename(name)]
    assert s.volume("ARCHIVE-A")["state"] == "changed elsewhere"
    assert bytes_at(media.a, model.offset, len(other)) == other


def test_use_is_no_answer_to_an_absent_volume(two, media):
    s, c = two()
    s.yank("left")
    read = c.read_on(0, 512)
    prompt = s.one_prompt("ARCHIVE-A")
    with pytest.raises(ApiError) as error:
        s.answer(prompt, "use")
    assert error.value.code == "invalid"
    read.waits()
    s.insert("left", media.a)
    read.good()


def test_P6_a_file_system_that_was_mounted_elsewhere(two, media, clients):
    """Its numbers are the same, and its superblock is another."""
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c, 50)
    s.yank("left")
    s.absent("ARCHIVE-A")
    volumes.tool("debugfs", "-w", "-R", "mkdir /elsewhere", media.a)
    before = volumes.checksum(media.a)
    s.insert("left", media.a)
    read = c.read_on(model.offset, 4096)
    prompt = until(lambda: s.prompts(), "a question")[0]
    assert prompt["title"] == "Changed elsewhere"
    read.waits()
    assert volumes.checksum(media.a) == before
    name = s.answer(prompt, "use")["prompt"]["recovery"]
    read.fails(errno.EIO)
    assert files(s) == [os.path.basename(name)]
    assert volumes.checksum(media.a) == before
    s.mounted("ARCHIVE-A")
    again = s.client("drive:left")
    clients.append(again)
    again.write(model.offset, bytes(4096))
    again.flush()
    assert volumes.fsck(media.a) is None


def test_P6_mounted_elsewhere_and_brought_to_another_drive(two, media):
    """It is the volume that is known, not a second one with its name."""
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c, 50)
    s.yank("left")
    s.absent("ARCHIVE-A")
    volumes.tool("debugfs", "-w", "-R", "mkdir /elsewhere", media.a)
    before = volumes.checksum(media.a)
    s.insert("right", media.a)
    read = c.read_on(model.offset, 4096)
    prompt = s.one_prompt("ARCHIVE-A")
    assert prompt["title"] == "Changed elsewhere"
    assert [v["name"] for v in s.volumes()] == ["ARCHIVE-A"]
    until(lambda: s.volume("ARCHIVE-A")["state"] == "changed elsewhere",
          "changed elsewhere")
    assert s.volume("ARCHIVE-A")["drive"] == "right"
    # to look again is not to take it
    assert s.answer(prompt, "retry")
    read.waits()
    assert volumes.checksum(media.a) == before
    name = s.answer(s.one_prompt("ARCHIVE-A"), "use")["prompt"]["recovery"]
    read.fails(errno.EIO)
    assert files(s) == [os.path.basename(name)]
    s.mounted("ARCHIVE-A")
    assert volumes.checksum(media.a) == before


def test_flush_idle_0_never_flushes_a_quiet_volume(two, media):
    s, c = two(flush_idle="0")
    model = Model(media.a)
    model.write(c, 20)
    kept = unflushed(s)
    assert kept > 0
    steady(lambda: unflushed(s) == kept, "unflushed", 2.5)
    assert not model.on(media.a)
    c.flush()
    assert model.on(media.a)


def test_cancelled_is_said_until_somebody_asks_again(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c, 20)
    cancelled(s, c, model)
    until(lambda: s.volume("ARCHIVE-A")["state"] == "cancelled", "cancelled")
    def asks():
        read = c.read_on(model.offset, 4096)
        for _ in range(20):
            read.turn()
            if s.prompts() or read.over():
                return None if read.over() else read
        return None
    read = until(asks, "a question")
    assert s.volume("ARCHIVE-A")["state"] == "absent"
    s.insert("left", media.a)
    read.good()
    assert s.volume("ARCHIVE-A")["state"] == "mounted"


def test_recover_apply_wants_force_for_a_medium_changed_since(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    name = cancelled(s, c, model)
    volumes.tool("debugfs", "-w", "-R", "mkdir /since", media.a)
    before = volumes.checksum(media.a)
    for words in [], ["--dry-run"]:
        r = recover("apply", name, "--to", media.a, *words)
        assert r.returncode == 1 and "nothing was written" in r.stderr
        assert "--force" in r.stderr
    r = recover("apply", name, "--to", media.a, "--force", "--dry-run")
    assert r.returncode == 0 and r.stdout.startswith("would-write\t")
    assert volumes.checksum(media.a) == before
    r = recover("apply", name, "--to", media.a, "--force")
    assert r.returncode == 0 and r.stdout.startswith("written\t")
    assert model.on(media.a)


def test_recover_apply_says_what_a_damaged_file_lacks(two, media, tmp_path):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    name = cancelled(s, c, model)
    with open(name, "rb") as file:
        whole = file.read()
    short = str(tmp_path / "short.recovery")
    with open(short, "wb") as file:
        file.write(whole[:len(whole) * 2 // 3 | 1])     # records are even
    before = volumes.checksum(media.a)
    r = recover("apply", short, "--to", media.a)
    assert r.returncode == 3 and "in the middle of the record" in r.stderr
    assert volumes.checksum(media.a) == before
    for words, written in (["--dry-run"], "would-write\t"), ([], "written\t"):
        r = recover("apply", short, "--to", media.a, "--force", *words)
        assert r.returncode == 3, "as if it had been all"
        assert r.stdout.startswith(written)
        assert "in the middle of the record" in r.stderr
        assert "only what is whole" in r.stderr
    # The whole one makes it whole.
    r = recover("apply", name, "--to", media.a, "--force")
    assert r.returncode == 0 and r.stderr == ""
    assert model.on(media.a)


def test_recover_apply_shows_its_progress_on_a_terminal_alone(two, media):
    s, c = two(flush_idle=NEVER)
    model = Model(media.a)
    model.write(c)
    name = cancelled(s, c, model)
    master, slave = pty.openpty()
    with subprocess.Popen([REINSERT, "recover", "apply", name, "--to", media.a,
                           "--dry-run"], stderr=slave,
                          stdout=subprocess.DEVNULL) as process:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):      # EIO: it has ended
            while part := os.read(master, 65536):
                shown += part
        assert process.wait(HANG) == 0
    os.close(master)
    assert b"\r[" in shown and b"100 %" in shown
    assert recover("apply", name, "--to", media.a, "--dry-run").stderr == ""
