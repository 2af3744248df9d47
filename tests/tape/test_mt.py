"""Our words of mt say and do what the real mt says and does.

The same command line is given to the real mt (with tests/tape/mtnode.c
preloaded) and to ours, over drives that answer alike: output, exit code and
every request to the drive must be the same, byte for byte.

SPDX-License-Identifier: MIT
"""
import os
import random
import subprocess

import pytest

OURS = os.environ["MT_OURS"]
NODE = os.environ["MT_NODE"]
REAL = "/bin/mt-st"
WORDS = """weof wset eof fsf fsfm bsf bsfm fsr bsr fss bss rewind offline
    rewoffl eject retension eod seod seek tell status erase setblk lock unlock
    load compression setdensity drvbuffer stwrthreshold stoptions stsetoptions
    stclearoptions defblksize defdensity defdrvbuffer defcompression stsetcln
    sttimeout stlongtimeout densities setpartition mkpartition partseek
    asf""".split()
PROPERTIES = """buffer-writes async-writes read-ahead debug two-fms fast-eod
    auto-lock def-writes can-bsr no-blklimits can-partitions scsi2logical
    no-wait sysv sili cleaning""".split()
COUNTS = ["0", "1", "7", "-7", "1k", "3M", "1G", "2G", "5G", "3x", "3m", "x",
          "k", "", "0x10", "010", "09", "3kk", "9999999999", "2147483648",
          "-1", "-3M", "0xfffffff", " 3", "3 ", "4294967297k", "+3", "-3x",
          "-1G", "2097151k", "2097152k", "0x12345678"]


def run(program, words, folder, answers, **more):
    log = folder / "log"
    log.write_text("")
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "MT_ANSWER_LOG": str(log),
           **{f"MT_ANSWER_{k.upper()}": str(v) for k, v in answers.items()},
           **more}
    # What mt says after an error depends on errno behind perror(), which a
    # pipe changes; it means what it says to a file.
    with open(folder / "said", "w+b") as said:
        done = subprocess.run([program, *words], env=env, timeout=120,
                              stdout=subprocess.PIPE, stderr=said)
        said.seek(0)
        return done.returncode, done.stdout, said.read(), log.read_text()


def same(words, folder, **answers):
    """What both did, which is the same."""
    real = run(REAL, words, folder, answers, LD_PRELOAD=NODE)
    ours = run(OURS, words, folder, answers)
    assert but_one(ours) == but_one(real), f"mt {words} with {answers}"
    return real


def but_one(done):
    """Without the message that is different; it has a test of its own."""
    code, out, said, log = done
    return (code, out, said.replace(b"mt: The tape is write-protected.\n", b""),
            log)


def test_the_comparison_reaches_the_drive(tmp_path):
    code, _, _, log = same(["-f", "st0", "fsf", "3"], tmp_path)
    assert code == 0
    assert log == "open 0 0\nop 1 3\n"


@pytest.mark.parametrize("word", WORDS)
def test_word__counts_as_mt(word, tmp_path):
    for tail in [[], *([c] for c in COUNTS), ["5", "2"], ["1", "2", "3"]]:
        same(["-f", "st0", word, *tail], tmp_path)


def test_word__every_beginning__as_mt(tmp_path):
    for part in sorted({w[:n] for w in WORDS + ["stshowoptions"]
                        for n in range(0, len(w) + 1)}):
        if not "stshowoptions".startswith(part) or len(part) < 3:
            same(["-f", "st0", part], tmp_path)
    for no in ("FSF", "fsfx", "nosuch", "fsf ", "-"):
        same(["-f", "st0", no], tmp_path)


@pytest.mark.parametrize("word", WORDS)
def test_word__drive_refuses__as_mt(word, tmp_path):
    for error in (5, 28, 38):
        for gstat in (0, 0x01000000, 0x41010000, 0x04000000):
            same(["-f", "st0", word], tmp_path, op=error, pos=error,
                 gstat=gstat)
    same(["-f", "st0", word], tmp_path, op=5, pos=5, get=5)
    same(["-f", "st0", word, "3x"], tmp_path, gstat=0x01000000)


@pytest.mark.parametrize("word", ["weof", "wset"])
def test_weof__drive_refuses__protected_only_if_it_is(word, tmp_path):
    """Here mt says of every tape that is not write-protected that it is."""
    real = run(REAL, ["-f", "st0", word], tmp_path,
               {"op": 5, "gstat": 0x01000000}, LD_PRELOAD=NODE)
    assert b"mt: The tape is write-protected.\n" in real[2]
    ours = run(OURS, ["-f", "st0", word], tmp_path,
               {"op": 5, "gstat": 0x01000000})
    assert ours[2] == b"st0: Input/output error\n"
    assert (ours[0], ours[1], ours[3]) == (real[0], real[1], real[3])
    ours = run(OURS, ["-f", "st0", word], tmp_path,
               {"op": 5, "gstat": 0x05000000})
    assert ours[2] == (b"st0: Input/output error\n"
                       b"mt: The tape is write-protected.\n")


@pytest.mark.parametrize("word", WORDS)
def test_word__open_fails__as_mt(word, tmp_path):
    for error in (6, 16, 30):
        same(["-f", "st0", word], tmp_path, open=error)
        same(["-f", "st0", word, "x"], tmp_path, open=error)


def test_status__every_bit_and_density__byte_for_byte(tmp_path):
    for bit in range(32):
        same(["-f", "st0", "status"], tmp_path, gstat=1 << bit)
    for code in range(256):
        same(["-f", "st0", "status"], tmp_path, dsreg=code << 24 | 512)
    same(["-f", "st0", "status"], tmp_path, get=5)


def test_status__random_answers__byte_for_byte(tmp_path):
    dice = random.Random(7)
    for _ in range(150):
        same(["-f", "st0", "status"], tmp_path,
             gstat=dice.getrandbits(32), dsreg=dice.getrandbits(32),
             resid=dice.getrandbits(16), erreg=dice.getrandbits(32),
             file=dice.randint(-1, 1 << 20), block=dice.randint(-1, 1 << 30))


def test_tell__numbers__byte_for_byte(tmp_path):
    for block in (0, 1, -5, 4294967295, 99999999999):
        same(["-f", "st0", "tell"], tmp_path, tell=block)


def test_stoptions__names_and_beginnings__as_mt(tmp_path):
    for word in ("stoptions", "stsetoptions", "stclearoptions"):
        for name in PROPERTIES:
            same(["-f", "st0", word, name], tmp_path)
            for n in (0, 1, 3, 5):
                same(["-f", "st0", word, name[:n]], tmp_path)
        for tail in (["sili", "sysv"], ["4", "buf"], ["4buf"], ["buf", "3"],
                     ["nosuch"], ["buf", "nosuch"], ["-1"]):
            same(["-f", "st0", word, *tail], tmp_path)


@pytest.mark.parametrize("line", [
    [], ["-h"], ["--help"], ["-v"], ["--version"], ["-f"], ["-f", "st0"],
    ["-t", "st0", "fsf"], ["-x", "fsf"], ["--foo"], ["-fst0", "fsf"],
    ["-f", "st0", "-h"], ["-f", "st0", "-v", "fsf"], ["-f", "a", "-t", "b",
                                                      "fsf"],
    ["-f", "st0", "--", "fsf"], ["--file=st0", "fsf"], ["fsf", "-f", "st0"],
    ["-f", "st0", "fsf", "-v"], ["-f", "", "fsf"], ["-f", "st0", "fsf", "-f",
                                                    "st1"]])
def test_options__as_mt(line, tmp_path):
    same(line, tmp_path)
    same(line, tmp_path, open=2)


def test_device__tape_of_environment__as_mt(tmp_path):
    for env in ({"TAPE": "st7"}, {"TAPE": ""}):
        for words in (["fsf"], ["-f", "st0", "fsf"]):
            answers = {"open": 6}
            assert (run(REAL, words, tmp_path, answers, LD_PRELOAD=NODE, **env)
                    == run(OURS, words, tmp_path, answers, **env))


@pytest.mark.parametrize("line", [["-f", "host:/dev/st0", "status"],
                                  ["--rsh-command=ssh", "-f", "st0", "fsf"]])
def test_remote_drives__refused_clearly(line, tmp_path):
    code, out, said, log = run(OURS, line, tmp_path, {})
    assert (code, out, log) == (1, b"", "")
    assert b"other computers" in said
