#!/usr/bin/python3
"""driver-rules.py [--check] - docs/driver-rules.md from the tables it describes

Writes the page from src/io/rules.def and src/ke/irql.def; --check says whether
the page is what would be written, and whether each routine with an IRQL checks
it (exit status 1 when not).

SPDX-License-Identifier: MIT
"""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(TOP, "docs", "driver-rules.md")

HEAD = """\
# What drivers are held to

Made by `tools/driver-rules.py` from `src/io/rules.def` and `src/ke/irql.def`.

A debug build (`make build`) holds every driver to these rules. One that breaks
a rule stops the process with one line on stderr, before the bug check's own:

```
rule irp-double-complete: driver \\Driver\\toy, device \\Device\\Toy0, IRP 0x55f5c0a3: allocated > call toy READ(0x00) > completed STATUS_SUCCESS by toy; an IRP is completed once
*** STOP 0x00000044 MULTIPLE_IRP_COMPLETE_REQUESTS (0x55F5C0A3, 0x0, 0x0, 0x0)
```

The line has the rule's name, the driver and its device, and what happened to
the IRP: the last sixteen events, oldest first, with `after N ms` where it
waited, `(N earlier)` when there were more. `kept` is a completion routine that
returned STATUS_MORE_PROCESSING_REQUIRED.

`REINSERT_VERIFIER=0` in the environment switches the checks off; the cheap
ones that would otherwise corrupt memory (double completion, double free, no
stack location) stay. A release build (`--buildtype=release -Db_ndebug=true`,
what `make demo`, `make bench` and `make install` use) has only those.

What a check cannot see: an IRP in memory of the driver's own (IoInitializeIrp)
has no history and is checked only where that needs none; DO_VERIFY_VOLUME
cleared while any volume is mounted or verified is not blamed on anybody; a
driver with a failed request that had no thread may make one call of
IoSetHardErrorOrVerifyDevice later, whatever becomes of that IRP.

## The rules

| Rule | What holds | Documented at |
|---|---|---|
"""

IRQL = """
## IRQL

Who calls one of these at another IRQL breaks the rule `irql`. A wait with a
zero timeout is allowed at DISPATCH_LEVEL.

| Routine | IRQL |
|---|---|
"""


def strings(text):
    return "".join(re.findall(r'"([^"]*)"', text))


def rules():
    text = open(os.path.join(TOP, "src/io/rules.def")).read()
    text = text[text.index("*/"):]
    for row in re.findall(r"^IO_RULE\((.*?)\)$", text, re.M | re.S):
        # id, name, code, sentence (one or more literals), page
        match = re.match(r'\w+,\s*("[^"]*"),\s*\w+,\s*((?:"[^"]*"\s*)+),'
                         r'\s*((?:"[^"]*"\s*)+)$', row)
        if not match:
            raise SystemExit(f"driver-rules: cannot read {row!r}")
        yield tuple(strings(group) for group in match.groups())


def irqls():
    text = open(os.path.join(TOP, "src/ke/irql.def")).read()
    rows = re.findall(r"^IRQL_ROW\((\w+), (\w+), (\w+)\)", text, re.M)
    for routine, lowest, highest in sorted(rows):
        if highest == "HIGH":
            yield routine, f">= {lowest}_LEVEL"
        elif lowest == highest:
            yield routine, f"= {lowest}_LEVEL"
        else:
            yield routine, f"<= {highest}_LEVEL"


def unchecked():
    """Routines of the table that do not look at their IRQL."""
    looked = set()
    for folder, _, files in os.walk(os.path.join(TOP, "src")):
        for name in files:
            if name.endswith((".c", ".h")):
                text = open(os.path.join(folder, name)).read()
                looked.update(re.findall(r"\bKE_IRQL\((\w+)\)", text))
    return sorted({routine for routine, _ in irqls()} - looked)


def page():
    lines = [f"| `{name}` | {sentence} | {where} |\n"
             for name, sentence, where in rules()]
    levels = [f"| {routine} | {level} |\n" for routine, level in irqls()]
    return HEAD + "".join(lines) + IRQL + "".join(levels)


def main():
    if sys.argv[1:] == ["--check"]:
        if not os.path.exists(PAGE) or open(PAGE).read() != page():
            print("docs/driver-rules.md is not what its tables say; run "
                  "tools/driver-rules.py", file=sys.stderr)
            return 1
        for routine in unchecked():
            print(f"{routine} has an IRQL in src/ke/irql.def and does not "
                  "check it (KE_IRQL)", file=sys.stderr)
        return 1 if unchecked() else 0
    with open(PAGE, "w") as out:
        out.write(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
