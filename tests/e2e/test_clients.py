"""The command lines of docs/clients.md, as they are printed there, wait for a
medium that is away; nbdfuse is in test_files.py, the kernel in tests/vm.

SPDX-License-Identifier: MIT
"""
import subprocess

import pytest

import pages
from house import SLOW, steady, volumes


@pytest.mark.parametrize("start", ["qemu-img ", "qemu-io ", "fio "])
def test_a_client_of_the_page_waits(serve, media, start):
    s = serve({"left": {"type": "disk", "medium": media.a},
               "right": {"type": "disk"}})
    s.mounted("ARCHIVE-A")
    before = volumes.checksum(media.a)
    s.yank("left")
    s.absent("ARCHIVE-A")
    line = pages.command(start, socket=s.nbd)
    assert s.nbd in line and "ARCHIVE-A" in line
    with subprocess.Popen(line, shell=True, cwd=s.folder, text=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as client:
        try:
            s.one_prompt("ARCHIVE-A", 10)
            steady(lambda: client.poll() is None, "a client that waits", 1)
            s.insert("right", media.a)
            said, _ = client.communicate(timeout=30 * SLOW)
        finally:
            client.kill()
    assert client.returncode == 0, said
    assert volumes.checksum(media.a) == before
