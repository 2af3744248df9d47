"""test_tape_model.py - tapes, block by block, against a model

A thousand random sequences of writes, filemarks, spaces, locates, closes and
hands at the drive, through tape files; each answer, each position, and at the
end the image are what a model of a tape says, which is written from st(4) and
SSC.  Tapes are exchanged as SIMH images both ways, with tapefile.py at the
other end.

REINSERT_SEED and REINSERT_SEQUENCES choose others.

SPDX-License-Identifier: MIT
"""
import errno
import os
import random

import pytest

import tape_client
import tapefile
import tapes
from house import until
from tapefile import MARK
from tapes import Tape

pytestmark = pytest.mark.skipif(tapes.why_not() is not None,
                                reason=str(tapes.why_not()))
SEED = int(os.environ.get("REINSERT_SEED", "7"))
SEQUENCES = int(os.environ.get("REINSERT_SEQUENCES", "1000"))
STOPPED = errno.EIO             # of a space that did not get through


class Model:
    """Records and marks, and a place between two of them."""

    def __init__(self, objects):
        self.objects = list(objects)
        self.at = 0
        self.zeros = 0          # reads that got nothing, in a row
        self.of_a_mark = 1      # a mark is one of these; not in a session

    @property
    def file(self):
        return self.objects[:self.at].count(MARK)

    @property
    def block(self):
        before = self.objects[:self.at]
        return len(before) - (max(i for i, o in enumerate(before)
                                  if o is MARK) + 1 if MARK in before else 0)

    def put(self, *objects):
        self.objects[self.at:] = objects
        self.at = len(self.objects)

    def read(self, size):
        """Bytes, or an errno."""
        if self.at == len(self.objects):
            self.zeros += 1
            return b"" if self.zeros < 3 else errno.EIO
        one = self.objects[self.at]
        self.at += 1
        if one is MARK:
            self.zeros += self.of_a_mark
            return b""
        self.zeros = 0
        return one if len(one) <= size else errno.ENOMEM

    def forward(self, count, marks):
        while count > 0:
            if self.at == len(self.objects):
                return STOPPED
            is_mark = self.objects[self.at] is MARK
            self.at += 1
            if is_mark and not marks:
                return STOPPED
            count -= is_mark if marks else 1
        return 0

    def back(self, count, marks):
        while count > 0:
            if self.at == 0:
                return STOPPED
            self.at -= 1
            is_mark = self.objects[self.at] is MARK
            if is_mark and not marks:
                return STOPPED
            count -= is_mark if marks else 1
        return 0

    def seek(self, number):
        self.at = min(number, len(self.objects))
        return 0 if number <= len(self.objects) else STOPPED


def one_record(dice):
    length = dice.choice([1, 2, 17, 80, 511, 512, 513, 4096, 10240, 70001])
    return dice.randbytes(length)


def some_tape(dice):
    """What a tape may hold before; sometimes nothing."""
    return [MARK if dice.random() < 0.25 else one_record(dice)
            for _ in range(dice.choice([0, 0, 3, 10, 30]))]


class Sequence:
    """One tape, from its insertion to the comparison."""

    def __init__(self, files, folder, number):
        self.files = files
        self.number = number
        self.dice = random.Random(SEED * 1_000_003 + number)
        self.image = os.path.join(folder, "tape.tap")
        self.story = []
        before = some_tape(self.dice)
        tapefile.write(self.image, before, gaps=number % 4 == 3,
                       end=number % 3 == 0)
        self.model = Model(before)
        self.tape = None
        self.wrote = False      # the last operation did
        self.pulled = False     # and nothing was asked of the tape since

    def check(self, what, wanted, got):
        assert wanted == got, (
            f"sequence {self.number} of seed {SEED}: {what}: {got!r} instead "
            f"of {wanted!r}; {' '.join(self.story)}")

    def outcome(self, call, *args):
        try:
            return call(*args) or 0
        except OSError as error:
            return error.errno

    def do(self, operation, count, wanted):
        self.check(f"operation {operation} {count}", wanted,
                   self.outcome(self.tape.op, operation, count))

    # --- steps; each changes the model, and compares ---

    def write(self):
        record = one_record(self.dice)
        self.check("write", len(record), self.tape.write(record))
        self.model.put(record)
        self.wrote = True

    def write_marks(self):
        count = self.dice.choice([1, 1, 1, 2, 3])
        self.model.put(*[MARK] * count)
        self.do(tapes.MTWEOF, count, 0)
        self.wrote = False

    def read(self):
        if self.wrote:
            return              # nobody may read behind what he wrote
        size = self.dice.choice([100, 70001, 1 << 20])
        wanted = self.model.read(size)
        try:
            got = self.tape.read(size)
        except OSError as error:
            got = error.errno
        if isinstance(wanted, bytes) and isinstance(got, bytes):
            self.check("length read", len(wanted), len(got))
        self.check("read", wanted, got)

    def ended(self):
        """Whoever moves away from what he wrote closes it with a mark."""
        if self.wrote:
            self.write_marks()

    def space(self):
        self.ended()
        count = self.dice.choice([1, 1, 2, 5, 40])
        operation, wanted = self.dice.choice([
            (tapes.MTFSF, lambda: self.model.forward(count, True)),
            (tapes.MTBSF, lambda: self.model.back(count, True)),
            (tapes.MTFSR, lambda: self.model.forward(count, False)),
            (tapes.MTBSR, lambda: self.model.back(count, False))])
        self.do(operation, count, wanted())

    def locate(self):
        self.ended()
        number = self.dice.randrange(len(self.model.objects) + 2)
        self.do(tapes.MTSEEK, number, self.model.seek(number))

    def rewind(self):
        self.ended()
        self.model.at = 0
        self.do(tapes.MTREW, 1, 0)

    def to_the_end(self):
        self.ended()
        self.model.at = len(self.model.objects)
        self.do(tapes.MTEOM, 1, 0)

    def close(self):
        if self.pulled and not self.wrote:
            # The tape lies at its beginning until something is asked of it.
            self.do(tapes.MTSEEK, self.model.at, 0)
        rewinds = self.dice.random() < 0.3
        self.tape.close()
        if self.wrote:
            self.model.put(MARK)
            self.wrote = False
        if self.rewinds:
            self.model.at = 0
        self.rewinds = rewinds
        self.tape = Tape(self.files.path("st0" if rewinds else "nst0"))

    def hands(self):
        """The tape is pulled and put back."""
        self.files.service.yank("lto0")
        self.files.service.insert("lto0", self.image)
        self.pulled = True

    def wrong_tape(self):
        self.files.service.yank("lto0")
        self.files.service.insert("lto0", self.files.other)
        self.files.service.yank("lto0")
        self.files.service.insert("lto0", self.image)
        self.pulled = True

    def open(self):
        return Tape(self.files.path("nst0"))

    def run(self, steps):
        service = getattr(self.files, "service", self.files)
        service.insert("lto0", self.image)
        self.rewinds = False
        self.tape = self.open()
        for _ in range(self.dice.randrange(10, 40)):
            step = self.dice.choice(steps)
            self.story.append(step.__name__)
            if step is not Sequence.read and step not in HANDS:
                self.model.zeros = 0
            getattr(self, step.__name__)()
            self.pulled = self.pulled and step in HANDS
            self.check("place", self.model.at, self.tape.where())
            self.compare_status()
        self.ended()
        self.tape.close()
        service.eject("lto0")
        self.check("the image", self.model.objects,
                   tapefile.read(self.image))

    def compare_status(self):
        status = self.tape.status()
        if status["file"] >= 0:
            self.check("file", self.model.file, status["file"])
        if status["block"] >= 0:
            self.check("block", self.model.block, status["block"])


HANDS = (Sequence.hands, Sequence.wrong_tape)


class Client:
    """A session as a tape file: what Sequence needs of it."""

    def __init__(self, service):
        self.link = tape_client.Tape(service, "lto0")
        self.status, self.close = self.link.status, self.link.close

    def op(self, operation, count=1):
        self.link.op(operation, count)

    def write(self, data):
        return self.link.write(data).bytes

    def read(self, size):
        return self.link.read(size).data

    def where(self):
        return self.link.status()["where"]


class Dying(Sequence):
    """Its programs do not close: they are killed, some of them while a record
    is on its way.  What they wrote is finished as by a close."""

    def open(self):
        self.model.of_a_mark = 0
        return Client(self.files)

    def close(self):
        if self.dice.random() < 0.4:
            self.killed_while_it_writes()
        else:
            self.tape.link.die()
            self.finished()

    def finished(self):
        until(lambda: not self.files.call("GET", "/v1/tapes")["tapes"][0]
              ["open"], "the end of the session")
        if self.wrote:
            self.model.put(MARK)
            self.wrote = False
        self.tape = self.open()

    def killed_while_it_writes(self):
        record = one_record(self.dice)
        link = self.tape.link
        link.window[:len(record)] = record
        link.send(tape_client.WRITE, size=len(record), group=link.next_group())
        link.die()
        before = self.model.objects[:], self.model.at
        self.model.put(record)
        wrote, self.wrote = self.wrote, True
        self.finished()
        if self.tape.where() != self.model.at:
            # It was not even begun.
            self.model.objects, self.model.at = before
            if wrote:
                self.model.put(MARK)


def resets(dice, sequences):
    """Rules by which the drive is reset, or says that it was, or the session to
    it is lost: at a random command of each kind, again and again.  Not so often
    that one return meets six of them, for then it is given up."""
    rules = []
    for match, often in [("write", 60), ("read", 80), ("space", 25),
                         ("locate", 25), ("rewind", 60), ("filemark", 30)]:
        at = 0
        while at < 20 * sequences:
            at += dice.randrange(1, 2 * often)
            action = dice.choice(["reset", "sense 6/29/00", "sense 6/29/02",
                                  "sense 6/2a/01", "bus-free"])
            rules.append(f"at {at} {match} do {action}")
    return rules


def all_sequences(serve, clients, tmp_path, steps, count, faults=()):
    service = serve({"lto0": {"type": "tape", "fault": list(faults)}})
    files = tapes.Mounted(service, tmp_path / "mnt")
    clients.append(files)
    files.service = service
    files.other = str(tmp_path / "other.tap")
    tapefile.write(files.other, [b"not this one" * 9, MARK])
    for number in range(count):
        Sequence(files, str(tmp_path), number).run(steps)
    assert tapefile.read(files.other) == [b"not this one" * 9, MARK]


QUIET = ([Sequence.write] * 5 + [Sequence.read] * 5 + [Sequence.space] * 4 +
         [Sequence.write_marks, Sequence.locate, Sequence.rewind,
          Sequence.to_the_end, Sequence.close])


def test_random_sequences(serve, clients, tmp_path):
    all_sequences(serve, clients, tmp_path, QUIET, SEQUENCES // 2)


def test_random_sequences_while_the_tape_is_pulled(serve, clients, tmp_path):
    all_sequences(serve, clients, tmp_path,
                  QUIET * 2 + [Sequence.hands] * 4 + [Sequence.wrong_tape] * 2,
                  SEQUENCES - SEQUENCES // 2)


def test_random_sequences_while_the_drive_is_reset(serve, clients, tmp_path):
    """Nobody is asked anything, and nobody notices."""
    count = max(SEQUENCES // 4, 1)
    all_sequences(serve, clients, tmp_path, QUIET, count,
                  resets(random.Random(SEED), count))


def test_random_sequences_while_all_of_that_happens(serve, clients, tmp_path):
    count = max(SEQUENCES // 4, 1)
    all_sequences(serve, clients, tmp_path,
                  QUIET * 2 + [Sequence.hands] * 4 + [Sequence.wrong_tape],
                  count, resets(random.Random(SEED + 1), count))


def test_random_sequences_whose_programs_are_killed(serve, tmp_path):
    count = max(SEQUENCES // 4, 1)
    service = serve({"lto0": {"type": "tape", "fault": resets(
        random.Random(SEED + 2), count)}})
    for number in range(count):
        Dying(service, str(tmp_path), number).run(
            QUIET + [Sequence.write] * 3 + [Dying.close] * 4)


# --- images of others ----------------------------------------------------------------


@pytest.fixture
def lto(serve, clients, tmp_path):
    service = serve({"lto0": {"type": "tape"}})
    files = tapes.Mounted(service, tmp_path / "mnt")
    clients.append(files)
    files.service = service
    return files


def test_an_image_made_elsewhere_is_read(lto, tmp_path):
    dice = random.Random(SEED)
    records = [MARK if n % 7 == 6 else dice.randbytes(dice.randrange(1, 9000))
               for n in range(200)] + [MARK]
    image = str(tmp_path / "theirs.tap")
    tapefile.write(image, records, gaps=True)
    lto.service.insert("lto0", image)
    with Tape(lto.path("nst0"), os.O_RDONLY) as tape:
        got = []
        while len(got) < len(records):
            data = tape.read()
            got.append(data if data else MARK)
        assert got == records
        assert tape.read() == b""
    assert tapefile.read(image) == records


def test_an_image_of_ours_is_read_elsewhere(lto, tmp_path):
    dice = random.Random(SEED + 1)
    image = tapes.blank(tmp_path / "ours.tap")
    lto.service.insert("lto0", image)
    records = []
    with Tape(lto.path("nst0")) as tape:
        for number in range(200):
            if number % 9 == 8:
                tape.op(tapes.MTWEOF)
                records.append(MARK)
            else:
                records.append(dice.randbytes(dice.randrange(1, 20000)))
                tape.write(records[-1])
    lto.service.eject("lto0")
    assert tapefile.read(image) == records + [MARK]


def test_a_record_with_an_error_is_an_error(lto, tmp_path):
    image = str(tmp_path / "bad.tap")
    with open(image, "wb") as file:
        for word, data in (4, b"good"), (0x80000004, b"hurt"), (4, b"next"):
            length = word.to_bytes(4, "little")
            file.write(length + data + length)
    lto.service.insert("lto0", image)
    with Tape(lto.path("nst0"), os.O_RDONLY) as tape:
        assert tape.read() == b"good"
        with pytest.raises(OSError) as raised:
            tape.read()
        assert raised.value.errno == errno.EIO


@pytest.mark.parametrize("data", [
    b"\x05", b"\x05\0\0\0abc", b"\x05\0\0\0abcde\0\x06\0\0\0",
    b"\xff\xff\xff\x0f", b"\x10\0\0\x10" + bytes(100)])
def test_damaged_images_do_no_harm(lto, tmp_path, data):
    """Refused, or read to where the damage is; written behind that, read."""
    image = str(tmp_path / "damaged.tap")
    good = (4).to_bytes(4, "little") + b"good" + (4).to_bytes(4, "little")
    with open(image, "wb") as file:
        file.write(good + data)
    lto.service.insert("lto0", image)
    with Tape(lto.path("nst0")) as tape:
        assert tape.read() == b"good"
        with pytest.raises(OSError) as raised:
            assert tape.read() == b""
            assert tape.read() == b""
            tape.read()
        assert raised.value.errno == errno.EIO
        tape.op(tapes.MTREW)
        tape.op(tapes.MTFSR)
        tape.write(b"better")
    lto.service.eject("lto0")
    assert tapefile.read(image) == [b"good", b"better", MARK]
