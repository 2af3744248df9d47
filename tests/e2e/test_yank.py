"""Everything that hands can do to a drive while programs use its volumes.

SPDX-License-Identifier: MIT
"""
import errno
import os
import subprocess
import sys
import time

import pytest

from house import (MIB, ApiError, Busy, Fio, Pending, bytes_at, shown, steady,
                   until, volumes)


def lba(offset, length):
    return f"lba {offset // 512}-{(offset + length) // 512 - 1}"


@pytest.fixture
def one(serve, media, clients):
    """start(fault...) -> (service, client, offset of the stream)"""
    def start(*faults, **keys):
        offset, length = volumes.extent(media.a)
        drive = {"type": "disk", "medium": media.a, **keys}
        if faults:
            drive["fault"] = [f.format(range=lba(offset, length))
                              for f in faults]
        s = serve({"disk": drive, "other": {"type": "disk"}})
        s.mounted("ARCHIVE-A")
        c = s.client("ARCHIVE-A")
        clients.append(c)
        return s, c, offset
    return start


def test_yank_during_a_read(one, media):
    s, c, offset = one("at 1 read {range} do yank")
    want = bytes_at(media.a, offset, MIB)
    read = c.read_on(offset, MIB)
    s.one_prompt("ARCHIVE-A")
    read.waits()
    s.insert("disk", media.a)
    assert read.good() == want
    s.no_prompt()


def test_yank_during_a_write(one, media):
    s, c, offset = one("at 1 write {range} do yank")
    data = os.urandom(65536)
    write = c.write_on(offset, data)
    s.one_prompt("ARCHIVE-A")
    write.waits()
    s.insert("disk", media.a)
    write.good()
    c.flush()
    assert bytes_at(media.a, offset, len(data)) == data
    assert volumes.fsck(media.a) is None


def test_yank_during_a_flush(one, media):
    """With a volatile cache: what a flush promised is on the medium."""
    s, c, offset = one("at 1 flush do yank", cache="volatile")
    data = os.urandom(65536)
    c.write(offset, data)
    flush = c.flush_on()
    s.one_prompt("ARCHIVE-A")
    flush.waits()
    s.insert("disk", media.a)
    # either it tells that the data are lost, or they are there
    if flush.wait() is None:
        assert bytes_at(media.a, offset, len(data)) == data


def test_yank_in_the_middle_of_a_split_transfer(one, media):
    s, c, offset = one()
    s.yank("disk")
    s.insert("disk", media.a)
    s.mounted("ARCHIVE-A")
    data = os.urandom(4 * MIB)
    assert s.exports()["ARCHIVE-A"]["max_bytes"] >= 4 * MIB
    c.write(offset, data)
    assert c.read(offset, 4 * MIB) == data


@pytest.mark.parametrize("piece", [1, 2, 3])
def test_yank_between_the_pieces_of_a_4_MiB_write(serve, media, clients,
                                                  piece):
    offset, _ = volumes.extent(media.a)
    s = serve({"disk": {
        "type": "disk", "medium": media.a,
        "fault": f"at 1 write {lba(offset + piece * MIB, MIB)} do yank"}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    data = os.urandom(4 * MIB)
    write = c.write_on(offset, data)
    s.one_prompt("ARCHIVE-A")
    write.waits()
    s.insert("disk", media.a)
    write.good()
    assert c.read(offset, 4 * MIB) == data
    c.flush()
    assert bytes_at(media.a, offset, 4 * MIB) == data


def test_hands_pull_while_a_client_writes_and_verifies(one, media, clients):
    s, _, offset = one()
    fio = Busy(s.uri("ARCHIVE-A"), offset, 16 * MIB, s.folder, rw="write",
               bs="64k", rate="20m")
    clients.append(fio)
    for _ in range(3):
        at = s.drives()["disk"]["change_count"]
        s.yank("disk")
        s.one_prompt("ARCHIVE-A", user=fio)
        assert fio.running()
        s.insert("disk", media.a)
        s.no_prompt()
        assert s.drives()["disk"]["change_count"] > at
    fio.good()
    assert volumes.fsck(media.a) is None


def test_swap_while_no_request_is_under_way(one, media):
    s, c, offset = one()
    before = volumes.checksum(media.b)
    s.yank("disk")
    s.insert("disk", media.b)
    s.mounted("ARCHIVE-B")
    s.absent("ARCHIVE-A")
    assert not s.prompts()
    data = os.urandom(4096)
    write = c.write_on(offset, data)
    s.one_prompt("ARCHIVE-A")
    write.waits()
    s.yank("disk")
    s.insert("disk", media.a)
    write.good()
    assert bytes_at(media.a, offset, 4096) == data
    assert volumes.checksum(media.b) == before


def test_swap_there_and_back_while_no_request_is_under_way(one, media):
    """Nobody is asked: the right medium is in by the time of the request."""
    s, c, offset = one()
    s.yank("disk")
    s.insert("disk", media.b)
    s.yank("disk")
    s.insert("disk", media.a)
    assert c.read(offset, 4096) == bytes_at(media.a, offset, 4096)
    s.no_prompt()


def test_wrong_medium_three_times_then_the_right_one(one, media):
    s, c, offset = one()
    wrong = [media.b, media.c, media.a2]
    before = [volumes.checksum(i) for i in wrong]
    s.yank("disk")
    data = os.urandom(65536)
    write = c.write_on(offset, data)
    first = s.one_prompt("ARCHIVE-A")
    for image in wrong:
        s.insert("disk", image)
        steady(lambda: len(s.prompts()) == 1, "one question")
        write.waits(0.1)
        s.yank("disk")
    assert [volumes.checksum(i) for i in wrong] == before
    assert [p["id"] for p in s.prompts()] == [first["id"]]
    s.insert("disk", media.a)
    write.good()
    s.no_prompt()
    assert bytes_at(media.a, offset, 65536) == data
    assert [volumes.checksum(i) for i in wrong] == before


def test_right_medium_in_the_other_drive(one, media):
    s, c, offset = one()
    s.yank("disk")
    data = os.urandom(65536)
    write = c.write_on(offset, data)
    s.one_prompt("ARCHIVE-A")
    s.insert("other", media.a)
    write.good()
    s.no_prompt()
    assert bytes_at(media.a, offset, 65536) == data
    assert s.volume("ARCHIVE-A")["drive"] == "other"
    # and the next yank is noticed there
    s.yank("other")
    read = c.read_on(offset, 4096)
    assert s.one_prompt("ARCHIVE-A")["drive"] == "other"
    s.insert("disk", media.a)
    assert read.good() == data[:4096]


def test_same_label_different_uuid(one, media):
    s, c, offset = one()
    before = volumes.checksum(media.a2)
    s.yank("disk")
    write = c.write_on(offset, os.urandom(65536))
    s.one_prompt("ARCHIVE-A")
    s.insert("disk", media.a2)
    uuid = volumes.probe(media.a2)["UUID"]
    s.mounted(uuid)
    steady(lambda: len(s.prompts()) == 1, "the question")
    write.waits(0.1)
    s.yank("disk")
    s.insert("disk", media.a)
    write.good()
    assert volumes.checksum(media.a2) == before


def test_two_volumes_waiting_at_once(serve, media, clients):
    s = serve({"d0": {"type": "disk", "medium": media.a},
               "d1": {"type": "disk", "medium": media.c}})
    s.mounted("ARCHIVE-A", "ARCHIVE-C")
    a, c = s.client("ARCHIVE-A"), s.client("ARCHIVE-C")
    clients += [a, c]
    wants = bytes_at(media.a, 0, 65536), bytes_at(media.c, 0, 65536)
    s.yank("d0")
    s.yank("d1")
    ra, rc = a.read_on(0, 65536), c.read_on(0, 65536)
    s.one_prompt("ARCHIVE-A")
    s.one_prompt("ARCHIVE-C")
    assert len(s.prompts()) == 2
    # crosswise: each answers its own question only
    s.insert("d0", media.c)
    assert rc.good() == wants[1]
    ra.waits(0.1)
    assert [p["volume"] for p in s.prompts()] == ["ARCHIVE-A"]
    s.insert("d1", media.a)
    assert ra.good() == wants[0]
    s.no_prompt()


KILLED = r"""
import os, signal, sys, nbd
h = nbd.NBD()
h.connect_uri(sys.argv[1])
keep = [nbd.Buffer(65536) for _ in range(64)]
for i, b in enumerate(keep):
    h.aio_pread(b, i * 65536)
while h.poll(100) == 1:
    pass
print("sent", flush=True)
signal.pause()
"""


def test_client_killed_with_64_requests_waiting(one, media):
    s, c, offset = one()
    s.yank("disk")
    for _ in range(3):
        victim = subprocess.Popen(
            [sys.executable, "-c", KILLED, s.uri("ARCHIVE-A")],
            stdout=subprocess.PIPE, text=True)
        assert victim.stdout.readline() == "sent\n"
        until(lambda: s.volume("ARCHIVE-A")["waiting"] == 64, "64 wait")
        victim.kill()
        victim.wait()
        victim.stdout.close()
        until(lambda: s.volume("ARCHIVE-A")["waiting"] == 0,
              "nothing waits for a client that is gone")
    s.no_prompt()
    assert s.volume("ARCHIVE-A")["clients"] == 1
    read = c.read_on(offset, 4096)
    s.one_prompt("ARCHIVE-A")
    s.insert("disk", media.a)
    assert read.good() == bytes_at(media.a, offset, 4096)


def test_client_killed_while_it_writes(one, media, clients):
    s, c, offset = one()
    for _ in range(5):
        fio = Fio(s.uri("ARCHIVE-A"), offset, 8 * MIB, s.folder, bs="64k",
                  iodepth=32, loops=100)
        clients.append(fio)
        until(lambda: s.volume("ARCHIVE-A")["clients"] == 2, "connected")
        before = bytes_at(media.a, offset, 4 * MIB)
        until(lambda: bytes_at(media.a, offset, 4 * MIB) != before, "writes")
        fio.process.kill()
        fio.process.wait()
        until(lambda: s.volume("ARCHIVE-A")["clients"] == 1, "disconnected")
        c.read(offset, 65536)


def test_answer_retry_with_nothing_inserted(one, media):
    s, c, offset = one()
    s.yank("disk")
    read = c.read_on(offset, 4096)
    for _ in range(3):
        prompt = s.one_prompt("ARCHIVE-A")
        s.answer(prompt, "retry")
        s.one_prompt("ARCHIVE-A")
        read.waits(0.1)
        s.one_prompt("ARCHIVE-A")
    s.insert("disk", media.a)
    assert read.good() == bytes_at(media.a, offset, 4096)
    s.no_prompt()


def test_cancel_then_use_again(one, media):
    s, c, offset = one()
    for _ in range(3):
        s.yank("disk")
        writes = [c.write_on(offset + i * 4096, os.urandom(4096))
                  for i in range(8)]
        s.answer(s.one_prompt("ARCHIVE-A"), "cancel")
        for write in writes:
            # one that came after the answer asks again
            while not write.over():
                write.turn()
                for prompt in s.prompts():
                    try:
                        s.answer(prompt, "cancel")
                    except ApiError as error:
                        assert error.status == 404
            write.fails()
        s.no_prompt()
        s.insert("disk", media.a)
        data = os.urandom(4096)
        c.write(offset, data)
        assert c.read(offset, 4096) == data
        assert bytes_at(media.a, offset, 4096) == data


def test_answer_to_a_question_that_is_gone(one, media):
    s, c, offset = one()
    s.yank("disk")
    read = c.read_on(offset, 4096)
    prompt = s.one_prompt("ARCHIVE-A")
    s.insert("disk", media.a)
    read.good()
    s.no_prompt()
    with pytest.raises(ApiError) as caught:
        s.answer(prompt, "cancel")
    assert (caught.value.status, caught.value.code) == (404, "no-prompt")


def test_eject_while_busy(one, media, clients):
    s, _, offset = one()
    fio = Busy(s.uri("ARCHIVE-A"), offset, 16 * MIB, s.folder, rw="write",
               bs="64k", rate="20m")
    clients.append(fio)
    start = bytes_at(media.a, offset, MIB)
    until(lambda: bytes_at(media.a, offset, MIB) != start, "it writes")
    s.eject("disk")
    s.one_prompt("ARCHIVE-A", user=fio)
    assert fio.running()
    after = volumes.checksum(media.a)
    steady(lambda: volumes.checksum(media.a) == after, "the ejected medium")
    s.insert("disk", media.a)
    fio.good()
    assert volumes.fsck(media.a) is None


def test_eject_keeps_what_the_cache_held(one, media):
    s, c, offset = one(cache="volatile")
    data = os.urandom(MIB)
    c.write(offset, data)
    s.eject("disk")
    assert bytes_at(media.a, offset, MIB) == data
    s.absent("ARCHIVE-A")
    read = c.read_on(offset, MIB)
    s.one_prompt("ARCHIVE-A")
    s.insert("disk", media.a)
    assert read.good() == data


def test_write_protected_medium(serve, media, clients):
    """It comes back where nothing can be written: nothing is lost."""
    offset, _ = volumes.extent(media.a)
    s = serve({"rw": {"type": "disk", "medium": media.a},
               "ro": {"type": "disk", "readonly": "yes"}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    s.yank("rw")
    before = volumes.checksum(media.a)
    data = os.urandom(4096)
    write = c.write_on(offset, data)
    s.one_prompt("ARCHIVE-A")
    s.insert("ro", media.a)
    s.mounted("ARCHIVE-A")
    assert s.drives()["ro"]["write_protected"]
    # reads go on, and the write is not said to be done
    assert c.read(0, 4096) == bytes_at(media.a, 0, 4096)
    until(lambda: write.over() or s.prompts(), "told or asked")
    assert volumes.checksum(media.a) == before
    if write.over():
        write.fails(errno.EIO, errno.EPERM)
    else:
        s.yank("ro")
        s.insert("rw", media.a)
        s.no_prompt()
        write.good()
        assert bytes_at(media.a, offset, 4096) == data


def test_blank_medium(serve, media, clients):
    """Refused for a volume that waits; usable as what it is."""
    s = serve({"disk": {"type": "disk", "medium": media.a}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    before = volumes.checksum(media.blank)
    s.yank("disk")
    write = c.write_on(1 << 20, bytes(4096))
    s.one_prompt("ARCHIVE-A")
    s.insert("disk", media.blank)
    until(lambda: s.drives()["disk"]["state"] == "ready", "ready")
    steady(lambda: len(s.prompts()) == 1, "the question")
    write.waits(0.1)
    assert volumes.checksum(media.blank) == before
    raw = s.client("drive:disk")
    clients.append(raw)
    assert raw.size == os.path.getsize(media.blank)
    data = os.urandom(65536)
    raw.write(65536, data)
    raw.flush()
    assert raw.read(65536, 65536) == data
    assert bytes_at(media.blank, 65536, 65536) == data
    s.yank("disk")
    s.insert("disk", media.a)
    write.good()


def test_medium_that_fails_its_first_reads(serve, media, clients):
    """Becoming ready, then medium errors: it is used as soon as it can be."""
    s = serve({"disk": {"type": "disk", "medium": media.a, "fault": [
        "at 1 read do becoming-ready 300", "at 2 read do sense 2/04/01",
        "at 3 read do sense 3/11/00"]}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    assert c.read(0, 65536) == bytes_at(media.a, 0, 65536)


def test_a_drive_that_becomes_ready_under_a_read(one, media):
    """Not ready yet is tried again; a medium error is told at once."""
    s, c, offset = one("at 1 read {range} do becoming-ready 200")
    want = bytes_at(media.a, offset, 65536)
    assert c.read(offset, 65536) == want


def test_a_medium_error_is_told_once(one, media):
    s, c, offset = one("at 1 read {range} do sense 3/11/00")
    c.read_on(offset, 65536).fails(errno.EIO)
    assert not s.prompts()
    assert c.read(offset, 65536) == bytes_at(media.a, offset, 65536)


def test_a_bad_spot_is_an_error_and_no_question(one, media):
    s, c, offset = one("at * read lba 20000-20007 do sense 3/11/00")
    c.read_on(20000 * 512, 4096).fails(errno.EIO)
    assert not s.prompts()
    assert c.read(offset, 4096) == bytes_at(media.a, offset, 4096)


def test_medium_that_takes_its_time(serve, media, clients):
    """load-ms: requests for it wait, and go on when it is ready."""
    s = serve({"disk": {"type": "disk", "medium": media.a, "load-ms": 300}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    s.yank("disk")
    read = c.read_on(0, 4096)
    s.one_prompt("ARCHIVE-A")
    s.insert("disk", media.a)
    assert read.good() == bytes_at(media.a, 0, 4096)
    s.no_prompt()


def test_a_waiting_request_does_not_hold_up_its_own_connection(one, media):
    """The same connection: what was waiting waits, what can run runs."""
    s, c, offset = one(*[f"at {n} read lba 30000-30007 do delay 600"
                         for n in range(1, 13)])

    def overtakes():
        slow = c.read_on(30000 * 512, 4096)
        assert c.read(offset, 4096) == bytes_at(media.a, offset, 4096)
        first = not slow.over()
        assert slow.good() == bytes_at(media.a, 30000 * 512, 4096)
        return 0 if first else 600
    shown(overtakes, 0.5, "a request that need not wait")


def test_service_stopped_with_requests_waiting(one, media):
    s, _, offset = one()

    def ends():
        if s.stopped:
            s.start()
            s.mounted("ARCHIVE-A")
        c = s.client("ARCHIVE-A")
        s.yank("disk")
        writes = [c.write_on(offset + i * 4096, os.urandom(4096))
                  for i in range(64)]
        until(lambda: s.volume("ARCHIVE-A")["waiting"] == 64, "64 wait")
        before = volumes.checksum(media.a)
        took = s.stop()
        assert s.process.returncode == 0, s.stderr()
        for write in writes:
            write.fails(errno.ESHUTDOWN, errno.EIO, errno.ENOTCONN,
                        errno.ECONNRESET, errno.EPIPE)
        assert volumes.checksum(media.a) == before
        return took
    shown(ends, 1.0, "the end")


def test_policy_cancels_after_the_timeout(serve, media, clients):
    s = serve({"disk": {"type": "disk", "medium": media.a}},
              prompt_timeout=1, on_no_operator="cancel")
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    s.yank("disk")
    began = time.monotonic()
    read = c.read_on(0, 4096)
    read.fails()
    assert time.monotonic() - began > 0.9
    s.says("prompt 1: ")
    s.no_prompt()


def test_policy_waits_when_it_is_told_to(serve, media, clients):
    s = serve({"disk": {"type": "disk", "medium": media.a}},
              prompt_timeout=1, on_no_operator="wait")
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    s.yank("disk")
    read = c.read_on(0, 4096)
    s.one_prompt("ARCHIVE-A")
    read.waits(1.5)
    s.insert("disk", media.a)
    read.good()


def test_trim_and_zero_wait_too(one, media):
    s, c, offset = one()
    s.yank("disk")
    zero = Pending(c, c.handle.aio_zero(65536, offset), None)
    trim = Pending(c, c.handle.aio_trim(65536, offset + 65536), None)
    s.one_prompt("ARCHIVE-A")
    zero.waits(0.1)
    trim.waits(0.1)
    s.insert("disk", media.a)
    zero.good()
    trim.good()
    c.flush()
    assert bytes_at(media.a, offset, 65536) == bytes(65536)
