"""tgt.py - an iSCSI target that nobody here wrote: tgtd on 127.0.0.1

Its control socket is in the folder of the test, its TCP port is nobody else's
from the first start to the last; it is ended by its pid (it ignores SIGTERM
while it is serving).

SPDX-License-Identifier: MIT
"""
import os
import signal
import socket
import subprocess

from house import HANG, until

NAME = "iqn.2026-11.reinsert.test:t1"


def held_port(host):
    """A socket that nobody listens on: its port is free for whoever reuses
    addresses, as tgtd does, and given to no one."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, 0))
    return s


class Target:
    def __init__(self, folder, host="127.0.0.1"):
        self.log = os.path.join(str(folder), f"tgtd-{host}.log")
        self.host = host
        self.holds = held_port(host)
        self.port = self.holds.getsockname()[1]
        self.env = dict(os.environ, TGT_IPC_SOCKET=os.path.join(
            str(folder), f"tgt{host[-1]}"))
        self.process = None
        self.luns = {}          # lun: (image, kind)
        self.chap = None

    def url(self, lun):
        return f"iscsi://{self.host}:{self.port}/{NAME}/{lun}"

    def admin(self, *words, ok=True):
        done = subprocess.run(
            ["tgtadm", "-C", "0", "--lld", "iscsi", *words], env=self.env,
            text=True, capture_output=True, timeout=HANG)
        assert not ok or done.returncode == 0, done.stderr
        return done.returncode

    def said(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def _answers(self):
        assert self.process.poll() is None, self.said()
        return self.admin("--op", "show", "--mode", "sys", ok=False) == 0

    def start(self):
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["tgtd", "-f", "-C", "0", "--iscsi",
                 f"portal={self.host}:{self.port}"], env=self.env,
                stdout=log, stderr=log)
        until(self._answers, "tgtd's control socket")
        self.admin("--op", "new", "--mode", "target", "--tid", "1", "-T", NAME)
        for lun, (image, kind) in self.luns.items():
            self._new(lun, image, kind)
        if self.chap:
            user, secret = self.chap
            self.admin("--op", "new", "--mode", "account", "--user", user,
                       "--password", secret)
            self.admin("--op", "bind", "--mode", "account", "--tid", "1",
                       "--user", user)
        self.prepare()
        self.admin("--op", "bind", "--mode", "target", "--tid", "1",
                   "-I", "ALL")
        return self

    def prepare(self):
        """What else there is to do before an initiator may come."""

    def _new(self, lun, image, kind):
        self.admin("--op", "new", "--mode", "logicalunit", "--tid", "1",
                   "--lun", str(lun), "-b", str(image),
                   f"--device-type={kind}")
        if kind == "disk":
            self.update(lun, f"removable=1,scsi_sn=D{lun:03}")

    def add(self, lun, image, kind="disk"):
        self.luns[lun] = (image, kind)
        if self.process:
            self._new(lun, image, kind)

    def update(self, lun, params, ok=True):
        return self.admin("--op", "update", "--mode", "logicalunit", "--tid",
                          "1", "--lun", str(lun), "--params", params, ok=ok)

    def send_on(self, port, reason="Temporary"):
        """Logins from now on, to 127.0.0.2 (tgt ignores its own address)."""
        for name, value in (("RedirectPort", str(port)),
                            ("RedirectReason", reason),
                            ("RedirectAddress", "127.0.0.2")):
            self.admin("--op", "update", "--mode", "target", "--tid", "1",
                       "--name", name, "--value", value)

    def put(self, lun, image):
        """Another medium while the target is away, or the drive is empty."""
        self.luns[lun] = (image, self.luns[lun][1])

    def kill(self):
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def restart(self):
        self.kill()
        self.start()
