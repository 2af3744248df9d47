"""`reinsert probe` and `drives` on the guest's own drives, over the kernel's
nodes; what --guided asks for is done over QEMU's monitor.

SPDX-License-Identifier: MIT
"""
import json
import shlex

import pytest

from house import REINSERT, until, volumes
from test_sg import ALL, CD, DEFAULT_POLL, HD, QEMU, guest, media, node_of
from test_sg import opened, owned, pid_of, serve

__all__ = ["guest", "media", "serve"]   # fixtures
USB = "readlink -f $d | grep -q usb"
WHICH = {"cd": CD, "hd": HD, "usb": USB}
NOBODY = ("setpriv --reuid 65534 --regid 65534 --groups {} --inh-caps -all "
          "--bounding-set -all --no-new-privs ")


def sg_of(guest, drive):
    return "/dev/" + guest.run(
        "for d in /sys/class/scsi_generic/*/device; do "
        f"if {WHICH[drive]}; then ls $d/scsi_generic; fi; done").strip()


def report_of(guest, node, prefix=""):
    return json.loads(guest.run(f"{prefix}{REINSERT} probe --json {node}"))


def findings(report):
    return {f["name"]: f for f in report["findings"]}


def check(report, table):
    found = findings(report)
    seen = {name: (found[name]["verdict"], found[name]["answer"])
            if name in found else None for name in table}
    assert seen == table


def locked(guest, drive):
    return next(b["locked"] for b in guest.qmp("query-block")
                if (b.get("qdev") or "").split("/")[-1] == QEMU[drive])


@pytest.mark.parametrize("drive, table, says, option", [
    ("cd", {"first-command": ("note", "GOOD"), "inquiry": ("good", ""),
            "mode-sense-10": ("good", "GOOD"), "gesn": ("good", "GOOD"),
            "lock": ("good", "GOOD"), "capacity": ("good", ""),
            "past-the-end": None, "unlock": None},
     "tells events of its medium when asked", "device = /dev/sg"),
    ("hd", {"first-command": ("note", "GOOD"), "vpd-83": ("good", ""),
            "cache": ("note", ""), "gesn": ("absent", "5/24/00"),
            "lock": ("good", "GOOD"), "past-the-end": ("good", "5/21/00"),
            "unlock": None},
     "refuses GET EVENT STATUS NOTIFICATION", "device = /dev/sg"),
    ("usb", {"gesn": ("absent", "5/24/00"), "capacity": ("good", "")},
     "refuses GET EVENT STATUS NOTIFICATION", "match = serial:USB0"),
])
def test_report_of_a_drive(guest, media, drive, table, says, option):
    """Nothing is written, and nothing stays locked."""
    node = sg_of(guest, drive)
    before = volumes.checksum(media[drive][0])
    report_of(guest, node)      # who comes first is told of what was before
    report = report_of(guest, node)
    check(report, table)
    assert findings(report)["gesn"]["text"] == says
    assert (report["link"], report["ended"]) == ("sg", "")
    assert report["identity"]["serial"] == drive.upper() + "0"
    assert report["identity"]["volume"].startswith(f"SG-{drive.upper()} (")
    assert not [f for f in report["findings"] if f["verdict"] == "wrong"]
    assert any(line.startswith(option) for line in report["options"])
    assert report["options"][-1] == "own = yes"
    text = guest.run(f"{REINSERT} probe {node}").split("\n")
    assert f"identity\tserial\t{drive.upper()}0" in text
    assert f"option\t{report['options'][-2]}" in text
    for name, what in table.items():
        lines = [x for x in text if x.startswith(f"finding\t{name}\t")]
        assert len(lines) == (what is not None)
        assert not lines or tuple(lines[0].split("\t")[2:4]) == what
    assert volumes.checksum(media[drive][0]) == before
    assert drive == "usb" or not locked(guest, drive)


def test_a_drive_that_somebody_has_mounted(guest):
    """Its lock is the mount's, and is left alone; so is its medium."""
    disc = node_of(guest, CD)
    node = sg_of(guest, "cd")
    guest.run(f"mkdir -p /mnt/sg && mount -o ro /dev/{disc} /mnt/sg")
    says = f"{disc} is mounted on /mnt/sg"
    try:
        assert locked(guest, "cd")
        for path in node, f"/dev/{disc}":
            report = report_of(guest, path)
            check(report, {"held": ("note", ""), "lock": ("unknown", ""),
                           "capacity": ("good", "")})
            assert says in findings(report)["held"]["text"]
        job = guest.begin(f"{REINSERT} probe --guided {node}")
        assert "nothing was watched: somebody else has it" in job.good()
        assert "Take the medium" not in job.output
        assert locked(guest, "cd") and not opened(guest, "cd0")
        assert says in held_by(guest, node)
    finally:
        guest.run("umount /mnt/sg")
    assert held_by(guest, node) == ""


def held_by(guest, node, words=""):
    rows = json.loads(guest.run(f"{REINSERT} drives --json {words}"))["drives"]
    return next(r["held_by"] for r in rows if r["name"] == node)


def test_a_drive_that_is_mounted_where_we_do_not_see_it(guest):
    """As the service finds it."""
    disc = node_of(guest, CD)
    node = sg_of(guest, "cd")
    other = guest.begin(
        "mkdir -p /mnt/sg; exec unshare -m sh -c "
        f"'mount -o ro /dev/{disc} /mnt/sg && echo mounted; exec sleep 1000'")
    until(lambda: "mounted" in other.output, "a mount")
    says = held_by(guest, node)
    assert f"{disc} is mounted on /mnt/sg for process " in says
    check(report_of(guest, node), {"lock": ("unknown", "")})
    guest.run(f"kill {says.split()[-1]}")
    other.wait()


def test_a_drive_that_a_service_has(guest, serve):
    """It has it alone."""
    node = sg_of(guest, "cd")
    service = serve("probed", owned(cd=ALL["cd"]))
    service.mounted("SG-CD")
    job = guest.begin(f"{REINSERT} probe {node}")
    assert job.wait() == 1
    assert (f"{node}: {node} is open in process {pid_of(guest, service)} "
            "(reinsert)") in job.output
    guest.run(f"chown root:disk {node}; chmod 660 {node}")
    job = guest.begin(NOBODY.format(6) + f"{REINSERT} probe {node}")
    assert job.wait() == 1
    assert f"{node}: somebody has it alone" in job.output
    assert "CAP_SYS_PTRACE" in job.output
    assert held_by(guest, node, f"--control {service.socket}") == (
        "the service, as cd")


def test_without_permission(guest):
    """What it needs is named; with the group of the node it is all there."""
    node, disc = sg_of(guest, "cd"), f"/dev/{node_of(guest, CD)}"
    guest.run(f"chown root:disk {node} {disc}; chmod 660 {node} {disc}")
    for path in node, disc:
        job = guest.begin(NOBODY.format(65534) + f"{REINSERT} probe {path}")
        assert job.wait() == 1
        assert (f"{path}: Permission denied; reading and writing it is for "
                "user 0 and group disk (mode 660), and needs no capability"
                ) in job.output
    report = report_of(guest, node, NOBODY.format(6))
    check(report, {"lock": ("good", "GOOD"), "gesn": ("good", "GOOD"),
                   "capacity": ("good", "")})
    assert not [f for f in report["findings"] if f["verdict"] == "unknown"]
    # A block device is opened for reading only, of which the kernel lets less
    # through.
    found = findings(report_of(guest, disc, NOBODY.format(6)))
    assert found["lock"]["verdict"] == "unknown"
    assert found["lock"]["answer"] == "not permitted"
    assert "CAP_SYS_RAWIO" in found["lock"]["text"]


class Hands:
    """Does what --guided asks for, and has said so."""

    def __init__(self, guest, drive, media):
        self.guest, self.drive = guest, drive
        self.qemu = QEMU[drive]
        self.right, self.wrong = media[drive]
        self.asked = []

    def do(self, line):
        self.asked.append(line)
        if line.startswith("Take the medium out, by"):
            self.guest.pull(self.qemu)
        elif line.startswith("Put the same"):
            self.guest.put(self.qemu, self.right)
        elif line.startswith("Take the medium out, and"):
            self.guest.pull(self.qemu)
            self.guest.run("sleep 0.5")     # no hand is faster
            self.guest.put(self.qemu, self.wrong)
        elif "Press the eject button" in line:
            if self.drive == "cd":
                self.guest.ask(self.qemu)
            else:
                self.guest.run("echo none >/run/says")

    def guide(self, node):
        """The report."""
        path = self.guest.path("report")
        job = self.guest.begin(
            f"rm -f /run/says; mkfifo /run/says; exec 4<>/run/says; {REINSERT} "
            f"probe --guided --json {node} <&4 >{shlex.quote(path)}")
        done = 0
        while not job.over():
            lines = job.output.split("\n")[:-1]
            for line in lines[done:]:
                self.do(line)
            done = len(lines)
        job.good()
        with open(path, encoding="utf-8") as file:
            return json.load(file)


@pytest.mark.parametrize("drive, table", [
    ("cd", {"removal": ("good", "2/3A/00"), "return": ("good", ""),
            "changes": ("good", ""), "button": ("good", ""),
            "eject-when-locked": ("good", "5/53/02"),
            "lock-holds": None, "eject": ("good", "GOOD")}),
    ("hd", {"removal": ("good", "2/3A/00"), "return": ("good", ""),
            "changes": ("good", ""), "button": ("absent", ""),
            "eject-when-locked": ("good", "5/53/02"),
            "eject": ("good", "GOOD")}),
])
def test_guided(guest, media, drive, table):
    """A person's hands, and a kernel that does not ask, as without udev."""
    guest.run(f"echo 0 >{DEFAULT_POLL}")
    hands = Hands(guest, drive, media)
    before = [volumes.checksum(path) for path in media[drive]]
    try:
        report = hands.guide(sg_of(guest, drive))
        assert opened(guest, hands.qemu)        # by the last of its commands
        assert not locked(guest, drive)
        guest.take(hands.qemu)
    finally:
        if guest.medium[hands.qemu] is not None:
            guest.pull(hands.qemu)
        guest.put(hands.qemu, hands.right)
        guest.run(f"echo 2000 >{DEFAULT_POLL}")
    check(report, table)
    assert hands.asked[-1] == "That is all."
    assert report["believe"].startswith("It announces new media")
    said = {(s["step"], s["text"]) for s in report["seen"]
            if s["what"] == "TEST UNIT READY"}
    assert {("out", "2/3A/00"), ("back", "GOOD")} <= said
    assert [volumes.checksum(path) for path in media[drive]] == before


def test_guided_beside_a_kernel_that_asks(guest, media):
    """What it may have been told in our place is not held against a drive."""
    guest.run(f"echo 20 >{DEFAULT_POLL}")
    hands = Hands(guest, "hd", media)
    try:
        report = hands.guide(sg_of(guest, "hd"))
        guest.take("hd0")
    finally:
        if guest.medium["hd0"] is not None:
            guest.pull("hd0")
        guest.put("hd0", hands.right)
        guest.run(f"echo 2000 >{DEFAULT_POLL}")
    changes = findings(report)["changes"]
    assert changes["verdict"] in ("good", "unknown")
    if changes["verdict"] == "unknown":
        assert "events_poll_msecs" in changes["text"]
        assert "was not found out" in report["believe"]
    print(f"\nprobe --guided, polled every 20 ms: {changes['text']}")
