"""test_tape_fuse.py - Debian's tape programs, unmodified, on tape files

mt (of mt-st), GNU tar, dd and cpio on `reinsert tape mount`.  What they must
see is what st(4) and Documentation/scsi/st.rst of the kernel say of a tape
drive; what is on the tape afterwards is read by tapefile.py, which knows
nothing of ours.

SPDX-License-Identifier: MIT
"""
import errno
import os
import random
import signal
import subprocess
import time

import pytest

import tapefile
import tapes
from house import HANG, steady, until
from tapefile import MARK
from tapes import Tape, make_tree, run, same_trees

pytestmark = pytest.mark.skipif(tapes.why_not() is not None,
                                reason=str(tapes.why_not()))
KIB = 1 << 10
MIB = 1 << 20
SEED = int(os.environ.get("REINSERT_SEED", "20261121"))


@pytest.fixture
def mount(serve, clients, tmp_path):
    """A service with tape drives, and its files; blank tapes in them."""
    def start(*drives, **keys):
        media = {name: tapes.blank(tmp_path / f"{name}.tap")
                 for name in drives}
        service = serve({name: {"type": "tape", "medium": media[name], **keys}
                         for name in drives})
        mounted = tapes.Mounted(service, tmp_path / "mnt")
        clients.append(mounted)
        mounted.service = service
        mounted.media = media
        return mounted
    return start


@pytest.fixture
def lto(mount):
    return mount("lto0")


def fails(number, call, *args):
    with pytest.raises(OSError) as raised:
        call(*args)
    assert raised.value.errno == number, raised.value


# --- the files -----------------------------------------------------------------


def test_a_pair_for_each_drive_and_links_by_name(mount):
    files = mount("lto0", "dat")
    assert sorted(os.listdir(files.folder)) == [
        "by-name", "nst0", "nst1", "st0", "st1"]
    assert os.readlink(files.path("by-name/dat")) == "../st1"
    assert os.readlink(files.path("by-name/lto0-nst")) == "../nst0"


def test_drives_in_the_order_that_is_asked_for(mount, tmp_path, clients):
    files = mount("lto0", "dat")
    other = tapes.Mounted(files.service, tmp_path / "m2", "dat")
    clients.append(other)
    assert os.readlink(other.path("by-name/dat")) == "../st0"
    assert not os.path.exists(other.path("st1"))
    # The session is the drive's, whichever way it was opened.
    with Tape(other.path("nst0")):
        fails(errno.EBUSY, Tape, files.path("nst1"))


def test_a_second_open_is_busy_and_the_next_is_not(lto):
    with Tape(lto.path("nst0")):
        fails(errno.EBUSY, Tape, lto.path("nst0"), os.O_RDONLY)
        fails(errno.EBUSY, Tape, lto.path("st0"), os.O_RDONLY)
    for _ in range(20):
        Tape(lto.path("nst0")).close()


def test_nst_stays_where_it_is_and_st_rewinds(lto):
    with Tape(lto.path("nst0")) as tape:
        tape.write(b"one")
    with Tape(lto.path("nst0")) as tape:
        assert tape.where() == 2            # a record and its filemark
        tape.write(b"two")
    with Tape(lto.path("st0"), os.O_RDONLY) as tape:
        assert tape.where() == 4
    with Tape(lto.path("nst0"), os.O_RDONLY) as tape:
        assert tape.where() == 0
        assert tape.status()["file"] == tape.status()["block"] == 0
    assert tapefile.read(lto.media["lto0"]) == [b"one", MARK, b"two", MARK]


def test_a_record_is_a_request_up_to_a_mib(lto):
    sizes = [1, 3, 512, 10240, 65535, 256 * KIB, MIB - 1, MIB]
    written = [random.Random(size).randbytes(size) for size in sizes]
    with Tape(lto.path("nst0")) as tape:
        for record in written:
            assert tape.write(record) == len(record)
        tape.op(tapes.MTWEOF)
        tape.op(tapes.MTREW)
        for record in written:
            assert tape.read(MIB) == record
        assert tape.read(MIB) == b""
        fails(errno.EOVERFLOW, tape.write, bytes(MIB + 1))
    assert tapefile.read(lto.media["lto0"])[:len(written)] == written


def test_reading_at_a_filemark_and_at_the_end_of_the_data(lto):
    with Tape(lto.path("nst0")) as tape:
        tape.write(b"a" * 100)
        tape.op(tapes.MTWEOF)
        tape.write(b"b" * 50)
        tape.op(tapes.MTREW)
        assert tape.read() == b"a" * 100
        assert tape.read() == b""           # the filemark
        assert tape.read() == b"b" * 50     # the next file
        assert tape.read() == b""           # nothing follows: written by
        assert tape.read() == b""           # nobody, or the end of the data
        fails(errno.EIO, tape.read)


def test_a_record_longer_than_the_buffer(lto):
    with Tape(lto.path("nst0")) as tape:
        tape.write(b"x" * 1000)
        tape.write(b"y" * 10)
        tape.op(tapes.MTREW)
        fails(errno.ENOMEM, tape.read, 999)
        assert tape.read(999) == b"y" * 10


def test_no_tape(lto):
    lto.service.eject("lto0")
    fails(errno.ENOMEDIUM, Tape, lto.path("nst0"), os.O_RDONLY)
    fails(errno.ENOMEDIUM, Tape, lto.path("st0"))
    done = run("dd", f"if={lto.path('nst0')}", "of=/dev/null", good=False,
               text=True)
    assert done.returncode == 1 and "No medium found" in done.stderr
    with Tape(lto.path("nst0"), os.O_RDONLY | os.O_NONBLOCK) as tape:
        assert tape.status()["gstat"] & 0x00040000      # GMT_DR_OPEN
        fails(errno.ENOMEDIUM, tape.read)


def test_a_write_protected_tape(mount):
    files = mount("lto0", readonly="yes")
    for flags in os.O_RDWR, os.O_WRONLY:
        fails(errno.EROFS, Tape, files.path("nst0"), flags)
    with Tape(files.path("nst0"), os.O_RDONLY) as tape:
        assert tape.status()["gstat"] & 0x04000000      # GMT_WR_PROT
        fails(errno.EBADF, tape.write, b"x")
        fails(errno.EACCES, tape.op, tapes.MTWEOF)
    done = run("tar", "cf", files.path("st0"), "/etc/hostname", good=False,
               text=True)
    assert done.returncode == 2 and "Read-only file system" in done.stderr


# --- mt ------------------------------------------------------------------------


def mt(files, *words, **more):
    return run("mt-st", "-f", files.path("nst0"), *words, text=True,
               **more).stdout


def test_mt_moves_about(lto):
    with Tape(lto.path("nst0")) as tape:
        for number in range(4):
            for _ in range(3):
                tape.write(b"%d" % number * 99)
            tape.op(tapes.MTWEOF)
    mt(lto, "rewind")
    assert "At block 0." in mt(lto, "tell")
    mt(lto, "fsf", "2")
    assert "At block 8." in mt(lto, "tell")
    assert "File number=2, block number=0" in mt(lto, "status")
    mt(lto, "fsr", "2")
    assert "File number=2, block number=2" in mt(lto, "status")
    mt(lto, "bsfm", "1")
    assert "File number=2, block number=0" in mt(lto, "status")
    mt(lto, "asf", "1")
    with Tape(lto.path("nst0"), os.O_RDONLY) as tape:
        assert tape.read() == b"1" * 99
    mt(lto, "eod")
    assert "At block 16." in mt(lto, "tell")
    mt(lto, "seek", "5")
    with Tape(lto.path("nst0"), os.O_RDONLY) as tape:
        assert tape.read() == b"1" * 99
    done = run("mt-st", "-f", lto.path("nst0"), "fsf", "9", good=False,
               text=True)
    assert done.returncode != 0 and "Input/output error" in done.stderr


def test_mt_writes_marks_sets_blocks_and_ejects(lto):
    mt(lto, "weof", "3")
    mt(lto, "setblk", "512")
    assert "Tape block size 512 bytes" in mt(lto, "status")
    mt(lto, "setblk", "0")
    mt(lto, "eject")
    assert tapefile.read(lto.media["lto0"]) == [MARK, MARK, MARK]
    until(lambda: lto.service.drives()["lto0"]["state"] == "empty", "ejected")
    assert "DR_OPEN" in mt(lto, "status")


@pytest.mark.parametrize("words", [
    ["status"], ["tell"], ["fsf", "1"], ["status"], ["fsr", "1"], ["tell"],
    ["eod"], ["status"], ["bsf", "1"], ["status"], ["fsf", "7"],
    ["bsr", "1"], ["asf", "2"], ["seek", "3"], ["setblk", "512"], ["rewind"]])
def test_mt_says_what_reinsert_tape_says(mount, words):
    """The real one on a file, ours on the drive; byte for byte."""
    files = mount("lto0", "lto1")
    places = {"lto0": files.path("nst0"), "lto1": files.path("nst1")}
    for place in places.values():
        with Tape(place) as tape:
            for number in range(3):
                tape.write(b"%d" % number * 700)
                tape.op(tapes.MTWEOF)
            tape.op(tapes.MTREW)
            tape.op(tapes.MTFSF)
    theirs = run("mt-st", "-f", places["lto0"], *words, good=False, text=True)
    ours = files.service.run("tape", "lto1", *words)
    assert theirs.returncode == ours.returncode
    assert theirs.stdout == ours.stdout

    # Ours goes on with the reason.
    assert ours.stderr.startswith(
        theirs.stderr.replace(places["lto0"], "lto1"))
    after = []
    for place in places.values():
        with Tape(place, os.O_RDONLY) as tape:
            after.append((tape.where(), tape.status()))
    assert after[0] == after[1]


# --- dd -----------------------------------------------------------------------


def test_dd_variable_blocks(lto, tmp_path):
    data = random.Random(1).randbytes(200_000)
    source = tmp_path / "data"
    source.write_bytes(data)
    run("dd", f"if={source}", f"of={lto.path('nst0')}", "bs=32k")
    run("dd", f"if={source}", f"of={lto.path('nst0')}", "bs=10k", "count=3",
        "conv=fsync", good=False)
    on_tape = tapefile.files(tapefile.read(lto.media["lto0"]))
    assert [len(r) for r in on_tape[0]] == [32768] * 6 + [200_000 - 6 * 32768]
    assert b"".join(on_tape[0]) == data
    assert [len(r) for r in on_tape[1]] == [10240] * 3
    mt(lto, "rewind")
    done = run("dd", f"if={lto.path('nst0')}", "bs=64k")
    assert done.stdout == data              # up to the filemark
    done = run("dd", f"if={lto.path('nst0')}", "bs=64k")
    assert done.stdout == data[:30720]
    mt(lto, "rewind")
    done = run("dd", f"if={lto.path('nst0')}", "bs=16k", good=False, text=True)
    assert done.returncode == 1 and "Cannot allocate memory" in done.stderr


def test_dd_fixed_blocks(lto, tmp_path):
    data = random.Random(2).randbytes(64 * KIB)
    mt(lto, "setblk", "1024")
    run("dd", f"of={lto.path('nst0')}", "bs=8k", input=data)
    assert [len(r) for r in tapefile.read(lto.media["lto0"])[:-1]] == (
        [1024] * 64)
    mt(lto, "rewind")
    assert run("dd", f"if={lto.path('nst0')}", "bs=4k").stdout == data
    done = run("dd", f"of={lto.path('nst0')}", "bs=1000", input=data,
               good=False)
    assert done.returncode == 1 and b"Invalid argument" in done.stderr


def test_dd_conv_sync_pads_the_last_block(lto):
    run("dd", f"of={lto.path('st0')}", "bs=4k", "conv=sync",
        input=b"z" * 5000)
    assert tapefile.read(lto.media["lto0"]) == [
        b"z" * 4096, b"z" * 904 + b"\0" * 3192, MARK]


def test_dd_past_the_end_of_the_tape(mount):
    files = mount("lto0", capacity="1M", early_warning="100K")
    done = run("dd", "if=/dev/zero", f"of={files.path('nst0')}", "bs=10k",
               good=False, text=True)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    on_tape = tapefile.read(files.media["lto0"])
    assert on_tape[-1] is MARK and len(on_tape) * 10240 < MIB
    # st: behind the warning every other write is refused, until it is full.
    with Tape(files.path("nst0")) as tape:
        refused = 0
        for _ in range(400):
            try:
                tape.write(bytes(10240))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                refused += 1
        assert refused >= 200
        assert tape.status()["gstat"] & 0x20000000      # GMT_EOT


# --- tar -----------------------------------------------------------------------


def tar(*words, good=True, **more):
    return run("tar", *words, good=good, text=True, **more)


def test_tar_creates_lists_compares_and_extracts(lto, tmp_path):
    tree = make_tree(tmp_path / "tree", SEED)
    tar("cf", lto.path("st0"), "-C", tmp_path, "tree")
    listed = tar("tf", lto.path("st0")).stdout.splitlines()
    assert "tree/large" in listed
    tar("df", lto.path("st0"), "-C", tmp_path)
    os.mkdir(tmp_path / "out")
    tar("xf", lto.path("st0"), "-C", tmp_path / "out", "-p")
    same_trees(tree, tmp_path / "out" / "tree")
    records = tapefile.read(lto.media["lto0"])
    assert records[-1] is MARK
    assert {len(record) for record in records[:-1]} == {10240}


@pytest.mark.parametrize("factor", ["20", "1", "128", "2048"])
def test_tar_blocking_factors(lto, tmp_path, factor):
    tree = make_tree(tmp_path / "tree", SEED + 1, 1 << 20)
    tar("cb", factor, "-f", lto.path("st0"), "-C", tmp_path, "tree")
    os.mkdir(tmp_path / "out")
    tar("xb", factor, "-f", lto.path("st0"), "-C", tmp_path / "out")
    same_trees(tree, tmp_path / "out" / "tree")
    assert len(tapefile.read(lto.media["lto0"])[0]) == 512 * int(factor)


def test_tar_appends_and_updates(lto, tmp_path):
    for name, text in ("a", "one"), ("b", "two"):
        (tmp_path / name).write_text(text)
    tar("cf", lto.path("st0"), "-C", tmp_path, "a")
    tar("rf", lto.path("st0"), "-C", tmp_path, "b")
    assert tar("tf", lto.path("st0")).stdout == "a\nb\n"
    (tmp_path / "a").write_text("newer")
    os.utime(tmp_path / "a", (time.time() + 100,) * 2)
    tar("uf", lto.path("st0"), "-C", tmp_path, "a", "b")
    assert tar("tf", lto.path("st0")).stdout == "a\nb\na\n"
    os.mkdir(tmp_path / "out")
    tar("xf", lto.path("st0"), "-C", tmp_path / "out")
    assert (tmp_path / "out" / "a").read_text() == "newer"


def test_tar_several_archives_on_a_tape(lto, tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(name * 3)
        tar("cf", lto.path("nst0"), "-C", tmp_path, name)
    mt(lto, "asf", "1")
    assert tar("tf", lto.path("nst0")).stdout == "b\n"
    mt(lto, "asf", "2")
    assert tar("tf", lto.path("nst0")).stdout == "c\n"


def test_tar_through_a_compressor(lto, tmp_path):
    tree = make_tree(tmp_path / "tree", SEED + 2, 1 << 20)
    tar("czf", lto.path("st0"), "-C", tmp_path, "tree")
    os.mkdir(tmp_path / "out")
    tar("xzf", lto.path("st0"), "-C", tmp_path / "out")
    same_trees(tree, tmp_path / "out" / "tree")


def changer_script(files, tmp_path, names):
    """Asked for the next volume: takes the tape out, puts the next one in."""
    for name in names:
        if not os.path.exists(tmp_path / f"{name}.tap"):
            tapes.blank(tmp_path / f"{name}.tap")
    script = tmp_path / "next.sh"
    script.write_text(f"""#!/bin/sh
set -e
mt-st -f {files.path('nst0')} offline >>{tmp_path}/script.log 2>&1
n=$TAR_VOLUME
set -- {' '.join(names)}
shift $((n - 1))
{tapes.REINSERT} insert lto0 {tmp_path}/$1.tap \\
    --control {files.service.control} >>{tmp_path}/script.log 2>&1
""")
    script.chmod(0o755)
    return script


def span(files, tmp_path, *words):
    tree = make_tree(tmp_path / "tree", SEED + 3, 4 << 20)
    names = ["lto0"] + [f"vol{n}" for n in range(2, 9)]
    script = changer_script(files, tmp_path, names)
    tar("-cM", *words, "-F", script, "-f", files.path("st0"), "-C", tmp_path,
        "tree", stdin=subprocess.DEVNULL)
    used = [n for n in names if os.path.getsize(tmp_path / f"{n}.tap") > 4]
    files.service.eject("lto0")
    files.service.insert("lto0", tmp_path / "lto0.tap")
    os.mkdir(tmp_path / "out")
    tar("-xM", "-F", script, "-f", files.path("st0"), "-C", tmp_path / "out",
        stdin=subprocess.DEVNULL)
    same_trees(tree, tmp_path / "out" / "tree")
    return used


def test_tar_multi_volume_by_length(lto, tmp_path):
    assert len(span(lto, tmp_path, "--tape-length", "1000")) >= 4


def test_tar_multi_volume_at_the_end_of_the_tape(mount, tmp_path):
    files = mount("lto0", capacity="1500K", early_warning="100K")
    assert 3 <= len(span(files, tmp_path)) <= 5


# --- cpio ----------------------------------------------------------------------


def test_cpio_out_and_in(lto, tmp_path):
    tree = make_tree(tmp_path / "tree", SEED + 4, 1 << 20)
    names = run("find", "tree", "-depth", cwd=tmp_path).stdout
    run("cpio", "-o", "-H", "newc", "-B", "-O", lto.path("st0"), input=names,
        cwd=tmp_path)
    assert {len(r) for r in tapefile.read(lto.media["lto0"])[:-1]} == {5120}
    listed = run("cpio", "-it", "-B", "-I", lto.path("st0")).stdout
    assert sorted(listed.split(b"\n")) == sorted(names.split(b"\n"))
    os.mkdir(tmp_path / "out")
    run("cpio", "-idm", "-B", "-I", lto.path("st0"), cwd=tmp_path / "out")
    same_trees(tree, tmp_path / "out" / "tree")


# --- the tape goes away ----------------------------------------------------------


def answered_by_hand(files):
    """The one question, and that it is about this drive's tape."""
    questions = files.service.prompts()
    assert len(questions) <= 1, questions
    return questions and questions[0]


def asked_for(files):
    """There is no tape, and it is asked for."""
    return not files.service.drives()["lto0"]["medium"] and \
        answered_by_hand(files)


class Program:
    """tar under way."""

    def __init__(self, *words, stdin=subprocess.DEVNULL):
        self.process = subprocess.Popen(
            [str(w) for w in words], stdin=stdin, stderr=subprocess.PIPE,
            text=True)

    def running(self):
        return self.process.poll() is None

    def good(self):
        try:
            _, said = self.process.communicate(timeout=HANG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError("it did not end") from None
        assert self.process.returncode == 0, said

    def close(self):
        if self.running():
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        if self.process.stdin:
            self.process.stdin.close()


def fed_dd(path):
    """dd that has written a MiB, and goes on as it is fed: what it does next
    depends on nobody's speed."""
    program = Program("dd", f"of={path}", "bs=64k", "iflag=fullblock",
                      stdin=subprocess.PIPE)
    feed(program, 16)
    return program


def feed(program, records):
    os.write(program.process.stdin.fileno(), bytes(records * 64 * KIB))


def grown_to(path, size):
    return lambda: os.path.getsize(path) >= size


def yanked(mount, clients, tmp_path, wrong):
    """tar of a real tree; the tape is pulled ten times on the way, at commands,
    so that it depends on nobody's speed."""
    dice = random.Random(SEED + 5)
    files = mount("lto0", fault=[
        f"at {n} write do yank" for n in dice.sample(range(10, 2000, 20), 10)])
    tree = make_tree(tmp_path / "tree", SEED + 5, 24 << 20)
    other = tapes.blank(tmp_path / "other.tap")
    tapefile.write(other, [b"somebody else's", MARK])
    before = open(other, "rb").read()
    image = files.media["lto0"]
    # Something that names the tape.
    with Tape(files.path("st0")) as tape:
        tape.write(b"VOL1TAPE01" + b" " * 69 + b"4")
    with Tape(files.path("nst0")) as tape:
        tape.op(tapes.MTFSF)
    program = Program("tar", "cf", files.path("nst0"), "-C", tmp_path, "tree")
    clients.append(program)
    pulls = 0
    while until(lambda: asked_for(files) or not program.running(),
                "a pull") and program.running():
        pulls += 1
        if wrong and dice.random() < 0.5:
            files.service.insert("lto0", other)
            until(lambda: "WRONG" in (answered_by_hand(files) or {}).get(
                "reason", ""), "a question about it")
            files.service.yank("lto0")
        files.service.insert("lto0", image)
    program.good()
    files.service.no_prompt()
    assert pulls == 10
    assert open(other, "rb").read() == before
    on_tape = tapefile.files(tapefile.read(image))
    assert len(on_tape) == 3 and not on_tape[2]
    archive = b"".join(on_tape[1])
    os.mkdir(tmp_path / "read")
    run("tar", "xf", "-", "-C", tmp_path / "read", input=archive)
    same_trees(tree, tmp_path / "read" / "tree")
    # And through the files.
    mt(files, "asf", "1")
    os.mkdir(tmp_path / "out")
    tar("xf", files.path("nst0"), "-C", tmp_path / "out")
    same_trees(tree, tmp_path / "out" / "tree")


def test_a_tape_pulled_at_ten_places(mount, clients, tmp_path):
    yanked(mount, clients, tmp_path, False)


def test_a_tape_pulled_and_a_wrong_one_offered(mount, clients, tmp_path):
    yanked(mount, clients, tmp_path, True)


def test_reading_is_pulled_too(lto, clients, tmp_path):
    dice = random.Random(SEED + 6)
    tree = make_tree(tmp_path / "tree", SEED + 6, 24 << 20)
    tar("cf", lto.path("st0"), "-C", tmp_path, "tree")
    os.mkdir(tmp_path / "out")
    program = Program("tar", "xf", lto.path("st0"), "-C", tmp_path / "out")
    clients.append(program)
    # Without a tape the file cannot be opened at all.
    until(lambda: os.listdir(tmp_path / "out") or not program.running(),
          "the first file")
    for _ in range(10):
        steady(lambda: True, seconds=dice.random() * 0.01)
        lto.service.yank("lto0")
        lto.service.insert("lto0", lto.media["lto0"])
    program.good()
    same_trees(tree, tmp_path / "out" / "tree")


def test_only_its_own_file_waits_and_a_killed_program_ends(mount, clients):
    files = mount("lto0", "dat")
    program = fed_dd(files.path("st0"))
    clients.append(program)
    until(grown_to(files.media["lto0"], MIB), "a MiB on the tape")
    files.service.yank("lto0")
    feed(program, 1)
    until(lambda: answered_by_hand(files), "a question")
    with Tape(files.path("nst1")) as tape:
        tape.write(b"meanwhile")
    steady(program.running, "dd waits")
    program.process.send_signal(signal.SIGKILL)
    assert program.process.wait(HANG) == -signal.SIGKILL
    files.service.insert("lto0", files.media["lto0"])
    files.service.no_prompt()
    with Tape(files.path("nst0")) as tape:      # it is free again
        assert tape.read() == bytes(64 * KIB)


def test_a_signal_does_not_end_a_session(lto, clients):
    program = fed_dd(lto.path("nst0"))
    clients.append(program)
    until(grown_to(lto.media["lto0"], MIB), "a MiB on the tape")
    lto.service.yank("lto0")
    feed(program, 1)
    until(lambda: answered_by_hand(lto), "a question")
    for _ in range(3):
        program.process.send_signal(signal.SIGUSR1)     # dd tells how far
        line = b""
        while b"copied" not in line:
            line += os.read(program.process.stderr.fileno(), 4096)
        # It writes again, and so it is asked again.
        until(lambda: answered_by_hand(lto), "the question")
        assert program.running()
    lto.service.insert("lto0", lto.media["lto0"])
    until(lambda: not lto.service.prompts(), "the tape")
    feed(program, 100)
    program.process.stdin.close()
    program.process.stdin = None
    program.good()
    assert len(tapefile.read(lto.media["lto0"])) == 118


def test_cancel_is_an_error(lto, clients):
    program = fed_dd(lto.path("nst0"))
    clients.append(program)
    until(grown_to(lto.media["lto0"], MIB), "a MiB on the tape")
    lto.service.yank("lto0")
    feed(program, 1)
    question = until(lambda: answered_by_hand(lto), "a question")
    lto.service.answer(question, "cancel")
    _, said = program.process.communicate(timeout=HANG)
    assert program.process.returncode == 1 and "Input/output error" in said


# --- the end ------------------------------------------------------------------


def test_the_service_is_gone_and_comes_back(lto):
    tape = Tape(lto.path("nst0"))
    tape.write(b"before")
    lto.service.kill()
    fails(errno.EIO, tape.write, b"after")
    until(lambda: "nst0 (lto0)" in lto.said(), "a line")
    fails(errno.EIO, tape.close)        # what it wrote is not safe
    fails(errno.EIO, Tape, lto.path("nst0"))
    lto.service.start()
    with Tape(lto.path("nst0")) as again:
        again.write(b"again")


def test_unmounted(lto):
    with Tape(lto.path("nst0")):
        done = run("fusermount3", "-u", lto.folder, good=False)
        assert done.returncode != 0         # somebody has a file open
    lto.unmount()
    assert os.listdir(lto.folder) == []


def test_ended_by_a_signal_while_a_file_is_open(lto):
    tape = Tape(lto.path("nst0"))
    tape.write(b"written")
    lto.process.send_signal(signal.SIGTERM)
    assert lto.process.wait(HANG) == 0
    until(lambda: tapefile.holds(lto.media["lto0"], [b"written", MARK]),
          "the filemark of the close")
    with pytest.raises(OSError):
        tape.write(b"more")
    try:
        tape.close()
    except OSError:
        pass


def test_in_the_background(serve, tmp_path):
    service = serve({"lto0": {"type": "tape",
                              "medium": tapes.blank(tmp_path / "a.tap")}})
    folder = tmp_path / "m"
    folder.mkdir()
    done = service.run("tape", "mount", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder}/nst0\tlto0\n"
    with Tape(folder / "nst0") as tape:
        tape.write(b"hello")
    run("fusermount3", "-u", folder)
    until(lambda: tapefile.holds(tmp_path / "a.tap", [b"hello", MARK]),
          "the tape")


def test_wrong_words(lto, serve, tmp_path):
    done = lto.service.run("tape", "mount", str(tmp_path / "not there"))
    assert done.returncode == 1 and "not there" in done.stderr
    (tmp_path / "m").mkdir()
    done = lto.service.run("tape", "mount", str(tmp_path / "m"), "lto9")
    assert done.returncode == 1 and "lto9" in done.stderr
    without = serve({"disk0": {"type": "disk"}})
    done = without.run("tape", "mount", str(tmp_path / "m"))
    assert done.returncode == 1 and "no tape drive" in done.stderr
