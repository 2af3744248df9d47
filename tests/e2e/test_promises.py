"""The promises, each shown through NBD with clients that are not ours.

SPDX-License-Identifier: MIT
"""
import os
import time

import pytest

from house import MIB, Fio, bytes_at, shown, steady, until, volumes


@pytest.mark.parametrize("nth", [1, 2, 33, 200])
def test_P1_never_the_wrong_medium__swap_before_any_write(serve, media,
                                                         clients, nth):
    """The medium is swapped between two commands of a busy writer."""
    offset, length = volumes.extent(media.a)
    before = volumes.checksum(media.b)
    s = serve({"disk": {"type": "disk", "medium": media.a,
                        "fault": f"at {nth} write do swap {media.b}"}})
    s.mounted("ARCHIVE-A")
    fio = Fio(s.uri("ARCHIVE-A"), offset, 2 * MIB, s.folder, rw="write")
    clients.append(fio)
    s.one_prompt("ARCHIVE-A")
    s.mounted("ARCHIVE-B")
    steady(lambda: len(s.prompts()) == 1 and fio.running(), "the question")
    assert volumes.checksum(media.b) == before
    s.yank("disk")
    assert volumes.checksum(media.b) == before
    s.insert("disk", media.a)
    fio.good()
    assert volumes.fsck(media.a) is None
    assert volumes.checksum(media.b) == before


def test_P1_never_the_wrong_medium__reads_do_not_see_it(serve, media,
                                                       clients):
    offset, _ = volumes.extent(media.a)
    want = bytes_at(media.a, offset, MIB)
    s = serve({"disk": {"type": "disk", "medium": media.a,
                        "fault": f"at 20 read lba {offset // 512}-"
                                 f"{(offset + MIB) // 512} "
                                 f"do swap {media.b}"}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    reads = [c.read_on(offset + i * 4096, 4096) for i in range(256)]
    s.one_prompt("ARCHIVE-A")
    s.yank("disk")
    s.insert("disk", media.a)
    assert b"".join(r.good() for r in reads) == want


def test_P3_one_true_question(serve, media, clients):
    """Within a second, exactly one; it says what is needed; it goes away."""
    s = serve({"left": {"type": "disk", "medium": media.a},
               "right": {"type": "disk"}})
    s.mounted("ARCHIVE-A")
    c1, c2 = s.client("ARCHIVE-A"), s.client("ARCHIVE-A")
    clients += [c1, c2]
    want = bytes_at(media.a, 0, 4096)
    s.yank("left")
    steady(lambda: not s.prompts(), "no question without a request")
    reads = [c.read_on(i * 4096, 4096) for i in range(20) for c in (c1, c2)]
    prompt = s.one_prompt("ARCHIVE-A")
    assert prompt["drive"] == "left"
    assert prompt["reason"].startswith("STATUS_")
    assert "ARCHIVE-A" in prompt["text"] and "left" in prompt["text"]
    until(lambda: s.one_prompt("ARCHIVE-A")["waiting"] == len(reads),
          "all requests behind the one question")
    assert len(s.prompts()) == 1
    assert s.one_prompt("ARCHIVE-A")["id"] == prompt["id"]
    s.insert("right", media.a)
    s.no_prompt()
    assert reads[0].good() == want
    for read in reads:
        read.good()
    assert s.volume("ARCHIVE-A")["drive"] == "right"

    def asked():
        s.yank("right")
        began = time.monotonic()
        read = c1.read_on(0, 4096)
        s.one_prompt("ARCHIVE-A")
        took = time.monotonic() - began
        s.insert("right", media.a)
        read.good()
        s.no_prompt()
        return took
    shown(asked, 1.0, "a question")


@pytest.mark.parametrize("action, times", [
    ("sense 3/11/0", 1), ("sense b/0/0", 4), ("timeout", 4),
    ("lose", 1)])
@pytest.mark.parametrize("other", ["c", "b"])
def test_P3_a_medium_that_is_hard_to_read__one_question_within_a_second(
        serve, media, clients, action, times, other):
    """However long the drive tries; of the same size, and of another."""
    lba = volumes.extent(media.a)[0] // 512
    want = bytes_at(media.a, lba * 512, 4096)

    def asked():
        s = serve({"disk": {"type": "disk", "medium": media.a, "fault": [
            f"at {2 + i} read lba 0-0 do {action}" for i in range(times)] + [
            f"at 1 read lba {lba}-{lba + 7} do swap {getattr(media, other)}"]},
            "spare": {"type": "disk"}})
        s.mounted("ARCHIVE-A")
        c = s.client("ARCHIVE-A")
        clients.append(c)
        began = time.monotonic()
        read = c.read_on(lba * 512, 4096)
        prompt = s.one_prompt("ARCHIVE-A")
        took = time.monotonic() - began
        steady(lambda: [p["id"] for p in s.prompts()] == [prompt["id"]],
               "the one question", 1.0)
        read.waits(0)
        s.insert("spare", media.a)
        assert read.good() == want
        s.no_prompt()
        until(lambda: len(s.volumes()) == 2, "the other one, read in the end")
        s.stop()
        return took
    shown(asked, 1.0, "a question")


def test_P3_a_drive_that_does_not_answer__the_question_goes_when_it_does(
        serve, media, clients):
    """The medium stays where it is; nobody says anything."""
    first = volumes.extent(media.a)[0] // 512
    s = serve({"disk": {"type": "disk", "medium": media.a, "fault": [
        f"at {1 + i} write lba {first}-{first + 7} do timeout"
        for i in range(12)]}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    data = b"\x5a" * 4096
    write = c.write_on(first * 512, data)
    prompt = s.one_prompt("ARCHIVE-A")
    assert prompt["reason"] == "STATUS_IO_TIMEOUT"
    assert "tried again by itself" in prompt["text"]
    assert s.volume("ARCHIVE-A")["state"] == "mounted"
    write.good()
    s.no_prompt()
    assert bytes_at(media.a, first * 512, 4096) == data


def test_P4_only_what_must_wait_waits(serve, media, clients):
    """64 requests wait for one volume; another and the API run on."""
    s = serve({"d0": {"type": "disk", "medium": media.a},
               "d1": {"type": "disk", "medium": media.c},
               "cd": {"type": "cdrom", "medium": media.cd}})
    s.mounted("ARCHIVE-A", "ARCHIVE-C", "DISC")
    waiting = s.client("ARCHIVE-A")
    clients.append(waiting)
    s.yank("d0")
    reads = [waiting.read_on(i * 4096, 4096) for i in range(64)]
    until(lambda: s.volume("ARCHIVE-A")["waiting"] == 64, "64 wait")
    offset, _ = volumes.extent(media.c)
    fio = Fio(s.uri("ARCHIVE-C"), offset, 8 * MIB, s.folder,
              verify_backlog=64)
    clients.append(fio)
    cd = s.client("DISC")
    clients.append(cd)

    def longest():
        took = 0.0
        for i in range(200):
            began = time.monotonic()
            cd.read((i * 65536) % (8 * MIB), 65536)
            took = max(took, time.monotonic() - began)
        return took
    shown(longest, 0.5, "a read of the CD")

    def asks():
        for _ in range(20):
            s.call("GET", "/v1/status")
            s.prompts()
            s.drives()
    shown(asks, 4, "the control API")
    fio.good()
    assert s.volume("ARCHIVE-A")["waiting"] == 64
    s.insert("d0", media.a)
    for read in reads:
        read.good()


def test_P5_cancel_means_cancel(serve, media, clients):
    offset, _ = volumes.extent(media.a)
    before_a, before_b = (volumes.checksum(i) for i in (media.a, media.b))
    s = serve({"disk": {"type": "disk", "medium": media.a}})
    s.mounted("ARCHIVE-A")
    c = s.client("ARCHIVE-A")
    clients.append(c)
    s.yank("disk")
    writes = [c.write_on(offset + i * 65536, os.urandom(65536))
              for i in range(16)]
    until(lambda: (s.volume("ARCHIVE-A")["waiting"]) == 16, "16 wait")
    prompt = s.one_prompt("ARCHIVE-A")
    s.insert("disk", media.b)
    s.mounted("ARCHIVE-B")
    for write in writes:
        write.waits(0.02)
    prompt = s.one_prompt("ARCHIVE-A")
    s.answer(prompt, "cancel")
    for write in writes:
        write.fails()
    s.no_prompt()
    s.eject("disk")
    assert volumes.checksum(media.a) == before_a
    assert volumes.checksum(media.b) == before_b
    # and then: to be used again, as if nothing had been
    s.insert("disk", media.a)
    s.mounted("ARCHIVE-A")
    data = os.urandom(65536)
    c.write(offset, data)
    c.flush()
    assert bytes_at(media.a, offset, 65536) == data
    assert volumes.fsck(media.a) is None


def test_P7_honest_state(serve, media, clients):
    """What is shown is what the drive said last, with its age."""
    s = serve({"disk": {"type": "disk", "medium": media.a},
               "empty": {"type": "disk"}})
    s.mounted("ARCHIVE-A")
    drives = s.drives()
    assert drives["disk"]["state"] == "ready"
    assert drives["disk"]["volume"] == "ARCHIVE-A"
    assert drives["disk"]["size_bytes"] == os.path.getsize(media.a)
    assert drives["empty"]["state"] != "ready"
    assert drives["empty"]["volume"] == ""
    changes = drives["disk"]["change_count"]
    s.yank("disk")
    until(lambda: s.drives()["disk"]["state"] != "ready",
          "the yank is shown")
    drive = s.drives()["disk"]
    assert drive["volume"] == "" and drive["medium"] == ""
    assert drive["size_bytes"] == 0
    s.absent("ARCHIVE-A")
    volume = s.volume("ARCHIVE-A")
    assert volume["drive"] == "disk"
    assert volume["size_bytes"] == os.path.getsize(media.a)
    s.insert("disk", media.b)
    s.mounted("ARCHIVE-B")
    drive = s.drives()["disk"]
    assert drive["volume"] == "ARCHIVE-B" and drive["state"] == "ready"
    assert drive["change_count"] > changes
    assert s.volume("ARCHIVE-A")["state"] == "absent"
    # the age grows while nothing is said, and is small after an answer
    old = s.drives()["disk"]["age_ms"]
    until(lambda: s.drives()["disk"]["age_ms"] >= old + 50 or
          s.drives()["disk"]["age_ms"] < old, "an age that moves")
    c = s.client("drive:disk")
    clients.append(c)

    def age():
        c.read(0, 4096)
        return s.drives()["disk"]["age_ms"] / 1000
    shown(age, 1, "the age of an answer")
