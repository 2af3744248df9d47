"""rack.py - tape drives and a robot that the guest's own kernel has

QEMU emulates none: a tgtd of the host serves them, and the guest's kernel logs
in with open-iscsi.  What is really where is asked for on the host, by an
initiator of its own.

SPDX-License-Identifier: MIT
"""
import subprocess

from house import until
from tgt import NAME, Target
from tgt_robot import Robot

LABELS = ["TAPE01L6", "TAPE02L6", "TAPE03L6"]
MODULES = ["crc32c_generic", "iscsi_tcp", "sg", "st", "ch", "fuse"]
SERIALS = ["MX0001", "TD001", "TD002"]


def new_tape(path, mib):
    subprocess.run(["tgtimg", "--op", "new", "--device-type", "tape",
                    "--barcode", path.name, "--size", str(mib), "--type",
                    "data", "--file", str(path)],
                   check=True, stdout=subprocess.DEVNULL)


class Rack(Robot):
    """Drives TD001 and TD002, empty; blank tapes in slots 1 to 3 of 8; robot
    MX0001."""

    kind, serial = "tape", "TD"

    def __init__(self, folder, mib=16):
        super().__init__(folder, dict(enumerate(LABELS, 1)))
        self.empty = folder / "EMPTY"
        for path in [self.empty] + [self.media / label for label in LABELS]:
            new_tape(path, mib)

    def restore(self, mib=16):
        """Blank tapes again, in their slots."""
        for label in LABELS:
            new_tape(self.media / label, mib)


class Nodes:
    """Of the kernel: nodes["TD001"] is ("sg3", "st0"), or ("sg3", "") while no
    driver has it."""

    def __init__(self, machine):
        self.machine = machine

    def all(self):
        text = self.machine.run(
            "for d in /sys/class/scsi_generic/*/device; do s=${d%/device}; "
            "n=$(ls $d/scsi_tape $d/scsi_changer 2>/dev/null | "
            "grep -x 's[tc]h*[0-9]*'); "
            "echo $(tail -c +5 $d/vpd_pg80 | tr -d ' \\0') ${s##*/} $n; done")
        rows = [line.split() for line in text.splitlines()]
        return {row[0]: (row[1], row[2] if len(row) > 2 else "")
                for row in rows if len(row) > 1}

    def __getitem__(self, serial):
        return self.all()[serial]

    def bound(self):
        """The nodes of the kernel's drivers, or what is missing."""
        found = self.all()
        return [found.get(s, ("", ""))[1][:2] for s in SERIALS]

    def _device(self, serial):
        return f"/sys/class/scsi_generic/{self[serial][0]}/device"

    def delete(self, serial):
        """As if its cable were pulled; returns what brings it back."""
        device = self._device(serial)
        place = self.machine.run(f"basename $(readlink -f {device})").strip()
        self.machine.run(f"echo 1 >{device}/delete")
        return place

    def scan(self, place):
        host, channel, target, lun = place.split(":")
        self.machine.run(f"echo {channel} {target} {lun} "
                         f">/sys/class/scsi_host/host{host}/scan")


def log_in(machine, rack):
    machine.modprobe(*MODULES)
    machine.run(f"iscsistart -i iqn.2026-11.reinsert.test:guest -t {NAME} "
                f"-g 1 -a 10.0.2.2 -p {rack.port}")
    nodes = Nodes(machine)
    until(lambda: nodes.bound() == ["sc", "st", "st"],
          "the robot and two tape drives in the guest")
    return nodes


def forget(machine):
    """No device is left that would miss its target."""
    machine.run("for d in /sys/class/iscsi_session/*/device/target*/*:*; do "
                "[ -e $d/delete ] && echo 1 >$d/delete; done; true")
