#!/usr/bin/env python3
"""headers.py COMPILER ARGS: each header of include/nt compiles alone, without
warnings, and every routine in it has the calling convention."""
# SPDX-License-Identifier: MIT
import glob
import os
import re
import shutil
import subprocess
import sys

INCLUDE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       '..', '..', 'include', 'nt')
STRICT = ['-Wall', '-Wextra', '-Wstrict-prototypes', '-Wundef', '-Werror',
          '-fsyntax-only', '-x', 'c', '-']
# Takes a variable argument list, which the other convention passes otherwise.
NATIVE = {'ChangerClassDebugPrint', 'DbgPrint', 'DbgPrintEx', 'TapeDebugPrint',
          'vDbgPrintEx'}


def compiles(compiler, header):
    """Twice, for the include guard; then with the GUIDs defined."""
    failed = 0
    for text in (f'#include <{header}>\n#include <{header}>\n',
                 f'#define INITGUID\n#include <{header}>\n'):
        done = subprocess.run(compiler + STRICT, input=text, text=True,
                              capture_output=True)
        if done.returncode != 0:
            print(f'{header}: does not compile alone\n{done.stderr}')
            failed += 1
    return failed


def convention(header, text):
    """Declarations at file scope: 'TYPE NTAPI Name(', callbacks too."""
    failed = 0
    text = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
    text = re.sub(r'^#(.*\\\n)*.*$', '', text, flags=re.M)
    for words in re.findall(r'^(?:typedef )?(\w[\w \t\n*]*?\w)\s*\(', text,
                            flags=re.M):
        names = re.findall(r'\w+', words)
        if len(names) < 2 or names[0] in ('static', 'FORCEINLINE', 'return'):
            continue
        if names[-1] in NATIVE or names[-1] == '__attribute__' or \
                any(word in ('NTAPI', 'FASTCALL') for word in names) or \
                any(word in ('DEFINE_GUID', 'struct', 'enum', 'union')
                    for word in names):
            continue
        print(f'{header}: {names[-1]} has no NTAPI')
        failed += 1
    return failed


def main():
    compiler = sys.argv[1:]
    if not shutil.which(compiler[0]):
        print(f'skipped: {compiler[0]} is not installed')
        sys.exit(77)
    failed = 0
    paths = sorted(glob.glob(INCLUDE + '/*.h'))
    for path in paths:
        header = os.path.basename(path)
        failed += compiles(compiler, header)
        with open(path) as file:
            failed += convention(header, file.read())
    print(f'{len(paths)} headers, {failed} failures')
    sys.exit(failed != 0)


if __name__ == '__main__':
    main()
