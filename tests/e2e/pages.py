"""pages.py - the command lines of docs/clients.md, for the tests that run them

SPDX-License-Identifier: MIT
"""
import os
import re

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                    "docs", "clients.md")


def command(start, **others):
    """The one line of the page that starts so, a command of a block or of the
    text; its names are replaced: NAME = with what."""
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    lines = []
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S):
        lines += block.splitlines()
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text,
                                               flags=re.S))
    found = {line for line in lines if line.startswith(start)}
    assert len(found) == 1, f"docs/clients.md: {start}: {found}"
    line = found.pop().removesuffix(" &")
    names = {"port": "10809", "host": "127.0.0.1", "export": "ARCHIVE-A",
             "socket": "/run/reinsert/nbd.sock", "folder": "/mnt/archive",
             "file": "/mnt/nbd/archive", "files": "/mnt/nbd"}
    for name in ("port", "host", "export", "socket", "file", "files",
                 "folder"):
        if name in others:
            line = line.replace(names[name], str(others[name]))
    return line
