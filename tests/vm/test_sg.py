"""The service in the guest, on the guest's own drives, through SG_IO: media
are changed over QEMU's monitor under the kernel's NBD client, whose file
systems are mounted.

SPDX-License-Identifier: MIT
"""
import hashlib
import os
import shlex
import shutil
import time

import pytest

import pages
import pulls
from guest import Guest, refusal
from house import bytes_at, until, volumes

SEED = int(os.environ.get("REINSERT_SEED", "20"))
DEFAULT_POLL = "/sys/module/block/parameters/events_dfl_poll_msecs"
NBD = {"cd": "/dev/nbd1", "hd": "/dev/nbd2", "usb": "/dev/nbd3"}
QEMU = {"cd": "cd0", "hd": "hd0", "usb": "usb0"}
KINDS = {"hd": "ext4", "usb": "vfat"}
ALL = {"cd": {"port": "sg", "match": "serial:CD0"},
       "hd": {"port": "sg", "match": "serial:HD0"},
       "usb": {"port": "sg", "match": "serial:USB0"}}


def owned(**drives):
    return {name: {**keys, "own": "yes"} for name, keys in drives.items()}


def drivers(machine):
    """{QEMU's model and address: the kernel's driver, or ""}"""
    text = machine.run(
        "for d in /sys/class/scsi_generic/*/device; do "
        "n=$(readlink $d/driver); echo $(cat $d/type) ${n##*/}; done")
    return sorted(text.split("\n")[:-1])


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    """{drive: [right, wrong]}; none of them in a drive yet."""
    folder = tmp_path_factory.mktemp("sg")
    made = {"cd": [volumes.make_iso(str(folder / "r.iso"), "SG-CD", 4),
                   volumes.make_iso(str(folder / "w.iso"), "OTHER-CD", 4)]}
    for drive, kind in KINDS.items():
        made[drive] = [
            pulls.empty_volume(str(folder / f"{drive}{n}.img"), kind, label,
                               24)
            for n, label in enumerate([f"SG-{drive.upper()}",
                                       f"OTHER-{drive.upper()}"])]
    return made


@pytest.fixture(scope="module")
def guest(machine, media):
    """The machine, with the right media in its drives, and polling as under
    udev."""
    machine.modprobe("virtio_scsi", "xhci_pci", "usb_storage", "sg", "sr_mod",
                     "sd_mod", "isofs")
    until(lambda: drivers(machine) == ["0 sd", "0 sd", "5 sr"],
          "three drives in the guest")
    for drive, (right, _) in media.items():
        machine.pull(QEMU[drive])
        machine.put(QEMU[drive], right)
    machine.run(f"echo 2000 >{DEFAULT_POLL}")
    yield machine
    machine.run(f"echo 0 >{DEFAULT_POLL}")


@pytest.fixture
def serve(guest):
    """serve(name, drives, prefix): ended with the test."""
    made = []

    def start(name, drives, prefix=""):
        made.append(Guest(guest, name, drives, prefix))
        return made[-1]

    yield start
    for one in made:
        one.end()


@pytest.fixture
def tree(guest):
    folder = guest.path("sg-tree")
    yield pulls.Tree(folder, 8, SEED, 6)
    shutil.rmtree(folder)


def test_who_else_would_be_told_is_named(guest):
    refusal(guest, "polled", {"hd": ALL["hd"]}, "driver sd", "2000 ms",
            "own = yes")
    node = guest.run("ls /sys/class/scsi_generic/*/device/block | grep sr"
                     ).strip()
    guest.run(f"mkdir -p /mnt/sg && mount -o ro /dev/{node} /mnt/sg")
    refusal(guest, "mounted", owned(cd=ALL["cd"]),
            f"{node} is mounted on /mnt/sg")
    guest.run("umount /mnt/sg")
    job = guest.begin(f"exec 3</dev/{node}; echo $$; exec sleep 36000")
    pid = until(lambda: job.output.strip(), "a process")
    refusal(guest, "opened", owned(cd=ALL["cd"]),
            f"/dev/{node} is open in process {pid} (sleep)")
    guest.run(f"kill {pid}")
    job.wait()
    refusal(guest, "nobody", owned(hd={**ALL["hd"], "match": "serial:NONE"}),
            "no drive that matches serial:NONE")
    assert drivers(guest) == ["0 sd", "0 sd", "5 sr"]


def test_who_lets_go_of_a_drive_is_heard_of(guest, serve):
    """A mount that only another namespace sees, then a process."""
    node = guest.run("ls /sys/class/scsi_generic/*/device/block | grep sr"
                     ).strip()
    go = guest.path("go")
    other = guest.begin(
        "mkdir -p /mnt/sg; exec unshare -m sh -c "
        f"'mount -o ro /dev/{node} /mnt/sg && echo mounted $$; "
        f"while [ ! -e {go} ]; do sleep 0.2; done; exec 3</dev/{node}; "
        "umount /mnt/sg && echo open; "
        f"while [ -e {go} ]; do sleep 0.2; done; exec 3<&-; sleep 36000'")
    until(lambda: "mounted" in other.output, "a mount")
    assert node not in guest.run("cat /proc/mounts")
    service = serve("letgo", owned(cd=ALL["cd"]))
    service.wait(lambda s: f"{node} is mounted on /mnt/sg for process" in
                 s["drives"][0]["changes_why"], "who has it")
    assert drivers(guest) == ["0 sd", "0 sd", "5 sr"]
    with open(go, "w", encoding="utf-8"):
        pass
    until(lambda: "open" in other.output, "an open node")
    service.wait(lambda s: f"/dev/{node} is open in process" in
                 s["drives"][0]["changes_why"], "who has it")
    os.unlink(go)
    service.mounted("SG-CD")
    service.stop()
    guest.run(f"kill {other.output.split()[1]}")
    other.wait()
    assert drivers(guest) == ["0 sd", "0 sd", "5 sr"]


def node_of(guest, what):
    """The block device's name, of the one drive whose folder in sysfs `what`
    (a condition of the shell) is true of."""
    return guest.run("for d in /sys/class/scsi_generic/*/device; do "
                     f"if {what}; then ls $d/block; fi; done").strip()


CD = "[ $(cat $d/type) = 5 ]"
HD = "grep -aqs HD0 $d/vpd_pg80"


def test_what_the_kernel_holds_without_a_word_is_not_taken(
        guest, media, tmp_path):
    """A journal of a file system on another disk is no mount, no holder, and no
    process; a loop device does not even have the disk alone."""
    guest.modprobe("loop", "ext4")
    blank = str(tmp_path / "blank.img")
    with open(blank, "wb") as file:
        file.truncate(24 << 20)
    guest.pull("hd0")
    guest.put("hd0", blank)
    node = node_of(guest, HD)
    guest.run(f"blockdev --rereadpt /dev/{node}; "
              f"mke2fs -q -b 1024 -O journal_dev /dev/{node} && "
              "truncate -s 24M /run/fs.img && "
              f"mke2fs -q -b 1024 -J device=/dev/{node} /run/fs.img && "
              "mkdir -p /mnt/other && mount -o loop /run/fs.img /mnt/other")
    refusal(guest, "journal", owned(hd=ALL["hd"]),
            f"{node} is somebody's alone")
    bound = drivers(guest)
    guest.run("umount /mnt/other; rm /run/fs.img")
    guest.pull("hd0")
    guest.put("hd0", media["hd"][0])
    assert bound == ["0 sd", "0 sd", "5 sr"]
    disc = node_of(guest, CD)
    loop = guest.run(f"losetup -r -f --show /dev/{disc}").strip()
    refusal(guest, "loop", owned(cd=ALL["cd"]),
            f"{loop[5:]} is a loop over /dev/{disc}")
    guest.run(f"losetup -d {loop}")
    assert drivers(guest) == ["0 sd", "0 sd", "5 sr"]


OPENS = """
import ctypes, os, select, sys, time
libc = ctypes.CDLL(None)
fd = libc.inotify_init1(0)
for path in sys.argv[1:]:
    assert libc.inotify_add_watch(fd, path.encode(), 0x20) >= 0    # IN_OPEN
told, end = [], time.monotonic() + 8
while select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
    events = os.read(fd, 65536)
    told += [sys.argv[events[at]] for at in range(0, len(events), 16)]
print(len(told), told[:4])
"""


def test_who_waits_for_a_drive_in_use_does_not_wake_others(guest, serve):
    """Two services want a disc that is mounted: each is told when a node of it
    is closed, so neither may open one only to be refused."""
    disc = node_of(guest, CD)
    sg = guest.run(f"ls /sys/class/block/{disc}/device/scsi_generic").strip()
    guest.run(f"mkdir -p /mnt/sg && mount -o ro /dev/{disc} /mnt/sg")
    for name in ("one", "two"):
        serve(name, owned(cd=ALL["cd"])).wait(
            lambda s: f"{disc} is mounted on /mnt/sg" in
            s["drives"][0]["changes_why"], "who has it")
    with open(guest.path("opens.py"), "w", encoding="utf-8") as file:
        file.write(OPENS)
    opens = guest.run(f"/usr/bin/python3 {guest.path('opens.py')} "
                      f"/dev/{disc} /dev/{sg}")
    guest.run("umount /mnt/sg")
    assert opens.strip() == "0 []"


def test_two_services_hand_a_drive_over(guest, serve):
    """Both call it the same.  The second is told who has it, takes it when the
    first ends, politely or not, and gives it back."""
    first = serve("first", owned(cd=ALL["cd"]))
    first.mounted("SG-CD")
    for name, end in ("second", "stop"), ("third", "kill"):
        second = serve(name, owned(cd=ALL["cd"]))
        second.wait(lambda s: f"open in process {pid_of(guest, first)}" in
                    s["drives"][0]["changes_why"], "who has it")
        getattr(first, end)()
        second.mounted("SG-CD")
        assert drivers(guest) == ["0 sd", "0 sd", "5"]
        first = second
    # What one that was killed took, and this one found without a driver.
    first.stop()
    serve("fourth", {"d": {"type": "disk"}})
    assert drivers(guest) == ["0 sd", "0 sd", "5 sr"]
    assert guest.run("ls /run/reinsert/own") == ""


def pid_of(guest, service):
    return guest.run(f"cat {service.pid}").strip()


def test_a_driver_that_comes_back_and_is_mounted_takes_the_drive(guest, serve):
    """Somebody binds it and mounts it before the service can do a thing: from
    then on it is theirs, and ours again when they let go of it."""
    service = serve("theirs", owned(cd=ALL["cd"]))
    service.mounted("SG-CD")
    guest.run(f"kill -STOP $(cat {service.pid})")
    guest.run("for d in /sys/class/scsi_generic/*/device; do "
              f"if {CD}; then basename $(readlink -f $d) "
              ">/sys/bus/scsi/drivers/sr/bind; fi; done")
    disc = node_of(guest, CD)
    guest.run(f"mkdir -p /mnt/sg && mount -o ro /dev/{disc} /mnt/sg; "
              f"kill -CONT $(cat {service.pid})")
    service.wait(lambda s: s["drives"][0]["state"] == "away" and
                 f"{disc} is mounted on /mnt/sg" in
                 s["drives"][0]["changes_why"], "who has it")
    assert "5 sr" in drivers(guest)
    guest.run("umount /mnt/sg")
    service.mounted("SG-CD")
    assert "5" in drivers(guest)
    service.stop()
    assert drivers(guest) == ["0 sd", "0 sd", "5 sr"]
    assert guest.run("ls /run/reinsert/own") == ""


class Client:
    """The guest's kernel, with one volume of the service."""

    def __init__(self, guest, service, drive, label):
        self.guest, self.drive, self.node = guest, drive, NBD[drive]
        self.folder = f"/mnt/{drive}"
        size = "-b 2048" if drive == "cd" else ""
        guest.run(f"nbd-client -unix {service.nbd} -N {label} {size} "
                  f"{self.node} && until [ $(blockdev --getsize64 "
                  f"{self.node}) != 0 ]; do sleep 0.1; done")

    def mount(self):
        line = pages.command("mount -t ext4", folder=self.folder)
        line = line.replace("ext4", KINDS[self.drive]).replace(
            "/dev/nbd0", self.node)
        self.guest.run(f"mkdir -p {self.folder} && {line}")

    def copy(self, part):
        return self.guest.begin(
            f"cp -r {shlex.quote(part)} {self.folder}/ && "
            f"sync -f {self.folder}")

    def detach(self):
        self.guest.run(f"umount {self.folder}; nbd-client -d {self.node}")


def in_the_middle(service, job, label):
    until(lambda: job.over() or service.volume(label)["unflushed_bytes"] > 0,
          "something to lose")


class Hands:
    """What a person does to one drive while a client writes to it."""

    def __init__(self, guest, service, drive, media, client, tree):
        self.guest, self.service, self.drive = guest, service, drive
        self.right, self.wrong = media[drive]
        self.disc = volumes.checksum(media["cd"][0])
        self.label = f"SG-{drive.upper()}"
        self.client, self.parts = client, list(tree.parts)
        self.told = []

    def copy(self):
        """Of one part; of the last one as often as it takes."""
        part = self.parts.pop(0) if len(self.parts) > 1 else self.parts[0]
        return self.client.copy(part)

    def during_a_copy(self, what):
        """`what` is done to the medium; a question, and `back` ends it."""
        jobs = [self.copy()]
        in_the_middle(self.service, jobs[0], self.label)
        began = time.monotonic()
        back = what()

        def goes_on():
            if jobs[-1].over():
                jobs.append(self.copy())
        prompt = self.service.question(self.label, anyhow=goes_on)
        self.told.append((what.__name__, prompt["text"],
                          time.monotonic() - began))
        # P4: another volume is read while this one waits.
        got = self.guest.run(f"nbdcopy 'nbd+unix:///SG-CD?socket="
                             f"{self.service.nbd}' - | sha256sum")
        assert got.split()[0] == self.disc
        back(prompt)
        self.service.mounted(self.label)
        self.service.no_question()
        for job in jobs:
            job.good()

    def put_right(self, _prompt=None):
        self.guest.put(QEMU[self.drive], self.right)

    def forced(self):
        self.guest.pull(QEMU[self.drive])
        return self.put_right

    def other_medium(self):
        """It is refused, and untouched."""
        self.guest.pull(QEMU[self.drive])
        before = volumes.checksum(self.wrong)
        self.guest.put(QEMU[self.drive], self.wrong)

        def back(prompt):
            seen = self.service.wait(
                lambda s: any(d["name"] == self.drive and d["state"] == "ready"
                              for d in s["drives"]), "the wrong medium")
            assert [p["id"] for p in seen["prompts"]] == [prompt["id"]]
            assert self.service.volume(self.label)["state"] == "absent"
            self.guest.pull(QEMU[self.drive])
            assert volumes.checksum(self.wrong) == before
            self.put_right()
        return back

    def polite(self):
        self.service.do("eject", self.drive)
        self.guest.take(QEMU[self.drive])
        assert pulls.fsck(self.right) is None or KINDS[self.drive] == "vfat"
        return self.put_right

    def unplugged(self):
        self.guest.unplug(QEMU[self.drive])

        def back(_prompt):
            self.service.question(self.label, "Connect the drive again")
            assert self.service.drive(self.drive)["state"] == "away"
            self.guest.plug(QEMU[self.drive])
        return back


WHAT = {"hd": ["forced", "other_medium", "polite"],
        "usb": ["forced", "other_medium", "unplugged"]}


@pytest.mark.parametrize("drive", KINDS)
def test_P1_P3_P4_files_are_copied_while_media_change(
        guest, serve, media, tree, tmp_path, drive):
    began = time.monotonic()
    service = serve(f"sg{drive}", owned(**ALL))
    label = f"SG-{drive.upper()}"
    service.mounted(label)
    assert drivers(guest) == ["0", "0", "5"], "drivers of the kernel remain"
    client = Client(guest, service, drive, label)
    client.mount()
    hands = Hands(guest, service, drive, media, client, tree)
    for what in WHAT[drive]:
        hands.during_a_copy(getattr(hands, what))
    for part in hands.parts:
        client.copy(part).good()
    client.detach()
    service.stop()
    for name, text, seconds in hands.told:
        print(f"\n{drive} {name}: after {seconds:.1f} s: {text}", end="")
    print(f"\n{drive}: seed {SEED}, {len(tree.sums)} files, "
          f"{tree.bytes >> 10} KiB; {time.monotonic() - began:.0f} s",
          flush=True)
    assert drivers(guest) == ["0 sd", "0 sd", "5 sr"], "not put back"
    assert pulls.fsck(media[drive][0]) is None
    assert tree.differences(media[drive][0], tmp_path / "found") == []


def test_P5_cancel_means_cancel(guest, serve, media):
    """What a cancelled write would have changed is not changed."""
    service = serve("sgcancel", owned(hd=ALL["hd"]))
    service.mounted("SG-HD")
    client = Client(guest, service, "hd", "SG-HD")
    guest.pull("hd0")
    before = volumes.checksum(media["hd"][0])
    job = guest.begin(f"dd if=/dev/urandom of={client.node} bs=64k count=16 "
                      "seek=64 oflag=direct")
    prompt = service.question("SG-HD")
    service.do("answer", str(prompt["id"]), "cancel")
    assert job.wait() != 0 and "Input/output error" in job.output
    client.detach()
    guest.put("hd0", media["hd"][0])
    service.stop()
    assert volumes.checksum(media["hd"][0]) == before


def test_a_disc_is_read_while_it_is_exchanged_and_asked_for(
        guest, serve, media):
    right, wrong = media["cd"]
    service = serve("sgcd", owned(cd=ALL["cd"]))
    service.mounted("SG-CD")
    client = Client(guest, service, "cd", "SG-CD")
    want = hashlib.sha256(bytes_at(right, 0, 64 * 65536)).hexdigest()

    job = read_on(guest, client.node)
    guest.pull("cd0")
    guest.run("touch read-on")
    service.question("SG-CD")
    guest.put("cd0", wrong)
    service.mounted("OTHER-CD")
    assert service.volume("SG-CD")["state"] == "absent" and not job.over()
    guest.pull("cd0")
    guest.put("cd0", right)
    assert job.good().split()[-2] == want

    # The button: the drive asks, the service opens it.
    job = read_on(guest, client.node)
    guest.ask("cd0")
    until(lambda: opened(guest, "cd0"), "an open tray")
    guest.take("cd0")
    guest.run("touch read-on")
    service.question("SG-CD")
    guest.put("cd0", right)
    assert job.good().split()[-2] == want
    guest.run(f"nbd-client -d {client.node}")


def read_on(guest, node):
    """The disc, past the page cache; a hand is waited for in the middle."""
    guest.run("rm -f read-on")
    part = (f"dd if={node} bs=64k count=1 skip=$n iflag=direct status=none; "
            "done")
    job = guest.begin(f"(for n in $(seq 0 31); do {part}; echo half >&2; "
                      "until [ -e read-on ]; do sleep 0.1; done; "
                      f"for n in $(seq 32 63); do {part}) | sha256sum")
    until(lambda: "half" in job.output, "half of it")
    return job


def opened(guest, drive):
    found = [b for b in guest.qmp("query-block")
             if (b.get("qdev") or "").split("/")[-1] == drive or
             b.get("qdev") == drive]
    return found and found[0].get("tray_open")


def test_P1_P3_beside_the_kernels_driver(guest, serve, media):
    """own = shared: sd stays and polls every 2 s, so that either of us may be
    told of a new medium.  Nothing is read from or written to a wrong one."""
    right, wrong = media["hd"]
    service = serve("sgshared", {"hd": {**ALL["hd"], "own": "shared"}})
    assert drivers(guest) == ["0 sd", "0 sd", "5 sr"]
    service.mounted("SG-HD")
    client = Client(guest, service, "hd", "SG-HD")
    before = volumes.checksum(wrong)
    for turn in range(3):
        write = (f"dd if=/dev/zero bs=64k count=1 status=none | tr '\\0' "
                 f"{turn} | dd of={client.node} bs=64k seek=200 oflag=direct "
                 f"status=none")
        guest.run(write)
        guest.pull("hd0")
        guest.run("sleep 1")    # no hand is faster
        guest.put("hd0", wrong)
        # Each turn another while for the kernel to be told first.
        guest.run(f"sleep {turn}")
        job = guest.begin(write)
        service.question("SG-HD")
        service.mounted("OTHER-HD")
        assert not job.over() and volumes.checksum(wrong) == before
        guest.pull("hd0")
        guest.put("hd0", right)
        job.good()
        service.no_question()
        assert bytes_at(right, 200 * 65536, 65536) == b"%d" % turn * 65536
    assert volumes.checksum(wrong) == before
    guest.run(f"nbd-client -d {client.node}")
    service.stop()
    assert drivers(guest) == ["0 sd", "0 sd", "5 sr"]


def test_a_killed_service_leaves_a_note(guest, serve):
    """The next start puts back what it took, before it takes it again."""
    service = serve("sgkill", owned(**ALL))
    service.mounted("SG-HD")
    service.kill()
    assert drivers(guest) == ["0", "0", "5"]
    service.start()
    service.mounted("SG-HD")
    service.kill()
    assert drivers(guest) == ["0", "0", "5"]
    # ... also one that has no such drives.
    serve("sgother", {"d": {"type": "disk"}})
    assert drivers(guest) == ["0 sd", "0 sd", "5 sr"]
    assert guest.run("ls /run/reinsert/own") == ""


def test_without_privileges(guest, serve, media):
    """A user with the device group and no capability; what needs more says
    which."""
    nobody = ("setpriv --reuid 65534 --regid 65534 --groups 6 --inh-caps -all "
              "--bounding-set -all --no-new-privs")
    guest.run("chown root:disk /dev/sg*; chmod 660 /dev/sg*")
    refusal(guest, "sgown", owned(hd=ALL["hd"]), "CAP_DAC_OVERRIDE",
            prefix=nobody)
    other = nobody.replace("--groups 6", "--clear-groups")
    refusal(guest, "sggroup", {"hd": ALL["hd"]}, "group disk",
            "needs no capability", prefix=other)
    refusal(guest, "sgbound", ALL, "own = yes", prefix=nobody)
    # Root sends the drivers away, once; then nothing is needed.
    each = ("for d in /sys/class/scsi_generic/*/device; do "
            "h=$(basename $(readlink -f $d)); "
            "[ $(cat $d/type) = 5 ] && k=sr || k=sd; "
            "echo $h >/sys/bus/scsi/drivers/$k/%s; done")
    guest.run(each % "unbind")
    try:
        service = serve("sguser", ALL, nobody)
        for drive in ALL:
            service.mounted(f"SG-{drive.upper()}")
        caps = guest.run(f"grep -E 'Cap(Eff|Bnd)|^Uid' /proc/$(cat "
                         f"{service.pid})/status")
        assert caps.count("0000000000000000") == 2 and "65534" in caps
        got = guest.run(f"nbdcopy 'nbd+unix:///SG-CD?socket={service.nbd}' - "
                        "| sha256sum")
        assert got.split()[0] == volumes.checksum(media["cd"][0])
        client = Client(guest, service, "hd", "SG-HD")
        guest.run("printf reinsert | dd of=" + client.node + " bs=64k seek=300 "
                  "conv=sync oflag=direct status=none")
        guest.run(f"nbd-client -d {client.node}")
        service.stop()
        assert bytes_at(media["hd"][0], 300 << 16, 8) == b"reinsert"
    finally:
        guest.run(each % "bind")


def test_what_the_same_pull_does_without_us(guest, tree, tmp_path, media):
    """The contrast: the kernel's own mount of the stick loses it all, and
    nobody is told."""
    right = media["usb"][0]
    node = guest.run("ls /sys/class/scsi_generic/*/device/block | grep sd | "
                     "tail -1").strip()
    guest.run(f"mkdir -p /mnt/bare && mount -t vfat /dev/{node} /mnt/bare && "
              "rm -rf /mnt/bare/* && sync")
    part = shlex.quote(tree.parts[0])
    guest.pull("usb0")
    job = guest.begin(f"cp -r {part} /mnt/bare/; echo write $?; sync; "
                      "echo sync $?; umount /mnt/bare; echo umount $?")
    job.wait()
    said = job.output
    guest.put("usb0", right)
    lost = tree.differences(right, tmp_path / "found")
    lost = [name for name in lost if name.startswith("part 00")]
    print("\nthe stick pulled under the kernel's own mount: "
          f"{', '.join(said.split(chr(10))[:-1])}; {len(lost)} of "
          f"{len([n for n in tree.sums if n.startswith('part 00')])} files "
          "lost; with us: none, as above", flush=True)
    assert "write 0" in said and "sync 0" in said and "umount 0" in said
    assert lost
