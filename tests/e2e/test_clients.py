"""The command lines of docs/clients.md, as they are printed there, wait for a
medium that is away; nbdfuse is in test_files.py, the kernel in tests/vm.

SPDX-License-Identifier: MIT
"""
import re
import subprocess
import threading

import pytest

import pages
from house import HANG, steady, until, volumes


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
            s.one_prompt("ARCHIVE-A")
            steady(lambda: client.poll() is None, "a client that waits", 1)
            s.insert("right", media.a)
            said, _ = client.communicate(timeout=HANG)
        finally:
            client.kill()
    assert client.returncode == 0, said
    assert volumes.checksum(media.a) == before


class QemuIo:
    """qemu-io on the export, one command after the other."""

    def __init__(self, service, *options):
        line = pages.command("qemu-io ", socket=service.nbd)
        words = re.sub(r"-c '.*'", "", line).split()
        words[-1] = ",".join([words[-1], *options])
        words += ["-t", "writeback"]    # else it flushes after each write
        self.process = subprocess.Popen(
            words, cwd=service.folder, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def begin(self, command):
        self.lines.clear()
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def good(self, done):
        until(lambda: any(done in line for line in self.lines)
              or self.process.poll() is not None, done)
        assert "failed" not in "".join(self.lines), self.lines
        assert self.process.poll() is None, self.lines

    def close(self):
        self.process.kill()
        self.process.wait()


def test_P8_qemu_goes_on_after_a_kill_and_misses_nothing(serve, media, clients,
                                                         tmp_path):
    """As the page says of reconnect-delay: with unflushed-log."""
    s = serve({"left": {"type": "disk", "medium": media.a,
                        "cache": "volatile"}},
              flush_idle="3600", unflushed_log=str(tmp_path / "log"))
    s.mounted("ARCHIVE-A")
    offset, _ = volumes.extent(media.a)
    qemu = QemuIo(s, "reconnect-delay=60")
    clients.append(qemu)
    for n in range(1, 4):
        qemu.begin(f"write -P {n} {offset + n * 65536} 65536")
        qemu.good("wrote 65536")
        s.process.kill()
        s.process.wait()
        s.process.stdout.close()
        s.start()
    for n in range(1, 4):
        qemu.begin(f"read -P {n} {offset + n * 65536} 65536")
        qemu.good("read 65536")
        assert "verification" not in "".join(qemu.lines), qemu.lines
