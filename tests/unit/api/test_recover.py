"""reinsert recover: files looked at and applied, whole ones and damaged ones.

REINSERT is the program under test; the files are made by recfile.py.

SPDX-License-Identifier: MIT
"""
import errno
import fcntl
import json
import os
import pathlib
import pty
import select
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import recfile  # noqa: E402

REINSERT = os.environ["REINSERT"]
SIZE = 1 << 20
OLD = bytes(range(256)) * (SIZE // 256)
NEW = b"new data" * 512                     # 4096 bytes
ENV = {**os.environ, "TSAN_OPTIONS": "atexit_sleep_ms=0"}


class Case:
    def __init__(self, folder):
        self.folder = folder
        self.image = folder / "medium.img"
        self.image.write_bytes(OLD)
        self.dir = folder / "recovery"
        self.dir.mkdir()
        self.records = [
            recfile.witness(OLD, 512, [0, 65536, 131072]),
            recfile.record(recfile.DATA, 65536, len(NEW), NEW),
            recfile.record(recfile.ZEROES, 262144, 8192)]
        self.file = self.dir / "A.recovery"
        self.write()

    def write(self, **head):
        self.file.write_bytes(recfile.whole(
            recfile.head(SIZE, **head), self.records, len(NEW) + 8192))

    def expected(self):
        now = bytearray(OLD)
        now[65536:65536 + len(NEW)] = NEW
        now[262144:262144 + 8192] = bytes(8192)
        return bytes(now)

    def run(self, *args):
        return subprocess.run([REINSERT, "recover", *map(str, args)], env=ENV,
                              text=True, capture_output=True, timeout=120)

    def apply(self, *args):
        return self.run("apply", self.file, "--to", self.image, *args)

    def untouched(self):
        return self.image.read_bytes() == OLD


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


def on_tty(*args):
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(REINSERT, [REINSERT, "recover", *map(str, args)], ENV)
    out = b""
    while select.select([fd], [], [], 10)[0]:
        try:
            piece = os.read(fd, 65536)
        except OSError as error:
            assert error.errno == errno.EIO
            break
        if not piece:
            break
        out += piece
    os.close(fd)
    return (os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]),
            out.decode().replace("\r\n", "\n"))


def test_apply_puts_the_data_where_they_belong(case):
    r = case.apply()
    assert (r.returncode, r.stdout, r.stderr) == (0, "written\t12288\n", "")
    assert case.image.read_bytes() == case.expected()


def test_apply_dry_run_writes_nothing(case):
    os.chmod(case.image, 0o444)
    r = case.apply("--dry-run")
    assert (r.returncode, r.stdout) == (0, "would-write\t12288\n")
    r = case.apply("--dry-run", "--json")
    assert json.loads(r.stdout) == {"bytes": 12288, "written": False}
    assert case.untouched()


def test_apply_on_a_terminal_shows_progress(case):
    status, out = on_tty("apply", case.file, "--to", case.image)
    assert status == 0
    assert "100 %" in out and "[####" in out
    assert "the medium is the one; 3 of its blocks were compared" in out
    assert case.image.read_bytes() == case.expected()


@pytest.mark.parametrize("change", ["a witness block", "the uuid"])
def test_apply_refuses_what_is_not_it_unless_forced(case, change):
    if change == "the uuid":
        case.write(kind="ext4", uuid="0e3b6b34-0000-4000-8000-000000000001")
        want = "another volume"
    else:
        content = bytearray(OLD)
        content[131072] ^= 1
        case.image.write_bytes(content)
        want = "changed since: 1 of 3 blocks"
    before = case.image.read_bytes()
    for more in [], ["--dry-run"]:
        r = case.apply(*more)
        assert r.returncode == 1 and r.stdout == ""
        assert want in r.stderr and "nothing was written" in r.stderr
        assert "--force" in r.stderr
    assert case.image.read_bytes() == before
    assert case.apply("--force").returncode == 0
    assert case.image.read_bytes()[65536:65536 + len(NEW)] == NEW


def test_apply_never_writes_to_another_size(case):
    case.image.write_bytes(OLD[:-512])
    r = case.apply("--force")
    assert r.returncode == 1 and "another size" in r.stderr
    assert case.image.read_bytes() == OLD[:-512]


def test_apply_refuses_an_image_that_is_in_a_drive(case):
    with open(case.image, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        r = case.apply()
    assert r.returncode == 3 and "in use" in r.stderr
    assert case.untouched()


def test_damaged_data_are_named_and_the_rest_is_used_by_force(case):
    raw = bytearray(case.file.read_bytes())
    at = raw.index(NEW)
    raw[at + 100] ^= 4
    case.file.write_bytes(raw)
    r = case.apply()
    assert r.returncode == 3
    assert "4096 bytes at 65536" in r.stderr and str(at - 40) in r.stderr
    assert case.untouched()
    shown = case.run("show", case.file)
    assert shown.returncode == 3
    assert "damaged\t" in shown.stdout
    assert "zeroes\t262144\t8192\n" in shown.stdout
    r = case.apply("--force")
    assert r.returncode == 3 and "only what is whole was written" in r.stderr
    now = case.image.read_bytes()
    assert now[65536:65536 + 4096] == OLD[65536:65536 + 4096]
    assert now[262144:262144 + 8192] == bytes(8192)


@pytest.mark.parametrize("cut, says", [
    (8, "ends in the middle of the record"),
    (40, "has no end"),
    (41, "ends in the middle of the record"),
])
def test_torn_tail(case, cut, says):
    case.file.write_bytes(case.file.read_bytes()[:-cut])
    r = case.apply()
    assert r.returncode == 3 and says in r.stderr
    assert case.untouched()


@pytest.mark.parametrize("head, says", [
    ({"version": 2}, "version 2; this program knows 1"),
    ({"flags": 8}, "flags 0x8"),
    ({"block": 1000}, "makes no sense"),
])
def test_heads_that_are_not_understood(case, head, says):
    case.write(**head)
    for r in case.run("show", case.file), case.apply("--force"):
        assert r.returncode == 1 and says in r.stderr
    assert case.untouched()


def test_data_beyond_the_medium_are_not_written(case):
    case.records.append(recfile.record(recfile.DATA, SIZE, 512, bytes(512)))
    case.write()
    assert case.apply().returncode == 3
    assert case.apply("--force").returncode == 3
    assert case.image.read_bytes() == case.expected()


def test_show_prints_every_run(case):
    r = case.run("show", case.file)
    assert (r.returncode, r.stdout) == (
        0, "data\t65536\t4096\nzeroes\t262144\t8192\n")
    shown = json.loads(case.run("show", case.file, "--json").stdout)
    assert shown["extents"] == [
        {"what": "data", "offset": 65536, "length": 4096},
        {"what": "zeroes", "offset": 262144, "length": 8192}]
    assert (shown["label"], shown["drive"], shown["size_bytes"],
            shown["status"], shown["bytes"], shown["witnesses"],
            shown["complete"]) == ("A", "disk0", SIZE, "0xC0000013", 12288, 3,
                                   True)
    status, out = on_tty("show", case.file)
    assert status == 0 and "Was in     disk0" in out


def test_list_has_each_file_and_its_problem(case):
    (case.dir / "B.recovery").write_bytes(case.file.read_bytes()[:-40])
    (case.dir / "C.recovery").write_bytes(b"something else")
    (case.dir / "D.recovery.part").write_bytes(b"not yet")
    r = case.run("list", case.dir)
    rows = [line.split("\t") for line in r.stdout.splitlines()]
    assert r.returncode == 0
    assert [row[:3] for row in rows] == [
        ["recovery", f"{case.dir}/A.recovery", "A"],
        ["recovery", f"{case.dir}/B.recovery", "A"]]
    assert rows[0][3:] == ["unknown", "", "12288", str(SIZE),
                           "1700000000123", "1", ""]
    assert rows[1][8] == "0" and "has no end" in rows[1][9]
    files = json.loads(case.run("list", case.dir, "--json").stdout)["files"]
    assert [f["complete"] for f in files] == [True, False]
    status, out = on_tty("list", case.dir)
    assert status == 0 and "VOLUME" in out and "12 KiB" in out


def test_list_of_an_empty_folder_and_of_none(case, tmp_path):
    status, out = on_tty("list", tmp_path)
    assert status == 0 and "Nothing to recover" in out
    r = case.run("list", tmp_path / "none")
    assert r.returncode == 1 and "No such file" in r.stderr


@pytest.mark.parametrize("args, word", [
    (("apply", "x.recovery"), "--to"),
    (("apply",), "needs a file"),
    (("show",), "needs a file"),
    (("throw", "x"), "throw"),
    ((), "too few"),
])
def test_mistakes(case, args, word):
    r = case.run(*args)
    assert r.returncode == 2 and word in r.stderr and r.stdout == ""


def test_files_that_are_not_there(case):
    assert case.run("show", "/no/such").returncode == 1
    r = case.run("apply", case.file, "--to", "/no/such")
    assert r.returncode == 1 and "/no/such" in r.stderr
    r = case.run("apply", case.image, "--to", case.image)
    assert r.returncode == 1 and "not a recovery file" in r.stderr
