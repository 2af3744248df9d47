"""test_tape_iscsi.py - Debian's tape programs on a drive that nobody here wrote

tgtd's emulated tape, through tape files.  What it gets wrong (it counts no
blocks, goes on for ever past its capacity, stores a block size modulo 256, has
no LOCATE and no memory of cartridges) must not become a wrong answer here.

SPDX-License-Identifier: MIT
"""
import errno
import os
import random
import subprocess

import pytest

import tapes
from tapes import Tape, make_tree, run, same_trees
from tgt import Target
from house import MIB, REINSERT, until

pytestmark = pytest.mark.skipif(tapes.why_not() is not None,
                                reason=str(tapes.why_not()))


def new_tape(path, mib):
    subprocess.run(["tgtimg", "--op", "new", "--device-type", "tape",
                    "--barcode", "TAPE0001", "--size", str(mib), "--type",
                    "data", "--file", str(path)],
                   check=True, stdout=subprocess.DEVNULL)
    return path


@pytest.fixture
def lto(serve, clients, tmp_path):
    target = Target(tmp_path)
    target.add(1, new_tape(tmp_path / "T.img", 16), "tape")
    try:
        target.start()
        service = serve({"lto0": {"port": "iscsi", "url": target.url(1)}})
        until(lambda: service.drives()["lto0"]["state"] == "ready",
              "the drive")
        files = tapes.Mounted(service, tmp_path / "mnt")
        clients.append(files)
        files.service = service
        files.target = target
        yield files
    finally:
        target.kill()


def fails(number, call, *args):
    with pytest.raises(OSError) as raised:
        call(*args)
    assert raised.value.errno == number, raised.value


def test_tar_writes_compares_extracts_and_appends(lto, tmp_path):
    tree = make_tree(tmp_path / "tree", 1, 2 * MIB)
    tape = lto.path("st0")
    run("tar", "cf", tape, "-C", tmp_path, "tree")
    run("tar", "df", tape, "-C", tmp_path)
    os.mkdir(tmp_path / "out")
    run("tar", "xpf", tape, "-C", tmp_path / "out")
    same_trees(tree, tmp_path / "out" / "tree")
    run("tar", "rf", tape, "-C", "/etc", "hostname")
    assert run("tar", "tf", tape).stdout.endswith(b"hostname\n")


def test_dd_and_cpio(lto, tmp_path):
    data = random.Random(2).randbytes(600_000)
    tape = lto.path("st0")
    run("dd", f"of={tape}", "bs=64k", "iflag=fullblock", input=data)
    assert run("dd", f"if={tape}", "bs=128k").stdout == data
    done = run("dd", f"if={tape}", "bs=32k", good=False)
    assert done.returncode == 1 and b"Cannot allocate memory" in done.stderr
    tree = make_tree(tmp_path / "tree", 3, MIB)
    names = run("find", "tree", "-depth", cwd=tmp_path).stdout
    run("cpio", "-o", "-H", "newc", "-B", "-O", tape, input=names,
        cwd=tmp_path)
    os.mkdir(tmp_path / "out")
    run("cpio", "-idm", "-B", "-I", tape, cwd=tmp_path / "out")
    same_trees(tree, tmp_path / "out" / "tree")


def test_records_that_are_shorter_than_the_room_for_them(lto):
    """Of one of 208 KiB in room for 256 KiB tgt sends the first 48 KiB, and says
    that it is all there; of one that is longer than the room, nothing."""
    data = random.Random(5).randbytes(213_568)
    tape = lto.path("st0")
    run("dd", f"of={tape}", "bs=213568", "iflag=fullblock", input=data)
    for size in ("213568", "256k", "300k", "416k", "1M"):
        assert run("dd", f"if={tape}", f"bs={size}").stdout == data, size
    done = run("dd", f"if={tape}", "bs=128k", good=False)
    assert done.returncode == 1 and b"Cannot allocate memory" in done.stderr


def test_a_long_first_record_is_known_again(lto):
    """Its beginning says which tape it is, though tgt sends nothing of it to
    who asks for less."""
    data = random.Random(6).randbytes(200_000)
    with Tape(lto.path("nst0")) as tape:
        tape.write(data)
        tape.write(b"2" * 100)
        tape.op(tapes.MTWEOF)
        lto.target.restart()
        tape.write(b"3" * 100)      # once its place was looked at
    assert not lto.service.prompts()
    with Tape(lto.path("nst0")) as tape:
        tape.op(tapes.MTREW)
        assert tape.read() == data
        assert tape.read() == b"2" * 100
        assert tape.read() == b""
        assert tape.read() == b"3" * 100


def test_it_is_not_written_past_its_end_for_ever(lto):
    """tgt never says that a tape is full."""
    done = run("dd", "if=/dev/zero", f"of={lto.path('st0')}", "bs=64k",
               "count=1000", good=False, text=True)
    assert done.returncode == 1 and "No space left on device" in done.stderr


def test_places_are_counted_or_not_known(lto):
    """It says that it is at block 0 wherever it is."""
    with Tape(lto.path("nst0")) as tape:
        tape.write(b"A" * 100)
        assert tape.where() == 1
    with Tape(lto.path("nst0")) as tape:
        assert tape.where() == 2
        assert (tape.status()["file"], tape.status()["block"]) == (1, 0)
        tape.write(b"B" * 50)
    with Tape(lto.path("nst0")) as tape:
        tape.op(tapes.MTREW)
        assert tape.where() == 0
        assert tape.read() == b"A" * 100
        assert tape.read() == b""
        assert tape.where() == 2
        tape.op(tapes.MTBSF)
        fails(errno.EIO, tape.where)
        tape.op(tapes.MTREW)
        tape.op(tapes.MTFSF)
    # Nor is what another session counts from there.
    said = run(REINSERT, "tape", "lto0", "--control", lto.service.control,
               "tell", good=False)
    assert (said.returncode, said.stdout) == (2, b""), said
    with Tape(lto.path("nst0")) as tape:
        tape.op(tapes.MTBSF)
        fails(errno.EIO, tape.where)
        assert tape.status()["block"] == -1
        tape.op(tapes.MTEOM)
        assert tape.status()["file"] in (-1, 2)
        tape.op(tapes.MTREW)
        tape.op(tapes.MTFSF)
        assert tape.read() == b"B" * 50


def test_mt_moves_and_says_what_there_is_not(lto):
    tape = lto.path("nst0")
    with Tape(tape) as file:
        for number in range(3):
            file.write(b"%d" % number * 10)
            file.op(tapes.MTWEOF)
    run("mt-st", "-f", tape, "asf", "1")
    with Tape(tape, os.O_RDONLY) as file:
        assert file.read() == b"1" * 10
    done = run("mt-st", "-f", tape, "fsf", "9", good=False)
    assert done.returncode != 0 and b"Input/output error" in done.stderr
    run("mt-st", "-f", tape, "asf", "3")
    run("mt-st", "-f", tape, "eject")
    run("mt-st", "-f", tape, "load")
    assert b"BOT ONLINE" in run("mt-st", "-f", tape, "status").stdout


def test_seek_without_locate(lto):
    """It goes there over blocks and filemarks, and tgt counts both alike."""
    with Tape(lto.path("nst0")) as tape:
        for number in range(9):
            tape.write(b"%d" % number * 100)
            if number % 3 == 2:
                tape.op(tapes.MTWEOF)
    objects = [b"0", b"1", b"2", b"", b"3", b"4", b"5", b"", b"6", b"7", b"8",
               b"", b""]             # the last is the end of the data
    for place in random.Random(7).sample(range(13), 13):
        run("mt-st", "-f", lto.path("nst0"), "seek", place)
        with Tape(lto.path("nst0"), os.O_RDONLY) as tape:
            assert tape.where() == place
            assert tape.read()[:1] == objects[place], place
    done = run("mt-st", "-f", lto.path("nst0"), "seek", "99", good=False)
    assert done.returncode != 0 and b"Input/output error" in done.stderr


def test_the_target_is_killed_behind_a_seek(lto):
    with Tape(lto.path("nst0")) as tape:
        for number in range(9):
            tape.write(b"%d" % number * 100)
            if number % 3 == 2:
                tape.op(tapes.MTWEOF)
        tape.op(tapes.MTSEEK, 5)
        lto.target.restart()
        assert tape.read() == b"4" * 100
        lto.target.restart()
        assert tape.read() == b"5" * 100
        assert tape.read() == b""
    lto.service.no_prompt()


def test_blocks_are_passed_and_nothing_is_claimed(lto):
    """tgt passes filemarks as if they were blocks: how many objects those were
    is known, which file this is is not."""
    with Tape(lto.path("nst0")) as tape:
        for number in range(6):
            tape.write(b"%d" % number * 100)
            if number % 3 == 2:
                tape.op(tapes.MTWEOF)
        tape.op(tapes.MTREW)
        tape.op(tapes.MTFSR, 5)
        assert tape.where() == 5
        assert tape.status()["file"] == tape.status()["block"] == -1
        lto.target.restart()
        assert tape.read() == b"4" * 100
        tape.op(tapes.MTFSR, 2)             # exactly to the end of the data
        assert tape.where() == 8
        tape.op(tapes.MTREW)
        fails(errno.EIO, tape.op, tapes.MTFSR, 9)   # they end before
        fails(errno.EIO, tape.where)
        tape.op(tapes.MTREW)
        fails(errno.EIO, tape.op, tapes.MTFSF, 3)
        assert tape.status()["file"] == -1
        tape.op(tapes.MTREW)
        fails(errno.EIO, tape.op, tapes.MTBSR, 2)   # the tape begins there
    lto.service.no_prompt()


def test_the_target_is_killed_and_comes_back(lto):
    """Between two records, and between two reads: at its place."""
    records = [random.Random(n).randbytes(20_000 + n) for n in range(40)]
    with Tape(lto.path("st0")) as tape:
        for number, record in enumerate(records):
            if number in (1, 17):
                lto.target.restart()
            tape.write(record)
    with Tape(lto.path("st0"), os.O_RDONLY) as tape:
        for number, record in enumerate(records):
            if number in (5, 30):
                lto.target.restart()
            assert tape.read() == record
        assert tape.read() == b""
    lto.service.no_prompt()


def test_target_comes_after_the_service(serve, clients, tmp_path):
    target = Target(tmp_path)
    target.add(1, new_tape(tmp_path / "T.img", 16), "tape")
    service = serve({"lto0": {"port": "iscsi", "url": target.url(1)},
                     "dat": {"type": "tape",
                             "medium": tapes.blank(tmp_path / "a.tap")}})
    assert service.drives()["lto0"]["state"] == "away"
    done = service.run("tape", "lto0", "status")
    assert done.returncode != 0 and "No such device" in done.stderr
    early = tapes.Mounted(service, tmp_path / "early")
    clients.append(early)
    named = tapes.Mounted(service, tmp_path / "named", "lto0", "dat")
    clients.append(named)
    assert sorted(os.listdir(early.folder)) == ["by-name", "nst0", "st0"]
    fails(errno.ENXIO, Tape, named.path("st0"))     # its name is its own
    try:
        target.start()
        until(lambda: service.drives()["lto0"]["type"] == "tape", "the drive")
        until(lambda: service.drives()["lto0"]["state"] == "ready",
              "its tape")
        files = tapes.Mounted(service, tmp_path / "mnt")
        clients.append(files)
        with Tape(files.path("st0")) as tape:
            tape.write(b"late" * 100)
        with Tape(files.path("st0")) as tape:
            assert tape.read() == b"late" * 100
        # Whoever mounted them before has it behind the others.
        until(lambda: os.path.exists(early.path("st1")), "its files")
        assert os.readlink(early.path("by-name/lto0")) == "../st1"
        with Tape(early.path("st1")) as tape:
            assert tape.read() == b"late" * 100
        with Tape(named.path("st0")) as tape:
            assert tape.read() == b"late" * 100
    finally:
        target.kill()


def test_the_only_drive_comes_after_its_files(serve, clients, tmp_path):
    target = Target(tmp_path)
    target.add(1, new_tape(tmp_path / "T.img", 16), "tape")
    service = serve({"lto0": {"port": "iscsi", "url": target.url(1)}})
    files = tapes.Mounted(service, tmp_path / "mnt", drive_is_there=False)
    clients.append(files)
    assert os.listdir(files.folder) == ["by-name"]
    service.kill()
    service.start()             # ... and is asked again
    try:
        target.start()
        until(files.is_there, "its files")
        until(lambda: service.drives()["lto0"]["state"] == "ready",
              "its tape")
        with Tape(files.path("st0")) as tape:
            tape.write(b"late" * 100)
        with Tape(files.path("st0")) as tape:
            assert tape.read() == b"late" * 100
    finally:
        target.kill()
