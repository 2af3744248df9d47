"""The kernel's own NBD client, with its own file systems on the export: files
are copied while the medium is pulled out from under them.

SPDX-License-Identifier: MIT
"""
import os
import shlex
import shutil
import time

import pytest

import pulls
from house import until

PULLS = 20
LONGER_THAN_THE_KERNELS_TIMER = 36      # it looks every 30 s
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


def attach(machine, service, label, *options):
    address = service.call("GET", "/v1/status")["service"]["nbd"][0]["address"]
    port = address.rsplit(":", 1)[1]
    machine.run(f"nbd-client 10.0.2.2 {port} -N {label} /dev/nbd0 "
                f"{' '.join(options)} && mkdir -p /mnt/v && "
                "until [ $(blockdev --getsize64 /dev/nbd0) != 0 ]; do "
                "sleep 0.1; done")
    return counts(machine)


def detach(machine, before):
    """The requests since."""
    machine.run("umount /mnt/v", 120)
    after = counts(machine)
    machine.run("nbd-client -d /dev/nbd0")
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
          "nothing attached", 30)


@pytest.mark.parametrize("kind", ["ext4", "vfat"])
def test_files_are_copied_while_the_medium_is_pulled(
        client, serve, tmp_path, tree, kind):
    began = time.monotonic()
    service, label, image, wrong = serve_volume(serve, tmp_path, kind)
    before = attach(client, service, label)
    client.run(f"mount -t {kind} /dev/nbd0 /mnt/v", 60)
    hands = pulls.Hands(service, image, SEED, wrong)
    pulls.copy_under(hands, tree, copying(client), PULLS,
                     LONGER_THAN_THE_KERNELS_TIMER if kind == "ext4" else 0)
    reads, writes, flushes = detach(client, before)
    said = hands.said()
    # vfat writes its last block without a flush: an idle volume gets one.
    until(lambda: hands.volume()["unflushed_bytes"] == 0, "flushed", 10)
    service.stop()
    print(f"\n{kind}: seed {SEED}, {said}; {reads} reads, {writes} writes, "
          f"{flushes} flushes of the kernel; {len(tree.sums)} files, "
          f"{tree.bytes >> 10} KiB; {time.monotonic() - began:.0f} s",
          flush=True)
    assert pulls.fsck(image) is None
    assert tree.differences(image, tmp_path / "found") == []
    assert hands.pulls == hands.prompts == PULLS
    assert hands.offers > 0 and hands.untouched()
    assert hands.dirty > 0
