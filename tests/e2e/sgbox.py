"""A machine whose SCSI devices come and go, as a service under test sees it.

No kernel here has any, so nodes, what sysfs says of them and the kernel's
messages are made: the service runs with tests/changer/sgnode.c preloaded, which
answers behind /dev/sg71 and the nodes after it, with a /sys of its own in a
mount namespace of its own, and hears the uevents that a test sends.

SPDX-License-Identifier: MIT
"""
import os
import shlex
import shutil
import socket
import subprocess

import pytest

import house
from house import REINSERT, until

BUILD = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(REINSERT))))
SGNODE = os.path.join(BUILD, "tests", "changer", "sgnode.so")
FIRST = 70


def place(n):
    """The SCSI device behind node n."""
    return f"devices/platform/host9/target9:0:{n}/9:0:{n}:0"


def add_device(sys, n, kind, model, serial):
    """As the kernel has a SCSI device that no driver but sg has taken."""
    device = sys / place(n)
    device.mkdir(parents=True)
    (device / "type").write_text(f"{kind}\n")
    (device / "vendor").write_text("REINSERT\n")
    (device / "model").write_text(model + "\n")
    (device / "inquiry").write_bytes(bytes([kind, 0x80, 6] + [0] * 33))
    (device / "vpd_pg80").write_bytes(
        bytes([kind, 0x80, 0, len(serial)]) + serial.encode())
    node = sys / "class" / "scsi_generic" / f"sg{FIRST + n}"
    node.mkdir(parents=True)
    (node / "device").symlink_to(f"../../../{place(n)}")


def needs_nodes():
    if not os.path.exists(SGNODE):
        pytest.skip("not with a sanitizer's own library in front")
    if subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")


class Box:
    """environment: of sgnode.c, without its REINSERT_SG_"""

    def __init__(self, folder, monkeypatch, **environment):
        needs_nodes()
        self.sys = folder / "sys"
        self.uevents = folder / "ue"
        self.images = folder / "images"
        for made in (self.sys / "class" / "scsi_generic", self.uevents,
                     self.images):
            made.mkdir(parents=True, exist_ok=True)
        environment = {"NODE": f"/dev/sg{FIRST}", "DRIVES": 2,
                       "IMAGES": self.images, "UEVENTS": self.uevents,
                       **environment}
        words = "".join(
            f"export REINSERT_SG_{k}={shlex.quote(str(v))}\n"
            for k, v in environment.items() if v is not None)
        script = folder / "reinsert-in-box"
        script.write_text(
            f"#!/bin/sh\n{words}"
            "exec unshare -m sh -c 'mount --bind \"$0\" /sys && "
            "LD_PRELOAD=$1 && shift && export LD_PRELOAD && exec \"$@\"' "
            + shlex.join(map(str, [self.sys, SGNODE,
                                   os.path.abspath(REINSERT)]))
            + " \"$@\"\n")
        script.chmod(0o755)
        monkeypatch.setattr(house, "REINSERT", str(script))

    def put(self, n, image):
        """Into the drive behind node n, before it is first opened."""
        shutil.copy(image, self.images / f"{n}.img")
        return self.images / f"{n}.img"

    def say(self, **fields):
        """A message of the kernel, to whoever listens."""
        text = f"{fields['ACTION']}@{fields['DEVPATH']}\0" + "".join(
            f"{k}={v}\0" for k, v in fields.items())
        self.send(text.encode())

    def send(self, message, source=None):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            if source is not None:
                s.bind(str(source))
            for name in self.uevents.iterdir():
                try:
                    s.sendto(message, str(name))
                except ConnectionRefusedError:
                    pass    # of a service that was

    def listeners(self, count):
        until(lambda: len(list(self.uevents.iterdir())) >= count,
              "who listens to uevents")

    def make(self, n, kind=0, model="DISK", serial=None):
        add_device(self.sys, n, kind, model, serial or f"HUX{n:07}")

    def drive(self, n, driver):
        """The kernel's driver has it; the driver's folder in sysfs."""
        folder = self.sys / "bus" / "scsi" / "drivers" / driver
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("bind", "unbind"):
            (folder / name).touch()
        (self.sys / place(n) / "driver").symlink_to(folder)
        return folder

    def plug(self, n, **what):
        self.make(n, **what)
        self.say(ACTION="add", DEVPATH=f"/{place(n)}/scsi_generic/"
                 f"sg{FIRST + n}", SUBSYSTEM="scsi_generic")

    def unplug(self, n):
        shutil.rmtree(self.sys / "class" / "scsi_generic" / f"sg{FIRST + n}")
        shutil.rmtree(self.sys / place(n))
        self.say(ACTION="remove", DEVPATH=f"/{place(n)}/scsi_generic/"
                 f"sg{FIRST + n}", SUBSYSTEM="scsi_generic")
