"""reinsert tape: the words of mt, data onto tape and back, sets of tapes.

What is on a tape is looked at with a reader of .tap images of its own (the
SIMH format: a record between two lengths, a filemark is a zero), never with
the program under test alone.

SPDX-License-Identifier: MIT
"""
import io
import json
import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import tarfile
import threading

import pytest

import tapes
from house import HANG, REINSERT, steady, until

KIB = 1 << 10
MIB = 1 << 20


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def tap_files(image):
    """The files on a tape: each a list of records."""
    with open(image, "rb") as file:
        data = file.read()
    files, at = [[]], 0
    while at + 4 <= len(data):
        (length,) = struct.unpack_from("<I", data, at)
        at += 4
        if length == 0:
            files.append([])
            continue
        if length == 0xFFFFFFFF:
            break
        assert length < 1 << 24, hex(length)
        files[-1].append(data[at:at + length])
        at += length + (length & 1)
        assert struct.unpack_from("<I", data, at) == (length,)
        at += 4
    return files if files[-1] else files[:-1]


def on_tape(image, file=0):
    return b"".join(tap_files(image)[file])


class Job:
    """The program with its data on pipes, so that it can be held up."""

    def __init__(self, deck, *words, data=None):
        env = dict(os.environ, REINSERT_CONTROL=deck.s.control)
        self.process = subprocess.Popen(
            [REINSERT, "tape", *words], env=env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.out, self.said = b"", b""
        self.threads = [threading.Thread(target=self._out),
                        threading.Thread(target=self._err)]
        for thread in self.threads:
            thread.start()
        self.feeder = None
        if data is not None:
            self.feeder = threading.Thread(target=self.feed, args=(data, True))
            self.feeder.start()

    def _out(self):
        while chunk := self.process.stdout.read1(MIB):
            self.out += chunk

    def _err(self):
        while chunk := self.process.stderr.read1(4096):
            self.said += chunk

    def feed(self, data, end=False):
        try:
            self.process.stdin.write(data)
            self.process.stdin.flush()
            if end:
                self.process.stdin.close()
        except BrokenPipeError:
            pass

    def wait(self):
        try:
            code = self.process.wait(HANG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("it did not end: "
                                 + self.said.decode()) from None
        for thread in self.threads:
            thread.join()
        if self.feeder:
            self.feeder.join()
        self.text = self.said.decode()
        return code

    def good(self):
        code = self.wait()
        assert code == 0, (code, self.text)
        return self

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.wait()


class Deck:
    def __init__(self, service, folder):
        self.s = service
        self.folder = folder
        self.jobs = []

    def run(self, *words, data=b"", **more):
        env = dict(os.environ, REINSERT_CONTROL=self.s.control)
        return subprocess.run([REINSERT, "tape", *words], env=env, input=data,
                              capture_output=True, timeout=HANG, **more)

    def good(self, *words, **more):
        done = self.run(*words, **more)
        assert done.returncode == 0, (words, done.stderr.decode())
        return done

    def fails(self, code, *words, **more):
        done = self.run(*words, **more)
        assert done.returncode == code, (words, done.stderr.decode())
        return done.stderr.decode()

    def job(self, *words, data=None):
        self.jobs.append(Job(self, *words, data=data))
        return self.jobs[-1]

    def image(self, name):
        path = self.folder / f"{name}.tap"
        if not path.exists():
            path.write_bytes(b"")
        return str(path)

    def info(self, drive="st0"):
        return {t["drive"]: t for t in
                self.s.call("GET", "/v1/tapes")["tapes"]}[drive]

    def asked(self):
        """The one question that stands."""
        return until(self.s.prompts, "a question")[0]

    def put(self, name, drive="st0"):
        """As a person does: what is in the drive is taken out."""
        if self.s.drives()[drive]["medium"]:
            self.s.eject(drive)
        self.s.insert(drive, self.image(name))


@pytest.fixture
def deck(serve, tmp_path):
    decks = []

    def start(first="A", **keys):
        image = tmp_path / f"{first}.tap"
        image.write_bytes(b"")
        s = serve({"st0": {"type": "tape", "medium": image, **keys}})
        decks.append(Deck(s, tmp_path))
        return decks[-1]
    yield start
    for one in decks:
        for job in one.jobs:
            job.end()


# --- the words ---------------------------------------------------------------

def test_words__position__as_the_tape_says(deck):
    d = deck()
    d.good("st0", "write", "-b", "1000", data=noise(3500))
    d.good("st0", "weof", "2")
    assert [len(r) for f in tap_files(d.image("A")) for r in f] == [
        1000, 1000, 1000, 500]
    d.good("st0", "rewind")
    assert d.good("st0", "tell").stdout == b"At block 0.\n"
    d.good("st0", "fsr", "2")
    assert d.good("st0", "tell").stdout == b"At block 2.\n"
    d.good("st0", "fsf")
    status = d.good("st0", "status").stdout.decode()
    assert status.startswith("SCSI 2 tape drive:\nFile number=1, block "
                             "number=0, partition=0.\nTape block size 0 bytes.")
    d.good("st0", "asf", "0")
    assert " BOT ONLINE" in d.good("st0", "stat").stdout.decode()


def test_words__errors__exit_codes_of_mt(deck):
    d = deck()
    assert d.fails(1, "st0", "fsf", "-7").startswith(
        "mt: negative repeat count\n")
    assert "mt: ambiguous command" in d.fails(1, "st0", "s")
    assert "mt: illegal count unit." in d.fails(3, "st0", "fsf", "3x")
    assert d.fails(2, "st0", "fsf", "5").startswith("st0: Input/output error\n")
    assert "there is no \"nosuch\"" in d.fails(1, "st0", "nosuch")
    assert "the tape drives are: st0" in d.fails(1, "st1", "status")
    d.s.eject("st0")
    assert d.fails(1, "st0", "rewind").startswith("st0: No medium found\n")
    assert b" DR_OPEN" in d.good("st0", "status").stdout


def test_mt__by_a_link__finds_drives_as_paths_end(deck, tmp_path):
    d = deck()
    link = str(tmp_path / "mt")
    os.symlink(os.path.abspath(REINSERT), link)

    def mt(*words, **env):
        return subprocess.run([link, *words], capture_output=True, text=True,
                              timeout=HANG,
                              env=dict(os.environ,
                                       REINSERT_CONTROL=d.s.control, **env))
    want = d.good("st0", "status").stdout.decode()
    for device in ("st0", "/dev/st0", "/dev/nst0", "/dev/tape"):
        assert mt("-f", device, "status").stdout == want
    assert mt("status", TAPE="/dev/nst0").stdout == want
    done = mt("-f", "/dev/nst7", "status")
    assert done.returncode == 1
    assert done.stderr.endswith("/dev/nst7: No such device or address\n")
    done = mt("-f", "host:/dev/nst0", "status")
    assert (done.returncode, done.stdout) == (1, "")
    assert mt("-f", "st0", "weof").returncode == 0
    assert mt("-f", "st0", "offline").returncode == 0
    assert mt("-f", "st0", "fsf").returncode == 1


def test_list_and_json(deck):
    d = deck()
    line = d.good().stdout.decode().split("\t")
    assert line[:3] == ["tape", "st0", "ready"]
    rows = json.loads(d.good("--json").stdout)["tapes"]
    assert [r["drive"] for r in rows] == ["st0"]
    status = json.loads(d.good("st0", "status", "--json").stdout)
    assert status["file"] == 0 and "BOT" in status["flags"]
    # The last complaint of the drive: here that a filemark was met, as SSC has
    # it (key 0, ASC 00, ASCQ 01).
    d.good("st0", "weof")
    d.good("st0", "rewind")
    assert d.run("st0", "fsr", "5").returncode != 0
    status = json.loads(d.good("st0", "status", "--json").stdout)
    assert re.match(r"0/00/01 .*[Ff]ilemark", status["sense"]), status
    row = json.loads(d.good("--json").stdout)["tapes"][0]
    assert row["sense"] == status["sense"]
    d.good("st0", "rewind")
    d.good("st0", "erase")
    assert json.loads(d.good("st0", "tell", "--json").stdout) == {"block": 0}
    done = json.loads(d.good("st0", "write", "--json",
                             data=b"x" * 70000).stdout)
    assert (done["bytes"], done["records"], done["exit_code"]) == (70000, 2, 0)
    d.good("st0", "rewind")
    read = d.good("st0", "read", "--json")
    assert read.stdout == b"x" * 70000
    assert json.loads(read.stderr)["crc32c"] == done["crc32c"]


# --- data --------------------------------------------------------------------

@pytest.mark.parametrize("record", [512, 64 * KIB, MIB])
def test_write_read__odd_sizes__identical(deck, record):
    d = deck()
    sizes = [1, 511, 512, 513, 3 * 64 * KIB + 17, 5 * MIB + 3]
    for n, size in enumerate(sizes):
        data = noise(size, n)
        d.good("st0", "write", "-b", str(record), data=data)
        records = tap_files(d.image("A"))[n]
        assert b"".join(records) == data
        assert {len(r) for r in records[:-1]} <= {record}
    for n, size in enumerate(sizes):
        back = d.good("st0", "read", "--file", str(n))
        assert back.stdout == noise(size, n)
    back = d.good("st0", "read", "--file", "0", "--all")
    assert back.stdout == b"".join(noise(s, n) for n, s in enumerate(sizes))
    back = d.good("st0", "read", "--file", "1", "--files", "3")
    assert back.stdout == b"".join(noise(s, n + 1)
                                   for n, s in enumerate(sizes[1:4]))


def test_write__nothing__a_filemark(deck):
    d = deck()
    d.good("st0", "write", data=b"")
    assert b"File number=1" in d.good("st0", "status").stdout
    d.good("st0", "rewind")
    assert d.good("st0", "read").stdout == b""


def test_checksum__same_of_write_and_read_whatever_the_records(deck):
    d = deck()
    said = set()
    for record in ("700", "64k", "1M"):
        d.good("st0", "rewind")
        for done in (d.good("st0", "write", "-b", record, data=noise(MIB + 1)),
                     d.good("st0", "read", "--file", "0")):
            said.add(done.stderr.decode().split("CRC-32C ")[1])
    assert len(said) == 1


def test_read__behind_the_data__is_said(deck):
    d = deck()
    d.good("st0", "write", data=b"abc")
    assert "end of the data" in d.fails(1, "st0", "read")
    assert "1 of 2 files" in d.fails(1, "st0", "read", "--file", "0",
                                     "--files", "2")


def test_read__longer_record_than_asked_for__is_said(deck):
    d = deck()
    d.good("st0", "write", "-b", "1M", data=noise(2 * MIB))
    said = d.fails(5, "st0", "read", "--file", "0", "--raw", "-b", "64k")
    assert "--block-size" in said
    assert d.good("st0", "read", "--file", "0").stdout == noise(2 * MIB)
    assert "--block-size" in d.fails(5, "st0", "write", "-b", "8M",
                                     data=noise(8 * MIB))


def test_fixed_blocks__full_ones_only(deck, tmp_path):
    d = deck()
    d.good("st0", "setblk", "512")
    data = noise(200 * KIB + 100)
    source = tmp_path / "source"
    source.write_bytes(data)
    with open(source, "rb") as file:
        done = subprocess.run(
            [REINSERT, "tape", "st0", "write"], stdin=file,
            capture_output=True, timeout=HANG,
            env=dict(os.environ, REINSERT_CONTROL=d.s.control))
    assert done.returncode == 5 and b"--pad" in done.stderr
    assert tap_files(d.image("A")) == []
    said = d.fails(5, "st0", "write", data=data)
    assert "the last 100 bytes are not on the tape" in said
    assert on_tape(d.image("A")) == data[:200 * KIB]
    assert "--block-size" in d.fails(5, "st0", "write", "-b", "1000", data=data)
    d.good("st0", "rewind")
    d.good("st0", "write", "--pad", data=data)
    assert on_tape(d.image("A")) == data + bytes(412)
    assert {len(r) for r in tap_files(d.image("A"))[0]} == {512}
    assert d.good("st0", "read", "--file", "0").stdout == data + bytes(412)


def test_fixed_blocks__a_set_knows_how_long_its_data_are(deck):
    d = deck()
    d.good("st0", "setblk", "512")
    data = noise(300 * KIB + 7)
    d.good("st0", "write", "--pad", "--label", "PADDED", data=data)
    assert on_tape(d.image("A"), 1) == data + bytes(505)
    assert d.good("st0", "read", "--file", "0").stdout == data


def test_write__end_of_tape__says_so_and_keeps_what_is_there(deck):
    d = deck(capacity="4M", early_warning="512K")
    data = noise(8 * MIB)
    said = d.fails(3, "st0", "write", data=data)
    assert "the tape is full" in said
    there = on_tape(d.image("A"))
    assert 3 * MIB < len(there) < 4 * MIB
    assert data.startswith(there)
    back = d.good("st0", "read", "--file", "0")
    assert back.stdout == there


def test_write__protected_drive__refused_and_readable(deck):
    d = deck()
    d.good("st0", "write", data=b"keep")
    d.s.stop()
    d.s.end()
    with open(d.s.config, "a", encoding="utf-8") as file:
        file.write("readonly = yes\n")
    d.s.start()
    d.s.stopped = False
    d.fails(7, "st0", "write", data=b"other")
    assert d.fails(1, "st0", "weof").startswith("st0: Read-only file system\n")
    assert d.good("st0", "read", "--file", "0").stdout == b"keep"


# --- the tape goes away --------------------------------------------------------

def test_write__yanked_in_the_middle__goes_on(deck):
    d = deck()
    data = noise(6 * MIB)
    job = d.job("st0", "write", "-b", "32k")
    job.feed(data[:2 * MIB])
    until(lambda: d.info()["open"], "open")
    d.s.yank("st0")
    feeder = threading.Thread(target=job.feed, args=(data[2 * MIB:], True))
    feeder.start()
    d.asked()
    steady(lambda: job.process.poll() is None, "it waits")
    d.s.insert("st0", d.image("A"))
    feeder.join()
    job.good()
    d.s.no_prompt()
    assert on_tape(d.image("A")) == data


def test_write__yanked__a_wrong_tape_is_left_alone(deck):
    d = deck()
    other = d.image("B")
    data = noise(2 * MIB)
    job = d.job("st0", "write")
    job.feed(data[:MIB])
    until(lambda: d.info()["open"], "open")
    d.s.yank("st0")
    job.feed(data[MIB:], True)
    d.asked()
    d.s.insert("st0", other)
    steady(lambda: job.process.poll() is None, "it waits")
    assert os.path.getsize(other) == 0
    d.put("A")
    job.good()
    assert on_tape(d.image("A")) == data
    assert os.path.getsize(other) == 0


def test_read__yanked_in_the_middle__goes_on(deck):
    d = deck()
    data = noise(24 * MIB)
    d.good("st0", "write", data=data)
    d.good("st0", "rewind")
    env = dict(os.environ, REINSERT_CONTROL=d.s.control)
    with subprocess.Popen([REINSERT, "tape", "st0", "read"], env=env,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as job:
        back = job.stdout.read(MIB)
        d.s.yank("st0")
        got = []
        reader = threading.Thread(target=lambda: got.append(job.stdout.read()))
        reader.start()
        d.asked()
        d.s.insert("st0", d.image("A"))
        reader.join(HANG)
        assert job.wait(HANG) == 0, job.stderr.read()
    assert back + got[0] == data


def test_write__answered_with_cancel__fails(deck):
    d = deck()
    job = d.job("st0", "write")
    job.feed(noise(MIB))
    until(lambda: d.info()["open"], "open")
    d.s.yank("st0")
    job.feed(noise(MIB), True)
    d.s.answer(d.asked(), "cancel")
    assert job.wait() != 0
    d.s.no_prompt()
    assert "st0: " in job.text


def test_write__interrupted__ends_in_order(deck):
    d = deck()
    data = noise(MIB)
    job = d.job("st0", "write", "-b", "64k")
    job.feed(data)
    until(lambda: os.path.getsize(d.image("A")) > MIB // 2, "data on tape")
    job.process.send_signal(signal.SIGINT)
    assert job.wait() == 130
    assert "interrupted: " in job.text and "are on" in job.text
    there = on_tape(d.image("A"))
    assert len(there) > 0 and data.startswith(there)
    assert f"{len(there)} bytes" in job.text
    assert b"File number=1" in d.good("st0", "status").stdout


def test_write__interrupted_while_it_waits__ends(deck):
    d = deck()
    job = d.job("st0", "write")
    job.feed(noise(MIB))
    until(lambda: d.info()["open"], "open")
    d.s.yank("st0")
    job.feed(noise(MIB))
    d.asked()
    job.process.send_signal(signal.SIGINT)
    assert job.wait() == 130
    d.s.no_prompt()


def test_read__interrupted__ends(deck):
    d = deck()
    d.good("st0", "write", data=noise(8 * MIB))
    d.good("st0", "rewind")
    env = dict(os.environ, REINSERT_CONTROL=d.s.control)
    with subprocess.Popen([REINSERT, "tape", "st0", "read"], env=env,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as job:
        job.stdout.read(1)
        job.send_signal(signal.SIGINT)
        assert job.wait(HANG) == 130


def test_read__interrupted_between_filemarks__no_answer_is_blamed(deck):
    d = deck()
    d.s.eject("st0")
    marks = d.image("MARKS")
    with open(marks, "wb") as file:
        file.truncate(8 * MIB)          # a filemark is four bytes of 0
    d.s.insert("st0", marks)
    env = dict(os.environ, REINSERT_CONTROL=d.s.control)
    with subprocess.Popen([REINSERT, "tape", "st0", "read", "--all"], env=env,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as job:
        until(lambda: d.s.call("GET", "/v1/tapes")["tapes"][0]["file"] > 99,
              "a hundred files")
        job.send_signal(signal.SIGINT)
        assert job.wait(HANG) == 130
        said = job.stderr.read()
    assert b"interrupted" in said and b"cancel" not in said


def test_second_session__busy(deck):
    d = deck()
    job = d.job("st0", "write")
    until(lambda: d.info()["open"], "open")
    assert "somebody else has it open" in d.fails(1, "st0", "read")
    assert d.fails(1, "st0", "rewind").startswith(
        "st0: Device or resource busy\n")
    job.feed(b"x", True)
    job.good()
    d.good("st0", "rewind")


# --- sets ----------------------------------------------------------------------

def test_set__one_tape__plain_data_between_two_tar_archives(deck):
    d = deck()
    data = noise(3 * MIB + 5)
    d.good("st0", "write", "--label", "ONE", data=data)
    begin, middle, end = tap_files(d.image("A"))
    assert b"".join(middle) == data
    assert len(begin) == len(end) == 1 and len(begin[0]) == 10240
    with tarfile.open(fileobj=io.BytesIO(begin[0])) as tar:
        assert tar.getnames() == ["ONE Volume 1", "reinsert-tape-set"]
        text = tar.extractfile("reinsert-tape-set").read().decode()
    assert "label: ONE\n" in text and "part: 1\n" in text
    with tarfile.open(fileobj=io.BytesIO(end[0])) as tar:
        text = tar.extractfile("reinsert-tape-set-end").read().decode()
    assert f"part-bytes: {len(data)}\n" in text
    assert "last: yes\ncomplete: yes\n" in text
    assert d.info()["label"] == "ONE Volume 1"
    assert d.good("st0", "read", "--file", "0").stdout == data
    assert d.good("st0", "read", "--raw", "--file", "1").stdout == data


def test_set__data_on_the_tape__kept(deck):
    d = deck()
    d.good("st0", "write", data=b"precious")
    assert "rewind" in d.fails(5, "st0", "write", "--label", "X", data=b"new")
    d.good("st0", "rewind")
    assert "--overwrite" in d.fails(5, "st0", "write", "--label", "X",
                                    data=b"new")
    assert on_tape(d.image("A")) == b"precious"
    d.good("st0", "write", "--label", "X", "--overwrite", data=b"new")
    assert on_tape(d.image("A"), 1) == b"new"


def test_set__one_bit_differs__is_found(deck):
    d = deck()
    data = noise(MIB)
    d.good("st0", "write", "--label", "BITS", data=data)
    d.s.eject("st0")
    with open(d.image("A"), "r+b") as file:
        image = file.read()
        at = image.index(data[70000:70064])
        file.seek(at)
        file.write(bytes([image[at] ^ 1]))
    d.s.insert("st0", d.image("A"))
    said = d.fails(3, "st0", "read", "--file", "0")
    assert "NOT what was written" in said


def test_set__interrupted__is_read_and_said_to_be_incomplete(deck):
    d = deck()
    data = noise(MIB)
    job = d.job("st0", "write", "--label", "CUT")
    job.feed(data)
    until(lambda: os.path.getsize(d.image("A")) > MIB // 2, "data on tape")
    job.process.send_signal(signal.SIGINT)
    assert job.wait() == 130
    back = d.run("st0", "read", "--file", "0")
    assert back.returncode == 1 and b"not all that was meant" in back.stderr
    assert back.stdout and data.startswith(back.stdout)


def next_question(d, job, before=None):
    """The question that stands, another one than before; None at the end."""
    def look():
        new = [p for p in d.s.prompts() if before is None
               or p["id"] != before["id"]]
        return new or ([None] if job.process.poll() is not None else [])
    return until(look, "the next question or the end")[0]


def offer(d, wrong):
    """A question stands: a wrong tape is refused, untouched."""
    before = open(d.image(wrong), "rb").read()
    d.put(wrong)
    until(lambda: [p["reason"] for p in d.s.prompts()]
          == ["STATUS_WRONG_VOLUME"], f"{wrong} is refused")
    assert open(d.image(wrong), "rb").read() == before


def test_span__five_tapes__a_wrong_one_offered_twice(deck):
    d = deck(first="T1", capacity="2M", early_warning="256K")
    data = noise(8 * MIB)
    job = d.job("st0", "write", "--span", "--label", "BIG", data=data)
    tapes, question = ["T1"], None
    while question := next_question(d, job, question):
        if len(tapes) == 3:         # tapes of the same set are not blank
            offer(d, "T1")
            offer(d, "T2")
        tapes.append(f"T{len(tapes) + 1}")
        d.put(tapes[-1])
    job.good()
    assert len(tapes) == 5, job.text
    assert b"".join(on_tape(d.image(t), 1) for t in tapes) == data
    assert "are on T1, T2, T3, T4, T5," in job.text

    # ... and back, in order: another part and a tape of another set first.
    d.put("OTHER")
    d.good("st0", "write", "--label", "OTHER", data=b"another set")
    d.put("T1")
    job, question = d.job("st0", "read", "--span"), None
    for part in range(2, 6):
        question = next_question(d, job, question)
        assert f"BIG Volume {part}" in question["text"], question
        if part == 3:
            offer(d, "T4")
            offer(d, "OTHER")
        d.put(f"T{part}")
    job.good()
    assert job.out == data


def test_span__begun_with_a_later_part__the_first_is_asked_for(deck):
    d = deck(first="T1", capacity="2M", early_warning="256K")
    data = noise(3 * MIB)
    job = d.job("st0", "write", "--span", "--label", "TWO", data=data)
    d.asked()
    d.put("T2")
    job.good()
    d.good("st0", "rewind")
    job = d.job("st0", "read", "--span")
    question = next_question(d, job)
    assert "TWO Volume 1" in question["text"]
    d.put("T1")
    question = next_question(d, job, question)
    assert "TWO Volume 2" in question["text"]
    d.put("T2")
    job.good()
    assert job.out == data


def test_span__overwrite__never_a_tape_of_the_same_set(deck):
    d = deck(first="T1", capacity="2M", early_warning="256K")
    data = noise(5 * MIB)
    d.put("T2")
    d.good("st0", "write", data=b"old")
    d.put("T1")
    job = d.job("st0", "write", "--span", "--overwrite", "--label", "OVER",
                data=data)
    question = next_question(d, job)
    d.put("T2")
    question = next_question(d, job, question)
    before = open(d.image("T1"), "rb").read()
    d.put("T1")
    until(lambda: b"part 1 of this set" in job.said, "it is refused")
    d.asked()
    assert open(d.image("T1"), "rb").read() == before
    d.put("T3")
    job.good()
    assert b"".join(on_tape(d.image(t), 1) for t in ("T1", "T2", "T3")) == data


def test_span__without_it__says_that_the_set_goes_on(deck):
    d = deck(first="T1", capacity="2M", early_warning="256K")
    data = noise(3 * MIB)
    job = d.job("st0", "write", "--span", "--label", "TWO", data=data)
    d.asked()
    d.put("T2")
    job.good()
    d.put("T1")
    back = d.run("st0", "read")
    assert back.returncode == 1 and b"goes on with part 2" in back.stderr
    assert data.startswith(back.stdout) and back.stdout


def test_span__same_label_and_part_of_another_set__refused(deck):
    d = deck(first="T1", capacity="2M", early_warning="256K")
    for names, seed in ((("T1", "T2"), 1), (("U1", "U2"), 2)):
        if names[0] != "T1":
            d.put(names[0])
        job = d.job("st0", "write", "--span", "--label", "SAME",
                    data=noise(3 * MIB, seed))
        d.asked()
        d.put(names[1])
        job.good()
    d.put("T1")
    job = d.job("st0", "read", "--span")
    d.asked()
    d.put("U2")
    until(lambda: b"another set" in job.said, "it is refused")
    d.asked()
    d.put("T2")
    job.good()
    assert job.out == noise(3 * MIB, 1)


def test_span__answered_with_cancel__ends(deck):
    d = deck(first="T1", capacity="2M", early_warning="256K")
    job = d.job("st0", "write", "--span", "--label", "END",
                data=noise(4 * MIB))
    d.s.answer(d.asked(), "cancel")
    assert job.wait() not in (0, 130)
    d.s.no_prompt()


# --- a robot -------------------------------------------------------------------

@pytest.fixture
def rack(serve, tmp_path):
    labels = [f"LTO{n:03}L6" for n in range(1, 7)]
    (tmp_path / "media").mkdir()
    for label in labels:
        (tmp_path / "media" / f"{label}.tap").write_bytes(b"")
    s = serve({}, libraries={"rack": {
        "media": tmp_path / "media", "state": tmp_path / "state", "slots": 8,
        "mail-slots": 1, "drives": 1, "drive-type": "tape",
        "min-residence": 0, "drive-capacity": "2M",
        "drive-early-warning": "256K"}})
    d = Deck(s, tmp_path / "media")
    yield d
    for job in d.jobs:
        job.end()


def test_span__a_robot_brings_the_tapes_by_bar_code(rack):
    d = rack
    data = noise(5 * MIB)
    names = "LTO004L6,LTO002L6,LTO006L6"
    d.good("rack-0", "write", "--span", "--label", "RACK", "--tape", names,
           data=data)
    assert b"".join(on_tape(d.image(t), 1) for t in names.split(",")) == data
    back = d.good("rack-0", "read", "--span", "--tape", names)
    assert back.stdout == data
    assert not d.s.prompts()


def test_span__a_robot_brings_blank_ones_and_finds_them_by_label(rack):
    d = rack
    data = noise(5 * MIB)
    d.good("rack-0", "write", "--span", "--label", "RACK",
           "--tape", "LTO001L6", data=data)
    used = [f"LTO{n:03}L6" for n in range(1, 7)
            if os.path.getsize(d.image(f"LTO{n:03}L6"))]
    assert len(used) == 3
    back = d.good("rack-0", "read", "--span", "--tape", "LTO001L6")
    assert back.stdout == data
    assert not d.s.prompts()


# --- who looks on ----------------------------------------------------------------

class Screen:
    """A terminal, somebody before it."""

    def __init__(self, master):
        self.master, self.said = master, b""

    def shows(self, what):
        def look():
            if select.select([self.master], [], [], 0.05)[0]:
                self.said += os.read(self.master, 4096)
            return re.search(what, self.said)
        until(look, str(what))


def test_progress__on_a_terminal_only(deck, tmp_path):
    d = deck()
    source = tmp_path / "source"
    source.write_bytes(noise(4 * MIB))
    assert b"\r" not in d.good("st0", "write", data=b"x").stderr
    assert d.good("st0", "write", "--quiet", data=b"x").stderr == b""
    master, slave = pty.openpty()
    job = subprocess.Popen(
        [REINSERT, "tape", "st0", "write"], stdin=subprocess.PIPE,
        stderr=slave, env=dict(os.environ, REINSERT_CONTROL=d.s.control))
    os.close(slave)
    screen = Screen(master)
    job.stdin.write(noise(MIB))
    job.stdin.flush()
    # Of an emulated cartridge of 1 TB.
    screen.shows(rb"[MK]iB/s, room for 931")
    d.s.yank("st0")
    job.stdin.write(noise(MIB))
    job.stdin.flush()
    screen.shows(rb"waiting: [^\n]*is needed")
    d.s.insert("st0", d.image("A"))
    job.stdin.close()
    screen.shows(rb"CRC-32C")
    assert job.wait(HANG) == 0
    os.close(master)


# --- the real mt on the same kind of drive -------------------------------------------

def test_mt__random_words__real_one_through_fuse_says_the_same(serve, tmp_path):
    if tapes.why_not():
        pytest.skip(tapes.why_not())
    dice = random.Random(11)
    for name in ("real", "ours"):
        (tmp_path / f"{name}.tap").write_bytes(b"")
    s = serve({name: {"type": "tape", "medium": tmp_path / f"{name}.tap",
                      "capacity": "8M", "early-warning": "1M"}
               for name in ("real", "ours")})
    link = tmp_path / "mt"
    os.symlink(os.path.abspath(REINSERT), link)
    env = dict(os.environ, REINSERT_CONTROL=s.control, LC_ALL="C")
    files = tapes.Mounted(s, tmp_path / "files", "real")
    try:
        def both(*words):
            done = []
            for program, device in (("/bin/mt-st", files.path("nst0")),
                                    (str(link), "ours")):
                # Both see a file: what mt says behind an error is then sure.
                with open(tmp_path / "said", "w+b") as said:
                    out = subprocess.run(
                        [program, "-f", device, *words], stdout=subprocess.PIPE,
                        stderr=said, env=env, timeout=HANG)
                    said.seek(0)
                    done.append((out.returncode, out.stdout.decode(),
                                 said.read().decode().replace(device, "DEV")))
            return done

        for _ in range(120):
            words = dice.choice((
                ["weof"], ["weof", str(dice.randrange(3))], ["rewind"],
                ["fsf", str(dice.randrange(3))], ["bsf", str(dice.randrange(3))],
                ["fsr", "1"], ["bsr", "1"], ["eod"], ["tell"], ["fsfm"],
                ["bsfm"], ["asf", str(dice.randrange(4))],
                ["seek", str(dice.randrange(6))], ["setblk", "512"],
                ["setblk", "0"], ["nosuch"], ["fsf", "-1"], ["stat"]))
            real, ours = both(*words)
            assert ours == real, words
            real, ours = both("status")
            assert ours == real, ["status", "after", *words]
    finally:
        files.close()
