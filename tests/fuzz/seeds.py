"""seeds.py FOLDER - makes the first inputs of the fuzzers

Written by the layouts at the heads of the fuzz_*.c files.  Media are made by
the mkfs tools that are installed; of each only what is not zero is kept, up to
a few KiB.  The results are committed (corpus/); run it again when a layout
changes.

SPDX-License-Identifier: MIT
"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = sys.argv[1]
MOST = 4000


def seed(fuzzer, name, data):
    folder = os.path.join(ROOT, fuzzer)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


# --- probe: guided, then for each answer: way, length, bytes (none: 0F)

GOOD = bytes([0x00])
seed("probe", "disk", bytes([0]) + bytes([0xC0, 18]) +
     bytes.fromhex("700006000000000a00000000290000000000") +
     GOOD + bytes([36]) + bytes([0, 0x80, 6, 2, 31, 0, 0, 0]) + b"A" * 28 +
     GOOD + bytes([8]) + bytes([0, 0x80, 0, 4]) + b"S001" +
     GOOD + bytes([0]) +
     GOOD + bytes([8]) + bytes([0, 0, 0x40, 0, 0, 0, 2, 0]))
seed("probe", "guided", bytes([1, 0x0F, 0]) * 3 + GOOD * 40)


# --- iscsi: how many commands, then for each answer: way, and what it takes

seed("iscsi", "honest", bytes([5, 0, 0, 0]))
seed("iscsi", "response", bytes([2, 1, 0x80, 0, 2, 0, 20]) + bytes(12) +
     bytes([0, 18, 0x70, 0, 6]) + bytes(15))
seed("iscsi", "data", bytes([1, 3, 4, 0, 1, 4, 2, 0, 0, 0x80, 0, 0]) +
     bytes(20))


# --- sense: SRB status, SCSI status, circumstances, retry, moved, CDB, sense

def fixed(key, asc, ascq, ili=0):
    return bytes([0x70, 0, key | ili, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq,
                  0, 0, 0, 0])


def sense(name, data, srb=0x84, scsi=2, circumstances=3, cdb=0x28):
    seed("sense", name, struct.pack(">BBHBH", srb, scsi, circumstances, 0, 0)
         + bytes([cdb]) + bytes(15) + data)


for key, asc, ascq in [(0, 0, 0), (1, 0x18, 0), (2, 0x3A, 0), (2, 4, 1),
                       (2, 4, 2), (3, 0x11, 0), (3, 0x30, 1), (4, 8, 3),
                       (5, 0x20, 0), (5, 0x21, 0), (5, 0x6F, 4), (6, 0x28, 0),
                       (6, 0x29, 0), (6, 0x5A, 1), (7, 0x27, 0), (8, 0, 0),
                       (0xB, 0, 0), (0xE, 0x1D, 0)]:
    sense(f"{key:x}-{asc:02x}-{ascq:02x}", fixed(key, asc, ascq))
sense("descriptor", bytes([0x72, 6, 0x28, 0, 0, 0, 0, 12, 0, 10, 0x80, 0])
      + bytes(8))
sense("deferred", bytes([0x71]) + fixed(3, 0x0C, 0)[1:])
sense("ili", fixed(0, 0, 0, 0x20))
sense("short", fixed(6, 0x28, 0)[:12])
sense("none", b"", srb=0x04)
for status in (0x02, 0x06, 0x0A, 0x0E, 0x12, 0x14, 0x16, 0x20, 0x30):
    sense(f"srb-{status:02x}", b"", srb=status, scsi=0)
sense("reserved", fixed(6, 0x28, 0), scsi=0x18)
sense("busy", b"", srb=0x04, scsi=8)

# --- ioctl: drive, manner, code's number, code, in, out, contents

for drive in range(4):
    for code in range(0, 60, 3):
        seed("ioctl", f"{drive}-{code:02d}", struct.pack(
            ">BBBIHH", drive, 0, code, 0, 64, 512) + bytes(64))
# FORMAT_PARAMETERS of a 1.44 MB floppy, PASS_THROUGH with an INQUIRY
seed("ioctl", "format", struct.pack(">BBBIHH", 1, 0, 200, 0x0007C018, 20, 64)
     + struct.pack("<5I", 2, 0, 1, 0, 1))
seed("ioctl", "pass-through", struct.pack(
    ">BBBIHH", 0, 0, 200, 0x0004D004, 56, 256) + struct.pack(
        "<HBBBBBBBxxxIIxxxxQI16s", 56, 0, 0, 0, 0, 6, 18, 1, 96, 10, 92, 56,
        bytes([0x12, 0, 0, 0, 96, 0]))[:56])

# --- device: kind, number of asks, length of the plan, the plan, answers

for kind in range(2):
    for what in range(8):
        plan = bytes([what, 0, 1, 8, 0, 60, 0, 0] * 4)
        seed("device", f"{kind}-{what}", bytes([kind, 5, len(plan)]) + plan)
    seed("device", f"{kind}-changes", bytes([kind, 6, 6, 1, 3, 0, 0, 0, 1])
         + bytes([0] * 12) + bytes([0x10, 0x06, 0x28, 0]) * 8)

# Asked every second: TEST UNIT READY, GET EVENT STATUS NOTIFICATION of a CD, the
# capacity; good, another size, gone and back, in both formats of sense data.
OTHER = bytes([0x80, 0, 8, 0, 0, 0x20, 0, 0, 0, 2, 0])
EVENT = bytes([0x80, 0, 8, 0, 6, 4, 0x10, 2, 2, 0, 0])
OUT = bytes([0x10, 0x02, 0x3A, 0])
OUT_72 = bytes([0x10, 0x88, 0x72, 2, 0x3A, 0, 0, 0, 0, 0])
for kind in 2, 3:
    plan = bytes(5) + bytes([1, 7] * 4)
    for begin in 4, 8, 12, 16:
        for name, answers in (("size", bytes(1) + OTHER),
                              ("event", bytes(1) + EVENT + OTHER),
                              ("out", OUT + OUT_72 + bytes(2))):
            seed("device", f"{kind}-polled-{name}-{begin}", bytes(
                [kind, 5, len(plan)]) + plan + bytes(begin) + answers * 8)
# STORAGE_PROPERTY_QUERY of each page that is read for one (VPD 0, B0, B1, B2,
# mode page 8), a trim.
for kind in range(2):
    for page in 4, 6, 7, 8, 11:
        plan = bytes([3, 2, 12, 250]) + struct.pack("<III", page, 0, 0)
        seed("device", f"{kind}-property-{page}", bytes(
            [kind, 2, 2 * len(plan)]) + plan * 2 + bytes(24) + (bytes(
                [0x80, 0, 64, 0, 0xB0, 0, 60]) + bytes(range(60))) * 4)
plan = bytes([3, 3, 48, 48]) + struct.pack(
    "<7I", 28, 1, 0, 0, 0, 32, 16) + bytes(4) + struct.pack("<QQ", 0, 65536)
seed("device", "0-trim", bytes([0, 2, 2 * len(plan)]) + plan * 2)

# --- tapedrive: vendor, number of calls, length of the plan, the plan (manner;
# for each call what, size less one), answers

for vendor in range(2):
    for manner in 1, 5:
        calls = bytes([0, 1, 255, 1, 2, 0, 6 * 4 + 2, 0, 1, 5 * 4 + 2, 0, 1,
                       3, 0, 0, 22 * 4 + 2, 0, 3, 1, 0, 99])
        plan = bytes([manner]) + calls
        head = bytes([vendor, len(calls) // 3, len(plan)]) + plan
        seed("tapedrive", f"{vendor}-{manner}-honest", head)
        seed("tapedrive", f"{vendor}-{manner}-attention",
             head + bytes(20) + bytes([0x06, 0x06, 0x29, 0]) * 6)
        seed("tapedrive", f"{vendor}-{manner}-lost",
             head + bytes(24) + bytes([0x10, 0x02, 0x3A, 0]) * 6)
        seed("tapedrive", f"{vendor}-{manner}-places",
             head + bytes(14) + (bytes([0x80, 0, 32]) + bytes([0x80]) +
                                 bytes(31)) * 4)

# --- identity: how, blocks, places and what is there

FAILS_NEVER = 0


def pieces(image):
    """Runs of 512-byte units of head and tail that are not zero."""
    with open(image, "rb") as file:
        data = file.read()
    found, left = [], MOST
    units = [n for n in range(0, min(len(data), 132 * 1024) // 512)]
    tail = [n for n in range(max(len(data) // 512 - 34, 264),
                             len(data) // 512)]
    for place in units + tail:
        unit = data[place * 512:place * 512 + 512]
        if not any(unit) or left <= 0:
            continue
        unit = unit.rstrip(b"\0")
        number = place if place < 264 else 0x8000 | (len(data) // 512 - place)
        found.append(struct.pack(">HH", number, len(unit)) + unit)
        left -= len(unit) + 4
    return b"".join(found)


def medium(name, mib, *command, how=0, size=None, said=b""):
    if command and shutil.which(command[0]) is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "image")
        with open(image, "wb") as file:
            file.truncate(size or mib << 20)
        if command and subprocess.run(
                [word.replace("@", image) for word in command],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                input=said, check=False).returncode != 0:
            return
        blocks = min(65535, (size or mib << 20) // 512 - 1)
        seed("identity", name, struct.pack(">BH", how | FAILS_NEVER, blocks)
             + pieces(image))


os.environ["PATH"] += ":/usr/sbin:/sbin"
medium("blank", 1)
medium("ext4", 4, "mkfs.ext4", "-F", "-L", "SEED", "-U",
       "11111111-2222-3333-4444-555555555555", "@")
medium("vfat", 4, "mkfs.fat", "-i", "12345678", "-n", "SEED", "@")
medium("floppy", 0, "mkfs.fat", "-i", "12345678", "-n", "SEED", "@",
       size=1440 * 1024)
medium("exfat", 4, "mkfs.exfat", "@")
medium("ntfs", 4, "mkfs.ntfs", "-F", "-Q", "@")
medium("udf", 4, "mkudffs", "--utf8", "@")
medium("iso", 1, "genisoimage", "-quiet", "-V", "SEED", "-o", "@", "/dev/null")
medium("swap", 2, "mkswap", "@")
medium("minix", 2, "mkfs.minix", "@")
medium("gpt", 4, "sfdisk", "-q", "@", said=b"label: gpt\nsize=2MiB\n")
medium("mbr", 4, "sfdisk", "-q", "@", said=b"label: dos\nsize=2MiB\n")

# --- nbd: flags, then what a client sends


def request(command, offset, length, data=b"", flags=0):
    return struct.pack(">IHHQQI", 0x25609513, flags, command, 7, offset,
                       length) + data


LAST = request(2, 0, 0)
seed("nbd", "read", b"\1" + request(0, 0, 4096) + LAST)
seed("nbd", "write", b"\1" + request(1, 512, 512, bytes(512), 1) + LAST)
seed("nbd", "flush-trim-zero-status", b"\1" + request(3, 0, 0)
     + request(4, 0, 4096) + request(6, 0, 4096) + request(7, 0, 4096) + LAST)
seed("nbd", "slow", b"\3" + request(0, 0, 512) * 4 + LAST)
seed("nbd", "failing", b"\5" + request(0, 1 << 19, 512) + LAST)
seed("nbd", "shake", b"\0\0\0\0\3IHAVEOPT" + struct.pack(">II", 3, 0)
     + b"IHAVEOPT" + struct.pack(">II", 7, 7) + b"\0\0\0\1A\0\0")

# --- tapelink: which end; client: calls, what the service says; service:
# window, descriptors, signals, what the tape answers, what the client sends

GOOD_WINDOW, GOOD_FDS = 5, 0


def tape_request(op, name=b"", group=1, flags=0, code=0, offset=0, size=0,
                 count=0):
    return struct.pack("=HHIIiQQq", op, len(name), group, flags, code, offset,
                       size, count) + name


def tape_reply(op, extra=b"", rc=0, flags=0, size=0):
    return struct.pack("=HHiIIQq", op, len(extra), rc, 0, flags, size,
                       0) + extra


def session(name, *requests, window=GOOD_WINDOW, fds=GOOD_FDS, signals=0,
            answers=b""):
    seed("tapelink", name, bytes([0, window, fds, signals, len(answers)])
         + answers + b"".join(requests))


OPEN = tape_request(1, code=1, flags=1)
CLOSE = tape_request(7)
WRITES = [tape_request(3, offset=n * 4096, size=4096) for n in range(8)]
session("write", OPEN, *WRITES, CLOSE)
session("skipped", OPEN, *WRITES, tape_request(3, group=2, size=9), CLOSE,
        answers=bytes([0, 0, 6, 8]))
session("read", OPEN, *[tape_request(2, offset=60000, size=5536)] * 4, CLOSE,
        answers=bytes([0, 1, 0, 2]))
session("over-the-end", OPEN, tape_request(2, offset=65535, size=2))
session("ops", OPEN, tape_request(4, code=6, count=1), tape_request(5),
        tape_request(6, b"NEXT", flags=16), CLOSE,
        answers=bytes([4, 32, 0, 64]))
session("named", tape_request(1, b"VOL01", code=1), CLOSE, fds=16, signals=3)
session("busy", tape_request(1, b"busy", code=1))
session("version", tape_request(1, code=2, count=7))
session("gone", OPEN, WRITES[0], WRITES[1][:17], signals=10)
for number in (0, 1, 2, 3, 4, 21):
    session(f"window-{number}", OPEN, CLOSE, window=number)
for number in (1, 3, 4, 8, 0x45, 0xA0, 0xE0):
    session(f"fds-{number}", OPEN, *WRITES, CLOSE, fds=number)
for name, calls, said in [
        ("calls", bytes([0x40, 0x41, 0x42, 0x13, 4, 5]),
         tape_reply(2, size=64) + tape_reply(2, size=1 << 40) +
         tape_reply(3, b"text") + tape_reply(4, b"t" * 600, rc=-5) +
         tape_reply(5, b"\1" * 2048) + tape_reply(6) + tape_reply(7)),
        ("row", bytes([0x48, 0x4A, 0x48, 14, 14, 14, 12, 13]),
         tape_reply(3, size=64) + tape_reply(2, size=1 << 33, flags=63) +
         tape_reply(3, rc=-125, flags=32) + tape_reply(7)),
        ("long", bytes([3]), tape_reply(4, b"x" * 5000)),
        ("other", bytes([3, 3]), tape_reply(2) + tape_reply(4))]:
    seed("tapelink", "service-" + name, bytes([3, len(calls)]) + calls + said)
REFUSED = b'{"error": {"code": "no-drive", "text": "none"}}'
seed("tapelink", "refused", bytes([1, 0]) + b"HTTP/1.1 404 Not Found\r\n"
     b"Content-Length: %d\r\n\r\n" % len(REFUSED) + REFUSED)

# --- ulog: flags, then offset (24 bits), what to xor, how many bytes

for name, flags, at in [("slot", 1, 40), ("record", 1, 65536 + 16),
                        ("length", 1, 65536 + 24), ("data", 0, 65536 + 100),
                        ("witness", 1, 92)]:
    seed("ulog", name, bytes([flags]) + struct.pack("<I", at)[:3]
         + bytes([0x40, 0]))

# --- tape: number of commands, four bytes for each, the image


def words(*values):
    return b"".join(struct.pack("<I", value) for value in values)


def record(data, kind=0):
    length = words(kind << 28 | len(data))
    return length + data + bytes(len(data) % 2) + length


PASS = bytes([3, 0, 0, 9, 1, 0, 0, 3, 6, 0, 0, 0, 2, 0, 0, 5])
for name, image in [
        ("blank", b""), ("records", record(b"one") + record(b"four") + words(0)),
        ("gaps", record(b"ab") + words(*[0xFFFFFFFE] * 9) + record(b"cd")),
        ("half-gap", record(b"ab") + b"\xff\xff" + words(0xFFFFFFFE, 0)),
        ("classes", record(b"priv", 3) + record(b"bad", 8) + record(b"d", 14)
         + words(0x70000001, 0xF0000000, 0)),
        ("end", record(b"x") + words(0xFFFFFFFF) + record(b"y")),
        ("cut", record(b"whole") + record(b"broken")[:-3]),
        ("lengths", record(b"abcd") + words(4) + b"efgh" + words(5)),
        ("not-padded", (words(3) + b"abc" + words(3)) * 3)]:
    seed("tape", name, bytes([len(PASS) // 4]) + PASS + image)
