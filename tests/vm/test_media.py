"""The guest's own drives, whose media are changed from outside: what tests of
programs that run in the guest stand on.

SPDX-License-Identifier: MIT
"""
import hashlib

import pytest

from house import bytes_at, until

DRIVES = {"cd0": "disc", "hd0": "disk", "usb0": "stick"}


def label(machine, device):
    """What is in the drive, as the guest sees it; '' when it is empty."""
    one = machine.begin(f"blkid -p -o value -s LABEL {device}")
    return one.output.strip() if one.wait() == 0 else ""


def device_of(machine, wanted):
    """The block device that has this volume now."""
    found = machine.begin(
        "for d in /sys/block/s[rd]*; do d=/dev/${d##*/}; "
        f"[ \"$(blkid -p -o value -s LABEL $d)\" = {wanted} ] && echo $d; "
        "done; true").good()
    return found.strip()


@pytest.mark.parametrize("drive", DRIVES)
def test_another_medium_is_there_after_a_pull(machine, disk_of_the_guest,
                                              drive):
    machine.modprobe("virtio_scsi", "xhci_pci", "usb_storage", "sg", "sr_mod",
                     "sd_mod")
    first, second = f"{DRIVES[drive]}-a", f"{DRIVES[drive]}-b"
    device = until(lambda: device_of(machine, first.upper()),
                   "the drive in the guest")
    machine.pull(drive)
    until(lambda: label(machine, device) == "", "an empty drive")
    machine.put(drive, disk_of_the_guest[second])
    until(lambda: label(machine, device) == second.upper(),
          "the other medium")
    got = machine.run(f"head -c 65536 {device} | sha256sum").split()[0]
    want = bytes_at(disk_of_the_guest[second], 0, 65536)
    assert got == hashlib.sha256(want).hexdigest()
