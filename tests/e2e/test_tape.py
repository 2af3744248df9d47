"""test_tape.py - tape drives of a service: sessions that outlive a pulled tape

The client is tape_client.py, not ours; what is on a tape afterwards is read
from its image by a reader of its own.

SPDX-License-Identifier: MIT
"""
import errno
import hashlib
import os

import pytest

from house import ApiError, steady, until
from tape_client import (END_OF_DATA, FILEMARK, MTFSF, MTOFFL, MTREW,
                         MTSETBLK, MTWEOF, Later, Tape, TapeError, objects)


def record(n, size=10240):
    """Record n: its bytes tell it from all others."""
    seed = hashlib.sha256(f"record {n}".encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


class Deck:
    """A drive with an empty tape A00001; others lie beside it."""

    def __init__(self, serve, folder, labels=("A00001", "A00002"), keys=None,
                 **service):
        self.folder = folder
        for label in labels:
            self.image(label).touch()
        self.service = serve({"tape0": {
            "type": "tape", "medium": self.image(labels[0]), **(keys or {})}},
            **service)

    def image(self, label):
        return self.folder / f"{label}.tap"

    def insert(self, label):
        return self.service.insert("tape0", self.image(label))

    def open(self, **how):
        return Tape(self.service, "tape0", **how)

    def info(self):
        return self.service.call("GET", "/v1/tapes")["tapes"][0]

    def state(self):
        return self.service.call("GET", "/v1/drives/tape0")["drive"]["state"]

    def question(self):
        """The only one; waits for it."""
        found = until(self.service.prompts, "a question")
        assert len(found) == 1, found
        return found[0]

    def on_tape(self, label):
        return objects(self.image(label))


@pytest.fixture
def deck(serve, tmp_path):
    def start(**keys):
        return Deck(serve, tmp_path, **keys)
    return start


def assert_covered(d, files, count):
    """Records 0 to count - 1: the first ones are on the tape, the last ones in
    files, none in neither.  What no mark has followed may be in both."""
    have = [r for r in d.on_tape("A00001") if r]
    kept = [r for name in files for r in objects(name) if r]
    records = [record(n) for n in range(count)]
    assert have == records[:len(have)]
    assert kept == records[count - len(kept):]
    assert len(have) + len(kept) >= count


# --- a session -----------------------------------------------------------------

def test_written_and_read_back(deck):
    d = deck()
    tape = d.open()
    for n in range(20):
        assert tape.write(record(n)).bytes == 10240
    tape.op(MTWEOF)
    tape.write(record(20, 512))
    assert d.info()["open"] and d.info()["tape"] == "A00001"
    tape.op(MTREW)
    for n in range(20):
        assert tape.read().data == record(n)
    assert tape.read().flags & FILEMARK
    assert tape.read().data == record(20, 512)
    tape.close()
    assert not d.info()["open"]
    assert d.on_tape("A00001")[:22] == [
        *[record(n) for n in range(20)], None, record(20, 512)]


def test_fixed_blocks(deck):
    d = deck(keys={"block-size": 512})
    tape = d.open()
    assert tape.write(record(0, 2048)).bytes == 2048
    with pytest.raises(TapeError) as error:
        tape.write(record(0, 1000))
    assert error.value.errno == errno.EINVAL
    tape.op(MTSETBLK, 0)
    tape.write(record(1, 1000))
    tape.close()
    assert [len(r) for r in d.on_tape("A00001") if r] == [512] * 4 + [1000]


def test_one_session_at_a_time(deck):
    d = deck()
    tape = d.open()
    with pytest.raises(TapeError) as error:
        d.open()
    assert error.value.errno == errno.EBUSY
    with pytest.raises(ApiError) as refused:
        d.service.eject("tape0")
    assert refused.value.code == "busy"
    tape.close()
    d.service.eject("tape0")
    assert d.state() in ("open", "empty")
    d.insert("A00002")
    until(lambda: d.info()["tape"] == "A00002", "the other tape")


def test_write_protected_tape(deck):
    d = deck(keys={"readonly": "yes"})
    with pytest.raises(TapeError) as error:
        d.open()
    assert error.value.errno == errno.EROFS
    tape = d.open(write=False)
    assert tape.read().flags & END_OF_DATA
    tape.close()
    assert d.info()["write_protected"]


def test_end_of_the_tape(deck):
    d = deck(keys={"capacity": "1M", "early-warning": "256K"})
    tape = d.open()
    warned = written = 0
    with pytest.raises(TapeError) as error:
        for n in range(200):
            warned += bool(tape.write(record(n)).flags & 4)
            written += 1
    assert error.value.errno == errno.ENOSPC
    assert 3 < warned and 50 < written <= 102, (warned, written)
    tape.close()
    assert [r for r in d.on_tape("A00001") if r] == [
        record(n) for n in range(written)]


# --- the tape is pulled -----------------------------------------------------------

def test_yanked_and_put_back_goes_on(deck):
    d = deck()
    tape = d.open()
    for n in range(50):
        tape.write(record(n))
    d.service.yank("tape0")
    write = Later(tape.write, record(50))
    question = d.question()
    assert question["volume"] == "A00001" and question["drive"] == "tape0"
    assert "A00001" in question["text"]
    assert write.waits() and d.info()["waiting"]
    d.insert("A00001")
    assert write.result().bytes == 10240
    until(lambda: not d.service.prompts(), "the end of the question")
    tape.write(record(51))
    tape.close()
    assert [r for r in d.on_tape("A00001") if r] == [
        record(n) for n in range(52)]


def test_another_tape_is_refused_and_left_as_it_is(deck):
    d = deck()
    other = d.open()
    other.close()
    d.service.eject("tape0")
    d.insert("A00002")
    tape = Tape(d.service, "tape0")
    tape.write(b"VOL1A2    " + b" " * 70)
    tape.close()
    before = d.image("A00002").read_bytes()
    d.service.eject("tape0")
    d.insert("A00001")

    tape = d.open()
    tape.write(record(0))
    d.service.yank("tape0")
    write = Later(tape.write, record(1))
    d.question()
    d.insert("A00002")
    until(lambda: d.service.prompts()[0]["reason"] == "STATUS_WRONG_VOLUME",
          "the refusal")
    steady(write.waits)
    assert d.image("A00002").read_bytes() == before
    d.service.yank("tape0")
    d.insert("A00001")
    write.result()
    tape.close()
    assert d.on_tape("A00001")[:2] == [record(0), record(1)]
    assert d.image("A00002").read_bytes() == before


def test_a_wrong_tape_can_be_ejected_while_its_session_waits(deck):
    d = deck()
    tape = d.open()
    tape.write(record(0))
    d.service.yank("tape0")
    write = Later(tape.write, record(1))
    d.question()
    d.insert("A00002")
    until(lambda: d.service.prompts()[0]["reason"] == "STATUS_WRONG_VOLUME",
          "the refusal")
    d.service.eject("tape0")
    assert d.state() in ("open", "empty")
    d.insert("A00001")
    write.result()
    tape.close()
    assert d.on_tape("A00001")[:2] == [record(0), record(1)]
    assert not d.on_tape("A00002")


def test_read_goes_on_where_it_was(deck):
    d = deck()
    tape = d.open()
    for n in range(30):
        tape.write(record(n, 4096 + n))
    tape.op(MTWEOF)
    tape.op(MTREW)
    for n in range(12):
        assert tape.read().data == record(n, 4096 + n)
    d.service.yank("tape0")
    read = Later(tape.read)
    d.question()
    d.insert("A00001")
    assert read.result().data == record(12, 4096 + 12)
    for n in range(13, 30):
        assert tape.read().data == record(n, 4096 + n)
    assert tape.read().flags & FILEMARK
    tape.close()


def test_cancel_keeps_what_was_acknowledged(deck):
    d = deck(keys={"fault": "at 1+ filemark do yank"})
    tape = d.open()
    for n in range(5):
        tape.write(record(n))
    mark = Later(tape.op, MTWEOF)
    d.service.answer(d.question(), "cancel")
    with pytest.raises(TapeError) as error:
        mark.result()
    assert error.value.errno == errno.ECANCELED
    files = until(lambda: d.service.call("GET", "/v1/recovery")["recovery"],
                  "a recovery file")
    assert files[0]["volume"] == "A00001"
    assert_covered(d, [files[0]["file"]], 5)
    tape.die()


def test_fail_without_is_a_plain_drive(deck):
    d = deck()
    tape = d.open(fail_without=True)
    tape.write(record(0))
    tape.op(MTWEOF)
    d.service.yank("tape0")
    with pytest.raises(TapeError) as error:
        tape.read()
    assert error.value.errno in (errno.ENOMEDIUM, errno.EIO)
    assert not d.service.prompts()
    tape.die()


def test_interrupt_ends_the_call_and_not_the_session(deck):
    d = deck()
    tape = d.open()
    tape.write(record(0))
    d.service.yank("tape0")
    write = Later(tape.write, record(1))
    d.question()
    tape.interrupt()
    with pytest.raises(TapeError) as error:
        write.result()
    assert error.value.errno == errno.EINTR
    d.insert("A00001")
    tape.write(record(1))
    tape.close()
    assert d.on_tape("A00001")[:2] == [record(0), record(1)]


# --- ends --------------------------------------------------------------------------

def test_client_dies_and_its_records_are_on_the_tape(deck):
    d = deck()
    tape = d.open()
    for n in range(10):
        tape.write(record(n))
    tape.die()
    until(lambda: not d.info()["open"], "the end of the session")
    assert d.on_tape("A00001")[:11] == [
        *[record(n) for n in range(10)], None]


def test_client_dies_while_its_tape_is_away(deck):
    d = deck()
    tape = d.open()
    tape.write(record(0))
    tape.op(MTWEOF)
    d.service.yank("tape0")
    read = Later(tape.read)
    d.question()
    tape.sock.shutdown(2)
    with pytest.raises(OSError):
        read.result()
    until(lambda: not d.service.prompts(), "the end of the question")
    until(lambda: not d.info()["open"], "the end of the session")
    d.insert("A00001")
    tape = d.open()
    assert tape.read().data == record(0)
    tape.close()


def test_service_ends_while_a_session_waits(deck):
    d = deck()
    tape = d.open()
    for n in range(3):
        tape.write(record(n))
    d.service.yank("tape0")
    write = Later(tape.write, record(3))
    d.question()
    d.service.stop()
    assert "by force" not in d.service.stderr()
    with pytest.raises(OSError):
        write.result()
    kept = [os.path.join(d.service.recovery, name)
            for name in os.listdir(d.service.recovery)
            if name.endswith(".tap")]
    assert_covered(d, kept, 3)


def test_service_starts_again_with_the_same_tape(deck):
    d = deck()
    tape = d.open()
    tape.write(b"VOL1DAILY7" + b" " * 70)
    tape.op(MTWEOF)
    tape.close()
    serial = d.info()["serial"]
    d.service.stop()
    d.service.process.stdout.close()
    d.service.stopped = False
    d.service.start()
    info = until(lambda: d.info() if d.info()["tape"] else None, "the tape")
    assert info["serial"] == serial
    assert (info["tape"], info["format"]) == ("DAILY7", "ANSI")
    tape = d.open(tape="DAILY7")
    assert tape.read().data.startswith(b"VOL1DAILY7")
    tape.close()


# --- what an operator sees -----------------------------------------------------------

def test_status_shows_it(deck):
    d = deck()
    until(lambda: d.info()["tape"], "the tape")
    drive = d.service.call("GET", "/v1/drives/tape0")["drive"]
    assert (drive["type"], drive["state"], drive["tape"], drive["volume"]) == (
        "tape", "ready", "A00001", "")
    assert not d.service.call("GET", "/v1/exports")["exports"]
    assert not d.service.call("GET", "/v1/volumes")["volumes"]
    d.service.yank("tape0")
    assert d.state() == "empty" and d.info()["tape"] == ""
    with pytest.raises(ApiError) as refused:
        d.service.yank("tape0")
    assert refused.value.code == "no-medium"
    with pytest.raises(ApiError) as refused:
        d.service.insert("tape0", d.folder / "no.tap")
    assert refused.value.code == "no-image"
    bad = d.folder / "bad.tap"
    bad.write_bytes(b"\x01\x02\x03\x04" * 100)
    with pytest.raises(ApiError) as refused:
        d.service.insert("tape0", bad)
    assert refused.value.code == "invalid"


def test_unloaded_by_its_session(deck):
    d = deck()
    tape = d.open()
    tape.write(record(0))
    tape.op(MTOFFL)
    assert d.state() in ("open", "empty", "not ready")
    tape.close()
    assert d.on_tape("A00001")[0] == record(0)


def test_files_are_spaced_over(deck):
    d = deck()
    tape = d.open()
    for n in range(4):
        tape.write(record(n))
        tape.op(MTWEOF)
    tape.op(MTREW)
    tape.op(MTFSF, 2)
    assert tape.read().data == record(2)
    with pytest.raises(TapeError):
        tape.op(MTFSF, 9)
    tape.close()
