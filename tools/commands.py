#!/usr/bin/python3
"""commands.py [--check] - docs/commands.md from src/base/cdbs.def

Writes the page; --check says whether the page is what would be written, and
whether the rows are the commands that the drivers here send: no more, and no
fewer (exit status 1 when not).

SPDX-License-Identifier: MIT
"""
import glob
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(TOP, "docs", "commands.md")
ROW = re.compile(r"^CDB_ROW\((0x\w\w), (\d+), ([^,]+), ([^,]+), "
                 r"([^\"]+?),\s+\"([^\"]+)\"\)", re.M)

HEAD = """\
# The commands that a real drive is sent

Made by `tools/commands.py` from `src/base/cdbs.def`, which the ports (`port = iscsi`, `port = sg`), `reinsert probe` and
`reinsert drives` read, too. `reinsert commands` prints it.

Nothing else is ever sent to a drive of an iSCSI target or of this machine: nothing of a vendor's, no firmware, whoever
asks for it. A driver or a program (IOCTL_SCSI_PASS_THROUGH and _DIRECT) that asks for another command gets
SRB_STATUS_INVALID_REQUEST, which becomes STATUS_INVALID_DEVICE_REQUEST; `reinsert errors` tells of it, once for each
drive and command, by name. Each command is for the kinds of devices named with it, until a unit has said what it is for
any of them. Where service actions are named, those alone. An emulated drive takes whatever it knows.

*service* is the stack, *probe* is `reinsert probe` and `reinsert drives --discover`, which leave a medium as it is.
*asked*: only to a device that says itself (REPORT SUPPORTED OPERATION CODES) that it knows the command as a standard has it.
E7h is the one code here that SAM leaves to makers: old changers and the WDK (SCSIOP_INIT_ELEMENT_RANGE) have it for what
SMC-2 has as 37h. It is used where 37h is not known, when somebody wants an inventory of a part of the elements.

| | command | bytes | devices | sent by | service actions |
|---|---|---|---|---|---|
"""

NEVER = """
## Not sent, and told by name

"""


def rows():
    with open(os.path.join(TOP, "src/base/cdbs.def"), encoding="ascii") as f:
        text = f.read()
    found = [(int(m[0], 16), int(m[1]), m[2], m[3], m[4].strip(), m[5])
             for m in ROW.findall(text)]
    assert len(found) == len(re.findall(r"^CDB_ROW", text, re.M)) , "a row"
    assert found == sorted(found), "rows are by operation code"
    return found


def words(names):
    return ", ".join("all" if n == "EVERY" else "CD" if n == "CDROM" else
                     n.lower() for n in names.split(" | "))


def page():
    text = HEAD
    for code, length, kinds, who, actions, name in rows():
        if who != "NOBODY":
            actions = ", ".join(f"{int(a, 16):02X}h" for a in
                                re.findall(r"ACTION\((\w+)\)", actions))
            text += (f"| {code:02X}h | {name} | {length} | {words(kinds)} | "
                     f"{words(who)} | {actions} |\n")
    never = [f"{name} ({code:02X}h)"
             for code, _, _, who, _, name in rows() if who == "NOBODY"]
    return text + NEVER + ",\n".join(
        ", ".join(never[i:i + 4]) for i in range(0, len(never), 4)) + ".\n"


# How a command is put into a CDB.
PUTS = re.compile(r"[cC]db\[0\] =|[cC]db(?:\[\d+\])? = \{|_cdb\(|"
                  r"range_opcode =|reservation\(")


def codes():
    with open(os.path.join(TOP, "include/nt/scsi.h"), encoding="ascii") as f:
        return {n: int(v, 16) for n, v in
                re.findall(r"#define (SCSIOP_\w+)\s+(0x\w\w)\b", f.read())}


def sent():
    """The operation codes that the sources of the service put into CDBs."""
    by_name, found = codes(), {}
    for top in ("src/class", "src/drivers", "src/tape", "src/stack",
                "src/port"):
        for path in glob.glob(os.path.join(TOP, top, "**", "*.c"),
                              recursive=True) + [
                os.path.join(TOP, "src/probe/units.c")]:  # the service's, too
            with open(path, encoding="ascii") as f:
                text = f.read()
            text = re.sub(r"case [^:]+:|[!=]= ?SCSIOP_\w+|/\*.*?\*/", "",
                          text, flags=re.S)
            for statement in text.split(";"):
                if not PUTS.search(statement):
                    continue
                for n in re.findall(r"SCSIOP_\w+", statement):
                    found.setdefault(by_name[n], path)
                for n in re.findall(r"[cC]db(?:\[0\]|\[\d+\])? = "
                                    r"(?:\{ ?)?(0x\w\w)", statement):
                    found.setdefault(int(n, 16), path)
            # Rows of commands.
            for n in re.findall(r"\{\s*(SCSIOP_\w+)\b", text):
                found.setdefault(by_name[n], path)
            for n in re.findall(r"#define RANGE_\w+\s+(0x\w\w)", text):
                found.setdefault(int(n, 16), path)
    return found


def check():
    good = True
    with open(PAGE, encoding="utf-8") as f:
        if f.read() != page():
            print("docs/commands.md is not what tools/commands.py writes")
            good = False
    used = sent()
    listed = {r[0]: r for r in rows() if "SERVICE" in r[3]}
    for code in sorted(set(used) - set(listed)):
        print(f"{code:02X}h is sent by {os.path.relpath(used[code], TOP)}, "
              "and has no row")
        good = False
    for code in sorted(set(listed) - set(used)):
        print(f"{code:02X}h ({listed[code][5]}) has a row, and nobody sends it")
        good = False
    return good


def main():
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if check() else 1)
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(page())


if __name__ == "__main__":
    main()
