"""table.py OUT NM NAME... -- LIBRARY... - what the kernel exports, as a C table

The names are those that the libraries define, and the NAMEs, which the library
of the table itself defines.

SPDX-License-Identifier: MIT
"""
import re
import subprocess
import sys

# The prefixes of the kernel's documented routines.
EXPORTED = re.compile(r"^v?(Cc|Dbg|Ex|FsRtl|Hal|Io|Kd|Ke|Mm|Nt|Ob|Po|Ps|Rtl|Se"
                      r"|Zw)[fp]?[A-Z]\w*$|^Initialize\w+$")

# Exported under two names; the headers map the first to the second.
ALIASES = {
    "IoCallDriver": "IofCallDriver",
    "IoCompleteRequest": "IofCompleteRequest",
    "ObDereferenceObject": "ObfDereferenceObject",
}


def main():
    out, nm = sys.argv[1:3]
    cut = sys.argv.index("--")
    rows = {name: False for name in sys.argv[3:cut]}
    listing = subprocess.run([nm, "--defined-only", "-g"] + sys.argv[cut + 1:],
                             capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        words = line.split()
        if len(words) == 3 and EXPORTED.match(words[2]):
            rows[words[2]] = words[1] not in "TW"
    names = sorted(set(rows) | set(ALIASES))
    with open(out, "w", encoding="ascii") as file:
        file.write('#include "exports/exports.h"\n\n')
        for name in names:
            if name in rows:
                file.write(f"extern const char {name}[];\n")
        file.write("\nconst struct export exports_table[] = {\n")
        for name in names:
            symbol = name if name in rows else ALIASES[name]
            pointer = "true" if rows[symbol] else "false"
            file.write(f'    {{ "{name}", {symbol}, {pointer} }},\n')
        file.write("};\nconst size_t exports_count = "
                   "sizeof exports_table / sizeof exports_table[0];\n")


main()
