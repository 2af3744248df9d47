"""vm.py - a virtual machine: boot it, run commands in it, change its media

The guest runs Debian's kernel with the host's files as its root, read-only;
what is installed or built here is there, at the same path.  Both sides may
write to Machine.share, a folder with one name on both.  The host's loopback
is 10.0.2.2 in the guest, from Machine.network() on.

QEMU emulates the processor (there need be no KVM): everything takes ten times
as long as here, and longer where others use the machine.  It is ended by its
pid, and ends if this process does.

SPDX-License-Identifier: MIT
"""
import ctypes
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import threading
import time

HANG = 900.0        # nothing takes that long
PR_SET_PDEATHSIG = 1


class Failed(AssertionError):
    """A command in the guest; or the guest itself."""


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def connect(path, process):
    end = time.monotonic() + HANG
    while True:
        one = socket.socket(socket.AF_UNIX)
        try:
            one.connect(path)
            return one
        except OSError:
            one.close()
        if process.poll() is not None or time.monotonic() > end:
            raise Failed(f"QEMU did not open {path}")
        time.sleep(0.05)


class Lines:
    """Lines from a socket, with a time limit."""

    def __init__(self, sock):
        self.sock = sock
        self.rest = b""

    def get(self, seconds):
        """One line, or None when the time is over; '' at the end."""
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            left = max(0, end - time.monotonic())
            if not select.select([self.sock], [], [], left)[0]:
                return None
            piece = self.sock.recv(65536)
            if not piece:
                return ""
            self.rest += piece
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace") + "\n"


class Qmp:
    """QEMU's monitor; events are kept in .events."""

    def __init__(self, sock):
        self.sock = sock
        self.lines = Lines(sock)
        self.events = []
        self.lines.get(HANG)
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        """What it returns; Failed with what it says."""
        text = json.dumps({"execute": command, "arguments": arguments})
        self.sock.sendall(text.encode() + b"\n")
        while True:
            line = self.lines.get(HANG)
            if not line:
                raise Failed(f"QEMU does not answer {text}")
            reply = json.loads(line)
            if "event" in reply:
                self.events.append(reply)
            elif "error" in reply:
                raise Failed(f"{text}: {reply['error']['desc']}")
            else:
                return reply["return"]


class Command:
    """A script that runs in the guest."""

    def __init__(self, machine, number, script):
        self.machine = machine
        self.number = number
        self.script = script
        self.status = None

    @property
    def output(self):
        with open(self.machine.path(f"{self.number}.out"), encoding="utf-8",
                  errors="replace") as file:
            return file.read()

    def over(self):
        """Is it?  Looks at what the guest said since."""
        self.machine.listen(0)
        return self.status is not None

    def wait(self):
        """The exit status."""
        end = time.monotonic() + HANG
        while self.status is None:
            left = end - time.monotonic()
            if left < 0:
                raise Failed(f"in the guest, not within {HANG:g} s: "
                             f"{self.script}\n{self.output}")
            self.machine.listen(min(left, 1))
        return self.status

    def good(self):
        """Its output, of a command that must succeed."""
        if self.wait() != 0:
            raise Failed(f"in the guest, exit {self.status}: {self.script}\n"
                         f"{self.output}")
        return self.output


class Machine:
    """drives: {id: (kind, image)}, kind being cd, disk or usb; all removable.
    They are not there without any, and a cd's image may be None."""

    def __init__(self, kernel, folder, drives=None, memory=384):
        self.kernel = kernel
        self.folder = str(folder)
        self.share = os.path.join(self.folder, "share")
        os.makedirs(self.share)
        self.drives = drives or {}
        self.commands = {}
        self.count = 0
        self.nodes = 0
        self.medium = {}        # drive: its node, or None
        self.lock = threading.Lock()
        self.process = self._start(memory)
        try:
            self.qmp = Qmp(connect(self._sock("qmp"), self.process))
            self.agent = connect(self._sock("agent"), self.process)
            self.lines = Lines(self.agent)
            self.booted = self._boot()
        except BaseException:
            self.end()
            raise

    def _sock(self, name):
        return os.path.join(self.folder, f"{name}.sock")

    def _arguments(self, memory):
        cache = os.path.join(self.folder, "console")
        words = [
            "-nodefaults", "-no-user-config", "-no-reboot",
            "-display", "none", "-machine", "q35,accel=tcg", "-cpu", "max",
            "-smp", "1", "-m", str(memory),
            "-kernel", self.kernel.image,
            "-initrd", self.kernel.initrd(self.folder),
            "-append", "console=ttyS0 loglevel=5 panic=-1 tsc=unstable "
                       "no_timer_check "
                       f"rdinit=/init share={self.share}",
            "-chardev", f"file,id=console,path={cache}",
            "-serial", "chardev:console",
            "-qmp", f"unix:{self._sock('qmp')},server=on,wait=off",
            "-chardev", "socket,id=agent,server=on,wait=off,"
                        f"path={self._sock('agent')}",
            "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=agent,name=agent",
            "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net",
        ]
        for tag, path, more in (("host", "/", ",readonly=on"),
                                ("share", self.share, "")):
            words += ["-fsdev", f"local,id={tag},path={path},"
                                f"security_model=none,multidevs=remap{more}",
                      "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        return words + self._drives()

    def _drives(self):
        words = ["-device", "virtio-scsi-pci,id=scsi",
                 "-device", "qemu-xhci,id=xhci"] if self.drives else []
        for name, (kind, image) in self.drives.items():
            self.medium[name] = None
            if image is not None:
                node = self._node(image, kind == "cd")
                words += ["-blockdev", json.dumps(node)]
                self.medium[name] = node["node-name"]
            words += ["-device", json.dumps(self._device(name))]
        return words

    def _device(self, name):
        """As QEMU wants it; its serial number is its name in capitals."""
        kind = self.drives[name][0]
        words = {"id": name, "serial": name.upper(), **{
            "cd": {"driver": "scsi-cd", "bus": "scsi.0"},
            "disk": {"driver": "scsi-hd", "bus": "scsi.0", "removable": True},
            "usb": {"driver": "usb-storage", "bus": "xhci.0",
                    "removable": True},
        }[kind]}
        if self.medium[name] is not None:
            words["drive"] = self.medium[name]
        return words

    def _node(self, image, read_only):
        self.nodes += 1
        return {"driver": "raw", "node-name": f"medium{self.nodes}",
                "read-only": read_only,
                "file": {"driver": "file", "filename": str(image),
                         "read-only": read_only}}

    def _start(self, memory):
        with open(os.path.join(self.folder, "qemu.log"), "wb") as log:
            return subprocess.Popen(
                ["qemu-system-x86_64", *self._arguments(memory)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent)

    def _boot(self):
        """Seconds until it answers."""
        begin = time.monotonic()
        first = self.commands[0] = Command(self, 0, "boot")
        end = begin + HANG
        while first.status is None:
            if time.monotonic() > end or self.process.poll() is not None:
                raise Failed(f"the guest did not start:\n{self.console()}")
            self.listen(1)
        return time.monotonic() - begin

    # --- commands ---

    def path(self, name):
        """Of a file in the shared folder."""
        return os.path.join(self.share, name)

    def listen(self, seconds):
        """Takes what the guest says, for at most so long."""
        with self.lock:
            line = self.lines.get(seconds)
            while line:
                number, status = line.split()
                self.commands[int(number)].status = int(status)
                line = self.lines.get(0)
        if line == "":
            raise Failed(f"the guest is gone:\n{self.console()}")

    def begin(self, script):
        """Starts a shell script, of any length; does not wait for it."""
        with self.lock:
            self.count += 1
            one = self.commands[self.count] = Command(self, self.count, script)
        with open(self.path(f"{one.number}.cmd"), "w",
                  encoding="utf-8") as file:
            file.write(f"cd {shlex.quote(self.share)}\n{script}\n")
        with open(self.path(f"{one.number}.out"), "wb"):
            pass
        self.agent.sendall(b"%d\n" % one.number)
        return one

    def run(self, script):
        """The output of a script that succeeds."""
        return self.begin(script).good()

    def modprobe(self, *names):
        tree = shlex.quote(self.kernel.tree)
        self.run(f"for m in {' '.join(names)}; do modprobe -d {tree} "
                 f"-S {self.kernel.version} $m || exit; done")

    def network(self):
        self.modprobe("virtio_net")
        self.run("d=$(ls /sys/class/net | grep -v lo | head -1)\n"
                 "busybox ip addr add 10.0.2.15/24 dev $d\n"
                 "busybox ip link set $d up")

    # --- media ---

    def _qdev(self, drive):
        if self.drives[drive][0] == "usb":
            return f"/machine/peripheral/{drive}/{drive}.0/legacy[0]"
        return drive

    def pull(self, drive):
        """Takes the medium out, whether the guest wants it or not."""
        name = self._qdev(drive)
        self.qmp("blockdev-open-tray", id=name, force=True)
        self.qmp("blockdev-remove-medium", id=name)
        self._forget(drive)

    def take(self, drive):
        """Out of the drive that the guest opened."""
        self.qmp("blockdev-remove-medium", id=self._qdev(drive))
        self._forget(drive)

    def _forget(self, drive):
        node, self.medium[drive] = self.medium[drive], None
        if node is not None:
            self.qmp("blockdev-del", **{"node-name": node})

    def ask(self, drive):
        """Presses the button; a guest that has it locked is only asked."""
        self.qmp("blockdev-open-tray", id=self._qdev(drive), force=False)

    def put(self, drive, image):
        """Into the drive whose medium was pulled."""
        node = self._node(image, self.drives[drive][0] == "cd")
        self.qmp("blockdev-add", **node)
        self.medium[drive] = node["node-name"]
        name = self._qdev(drive)
        self.qmp("blockdev-insert-medium", id=name,
                 **{"node-name": node["node-name"]})
        self.qmp("blockdev-close-tray", id=name)

    def unplug(self, drive):
        """The stick itself, with what is in it."""
        self.qmp("device_del", id=drive)
        end = time.monotonic() + HANG
        while not any(e["event"] == "DEVICE_DELETED" and
                      e["data"].get("device") == drive
                      for e in self.qmp.events):
            if time.monotonic() > end:
                raise Failed(f"{drive} was not deleted")
            self.qmp("query-status")
            time.sleep(0.02)
        self.qmp.events.clear()

    def plug(self, drive):
        """The stick that was unplugged."""
        self.qmp("device_add", **self._device(drive))

    # --- the end ---

    def console(self, lines=60):
        text = ""
        for name in ("qemu.log", "console"):
            try:
                with open(os.path.join(self.folder, name), encoding="utf-8",
                          errors="replace") as file:
                    text += "".join(file.readlines()[-lines:])
            except OSError:
                pass
        return text

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
