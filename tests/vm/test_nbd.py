"""The kernel's own NBD client, with its own file systems on the export: files
are copied while the medium is pulled out from under them.

SPDX-License-Identifier: MIT
"""
import os
import shlex
import shutil
import time

import pytest

import pages
import pulls
from house import until, volumes

PULLS = 20
LONGER_THAN_THE_KERNELS_TIMER = 62      # it looks every 30 s
SEED = int(os.environ.get("REINSERT_SEED", "20"))


@pytest.fixture
def tree(machine, tmp_path):
    """In the folder that the guest sees as well."""
    folder = machine.path("tree")
    yield pulls.Tree(folder, PULLS + 2, SEED)
    shutil.rmtree(folder)


def serve_volume(serve, tmp_path, kind):
    """(service, image, [wrong media]): one volume, two drives with caches."""
    label = f"TREE-{kind.upper()}"
    image = pulls.empty_volume(str(tmp_path / "right.img"), kind, label, 32)
    wrong = [
        pulls.empty_volume(str(tmp_path / "other.img"), kind, "OTHER", 32),
        # Of the same name, and yet another one.
        pulls.empty_volume(str(tmp_path / "same.img"), kind, label, 32),
    ]
    service = serve({"left": {"type": "disk", "medium": image,
                              "cache": "volatile"},
                     "right": {"type": "disk", "cache": "volatile"}},
                    nbd=["tcp:127.0.0.1:0"])
    service.mounted(label)
    return service, label, image, wrong


def counts(machine):
    """What the kernel asked of /dev/nbd0 ever since: reads, writes, flushes."""
    stat = machine.run("cat /sys/block/nbd0/stat").split()
    return [int(stat[n]) for n in (0, 4, 15)]


def port_of(service):
    address = service.call("GET", "/v1/status")["service"]["nbd"][0]["address"]
    return address.rsplit(":", 1)[1]


def attach(machine, service, label, *options):
    line = pages.command("nbd-client 127.0.0.1 10809", host="10.0.2.2",
                         port=port_of(service), export=label)
    machine.run(f"{' '.join([line, *options])} && mkdir -p /mnt/v && "
                "until [ $(blockdev --getsize64 /dev/nbd0) != 0 ]; do "
                "sleep 0.1; done")
    return counts(machine)


def mount(kind):
    return pages.command("mount -t ext4", folder="/mnt/v").replace(
        "ext4", kind)


def detach(machine, before):
    """The requests since."""
    machine.run(pages.command("umount /mnt", folder="/mnt/v"))
    after = counts(machine)
    machine.run(pages.command("nbd-client -d /dev/nbd0"))
    return [a - b for a, b in zip(after, before)]


def copying(machine):
    def begin(part):
        return machine.begin(f"cp -r {shlex.quote(part)} /mnt/v/ && "
                             "sync -f /mnt/v")
    return begin


@pytest.fixture
def client(machine):
    """The machine, with nothing attached, before and after."""
    yield machine
    machine.begin("umount -f -l /mnt/v; nbd-client -d /dev/nbd0").wait()
    until(lambda: machine.begin("nbd-client -c /dev/nbd0").wait() != 0,
          "nothing attached")


@pytest.mark.parametrize("kind", ["ext4", "vfat"])
def test_files_are_copied_while_the_medium_is_pulled(
        client, serve, tmp_path, tree, kind):
    began = time.monotonic()
    service, label, image, wrong = serve_volume(serve, tmp_path, kind)
    before = attach(client, service, label)
    client.run(mount(kind))
    hands = pulls.Hands(service, image, SEED, wrong)
    pulls.copy_under(hands, tree, copying(client), PULLS,
                     LONGER_THAN_THE_KERNELS_TIMER if kind == "ext4" else 0)
    reads, writes, flushes = detach(client, before)
    said = hands.said()
    # vfat writes its last block without a flush: an idle volume gets one.
    until(lambda: hands.volume()["unflushed_bytes"] == 0, "flushed")
    service.stop()
    print(f"\n{kind}: seed {SEED}, {said}; {reads} reads, {writes} writes, "
          f"{flushes} flushes of the kernel; {len(tree.sums)} files, "
          f"{tree.bytes >> 10} KiB; {time.monotonic() - began:.0f} s",
          flush=True)
    assert pulls.fsck(image) is None
    assert tree.differences(image, tmp_path / "found") == []
    if kind == "ext4":
        assert "Possible stuck request" in client.run("dmesg"), "no long wait"
    assert hands.pulls == hands.prompts >= PULLS
    assert hands.offers > 0 and hands.untouched()
    assert hands.dirty > 0


def test_a_timeout_gives_up(client, serve, tmp_path):
    """Why docs/clients.md says: no -timeout."""
    service, label, _, _ = serve_volume(serve, tmp_path, "ext4")
    attach(client, service, label, "-timeout", "10")
    service.yank("left")
    job = client.begin("dd if=/dev/nbd0 of=/dev/null bs=4k skip=2000 count=1 "
                       "iflag=direct")
    service.says("prompt 1: ")
    assert job.wait() != 0 and "Input/output error" in job.output
    assert service.alive()


def test_a_disc_is_read_with_its_block_size(client, serve, tmp_path):
    """As docs/clients.md says; without it nothing can be read."""
    iso = volumes.make_iso(str(tmp_path / "disc.iso"), "DISC", 1)
    service = serve({"cd": {"type": "cdrom", "medium": iso}},
                    nbd=["tcp:127.0.0.1:0"])
    service.mounted("DISC")
    client.modprobe("isofs")
    line = pages.command("nbd-client -unix /run/reinsert/nbd.sock -N DISC ")
    line = line.replace("-unix /run/reinsert/nbd.sock",
                        f"10.0.2.2 {port_of(service)}")
    client.run(line.replace("/dev/nbd1", "/dev/nbd0"))
    client.run("mkdir -p /mnt/v && mount -t iso9660 /dev/nbd0 /mnt/v")
    assert client.run("wc -c </mnt/v/content.bin").strip() == str(1 << 20)
    client.run("umount /mnt/v")
    assert client.run("sha256sum </dev/nbd0").split()[0] == volumes.checksum(
        iso)


def test_P8_a_killed_service_is_a_power_cut(client, serve, tmp_path, tree):
    """What was synced is there when it was started, attached and mounted
    again; ext4 is clean."""
    service, label, image, _ = serve_volume(serve, tmp_path, "ext4")
    begin, synced = copying(client), []
    parts = tree.parts[:6]
    for done, broken in zip(parts[0::2], parts[1::2]):
        attach(client, service, label)
        client.run(mount("ext4"))
        begin(done).good()
        synced.append(done)
        job = begin(broken)
        until(lambda: service.volume(label)["unflushed_bytes"] or job.over(),
              "something to lose")
        service.process.kill()
        service.process.wait()
        service.process.stdout.close()
        # The kernel may wait for the answer to what it had sent, until it is
        # told that there will be none.
        client.run("nbd-client -d /dev/nbd0; true")
        job.wait()
        client.run("umount -l /mnt/v")
        until(lambda: client.begin("nbd-client -c /dev/nbd0").wait() != 0,
              "nothing attached")
        service.start()
        service.mounted(label)
    attach(client, service, label)
    client.run(mount("ext4"))
    client.run("cat /sys/block/nbd0/bdi/max_ratio")
    detach(client, [0, 0, 0])
    service.stop()
    assert pulls.fsck(image) is None
    wrong = tree.differences(image, tmp_path / "found")
    assert not [w for w in wrong if os.path.join(tree.folder, w).startswith(
        tuple(p + os.sep for p in synced))]
    print(f"\nkilled: seed {SEED}, {len(synced)} kills, {len(synced)} parts "
          f"synced before", flush=True)
