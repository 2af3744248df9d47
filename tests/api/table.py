"""table.py TOP BUILD - the routine table against headers and libraries

What api/README.md promises is checked here; every breach is a line.

SPDX-License-Identifier: MIT
"""
import glob
import os
import re
import subprocess
import sys

STATES = ("done", "partial", "absent")
ROW = re.compile(r"^(\w+)\s+(\S+)(?:\s+(.*))?$")
DECLARED = (
    # routines, inline routines, macros that stand for routines
    re.compile(r"(?:NTAPI|FASTCALL)\s+([A-Z]\w*[a-z]\w*)\s*\("),
    re.compile(r"FORCEINLINE\s+[\w ]+\*?\s*\n\s*([A-Z]\w*[a-z]\w*)\s*\("),
    re.compile(r"^#define\s+([A-Z][a-z]\w*)\b", re.M),
    re.compile(r"^\w+\s+(v?DbgPrint\w*)\s*\(", re.M),
)
CAMEL = re.compile(r"^v?[A-Z][a-z]\w*[A-Za-z]$")
# C's own words in CamelCase-looking macros are not routines.
NOT_ROUTINES = {"Irp", "Srb"}


def declared(top):
    names = {}
    for path in sorted(glob.glob(os.path.join(top, "include/nt/*.h"))):
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
        text = re.sub(r"\\\n", " ", text)
        # A callback's type is not a routine.
        text = re.sub(r"typedef\b[^;{]*\([^;{]*;", ";", text)
        for pattern in DECLARED:
            for name in pattern.findall(text):
                if name not in NOT_ROUTINES:
                    names.setdefault(name, os.path.basename(path))
    return names


def callbacks(top):
    """Documented routines that drivers have: members of the records in which
    they hand them over."""
    with open(os.path.join(top, "include/nt/mcd.h"), encoding="utf-8") as file:
        record = re.search(r"struct _MCD_INIT_DATA \{(.*?)\}", file.read(), re.S)
    return set(re.findall(r"^\s+CHANGER_\w+ (\w+);", record[1], re.M))


def exported(build):
    libraries = glob.glob(os.path.join(build, "src/**/lib*.a"), recursive=True)
    run = subprocess.run(["nm", "-g", "--defined-only", *libraries],
                         capture_output=True, text=True, check=False)
    names = set()
    for line in run.stdout.splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[1] in "TDBR" and CAMEL.match(parts[2]):
            names.add(parts[2])
    return names


def rows(top):
    """[(file, line, name, state, note)]"""
    found = []
    for path in sorted(glob.glob(os.path.join(top, "api/*.api"))):
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                line = line.rstrip()
                if not line or line.startswith("#"):
                    continue
                match = ROW.match(line)
                where = (os.path.basename(path), number)
                if match is None:
                    found.append((where, line, "", ""))
                else:
                    found.append((where, match[1], match[2], match[3] or ""))
    return found


def check(top, build):
    wrong = []
    known = {}
    names, symbols = declared(top), exported(build)
    names.update(dict.fromkeys(callbacks(top), "mcd.h"))
    before = ("", "")
    for (file, line), name, state, note in rows(top):
        place = f"api/{file}:{line}: {name}"
        if state not in STATES:
            wrong.append(f"{place}: state {state!r} is none of {STATES}")
        if name in known:
            wrong.append(f"{place}: also in {known[name]}")
        if before[0] == file and before[1] > name:
            wrong.append(f"{place}: not in order, after {before[1]}")
        if state in ("partial", "absent") and not note:
            wrong.append(f"{place}: {state}, and does not say why")
        here = name in names or name in symbols
        if state == "absent" and here:
            wrong.append(f"{place}: absent, and yet in "
                         f"{names.get(name, 'a library')}")
        if state in ("done", "partial") and not here:
            wrong.append(f"{place}: {state}, and yet in no header or library")
        known[name] = file
        before = (file, name)
    for name in sorted((set(names) | symbols) - set(known)):
        wrong.append(f"{name} ({names.get(name, 'exported')}): no row in api/")
    return wrong, known


def main():
    top, build = sys.argv[1:]
    wrong, known = check(top, build)
    for line in wrong:
        print(line)
    print(f"{len(known)} routines, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
