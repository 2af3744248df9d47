#!/usr/bin/env python3
"""Compare include/nt with the layout of the WDK.

  layout.py generate ROWS.csv... OUT.c -- COMPILER ARGS
      writes a C program that compares every row that the headers define
  layout.py extract ROWS.csv OUT.csv -- COMPILER ARGS
      keeps the rows that the headers define (how layout.csv is made)

A row is kind,name,field,offset,size,value,oracles; see README.md.  Whether the
headers define a row is asked of the compiler: one line per row, and the lines
that it complains about are unknown names.  Any other complaint is an error.
"""
# SPDX-License-Identifier: MIT
import csv
import glob
import os
import re
import subprocess
import sys
import tempfile

INCLUDE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       '..', '..', 'include', 'nt')
# What gcc and clang say about a name that does not exist.
UNKNOWN = re.compile(r"undeclared|no member named|undefined type|"
                     r"incomplete type|unknown type name|has no member|"
                     r"does not refer to the name of a type")


def read_rows(paths):
    """Later files win."""
    rows = {}
    for path in paths:
        with open(path, newline='') as file:
            for row in csv.DictReader(file):
                rows[row['kind'], row['name'], row['field']] = row
    return list(rows.values())


def headers():
    return sorted(os.path.basename(p) for p in glob.glob(INCLUDE + '/*.h'))


def strip(text):
    return re.sub(r'/\*.*?\*/', '', text, flags=re.S)


def type_names(text):
    """Names of records, as C spells them."""
    names = {}
    for word, name in re.findall(
            r'\b(struct|union)\s+(?:DECLSPEC_ALIGN\(\d+\)\s+)?(\w+)\s*\{',
            text):
        names[name] = f'{word} {name}'
    for tail in re.findall(r'\}\s*([\w\s,*]+);', text):
        for name in re.findall(r'(?<![\w*])\w+', tail):
            names.setdefault(name, name)
    return names


def likely(rows):
    """The rows whose names occur in the headers; adds 'ctype'."""
    text = ''
    for header in headers():
        with open(os.path.join(INCLUDE, header)) as file:
            text += strip(file.read())
    words = set(re.findall(r'\w+', text))
    types = type_names(text)
    for row in rows:
        if row['kind'] in ('const', 'enum'):
            if row['name'] in words:
                yield row
        elif row['name'] in types:
            row['ctype'] = types[row['name']]
            yield row


def probe_line(number, row):
    """One declaration that compiles if and only if the row is defined."""
    field, ctype = row['field'], row.get('ctype')
    if row['kind'] in ('const', 'enum'):
        return f'enum {{ p{number} = sizeof({row["name"]}) }};'
    if row['kind'] == 'type':
        return f'enum {{ p{number} = sizeof({ctype}) }};'
    if row['kind'] == 'field':
        return f'enum {{ p{number} = offsetof({ctype}, {field}) }};'
    return f'void p{number}({ctype} *v); ' \
           f'void p{number}({ctype} *v) {{ v->{field} = 0; }}'


def includes():
    return ['#include <stddef.h>'] + [f'#include <{h}>' for h in headers()]


def defined(rows, compiler):
    """Splits rows into those that the headers define and the others."""
    rows = list(likely(rows))
    head = includes()
    lines = head + [probe_line(i, row) for i, row in enumerate(rows)]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'probe.c')
        with open(path, 'w') as file:
            file.write('\n'.join(lines) + '\n')
        clang = 'clang' in subprocess.run(compiler + ['--version'],
                                          capture_output=True, text=True).stdout
        limit = ['-ferror-limit=0'] if clang else ['-fmax-errors=0']
        done = subprocess.run(compiler + limit + ['-w', '-fsyntax-only', path],
                              capture_output=True, text=True,
                              env=dict(os.environ, LC_ALL='C'))
    unknown = set()
    for line in done.stderr.splitlines():
        found = re.match(r'.*probe\.c:(\d+):\d+: (?:fatal )?error: (.*)', line)
        if not found:
            if 'error:' in line:
                sys.exit('layout.py: ' + line)
            continue
        if not UNKNOWN.search(found[2]):
            sys.exit('layout.py: ' + lines[int(found[1]) - 1] + '\n' + line)
        unknown.add(int(found[1]) - 1 - len(head))
    yes = [row for i, row in enumerate(rows) if i not in unknown]
    no = [row for i, row in enumerate(rows) if i in unknown]
    return yes, no


def checks(row):
    """C expressions that add the row's comparisons."""
    ctype, field, name = row.get('ctype'), row['field'], row['name']
    soft = int(row['oracles'] == 'mingw')
    if row['kind'] in ('const', 'enum'):
        yield f'constant("{name}", (long long) ({name}), ' \
              f'(long long) {int(row["value"], 0)}ull, {soft});'
    elif row['kind'] == 'type':
        yield f'number("sizeof {name}", sizeof({ctype}), {row["size"]}, ' \
              f'{soft});'
        if row['value']:
            yield f'number("alignment of {name}", _Alignof({ctype}), ' \
                  f'{row["value"]}, {soft});'
    elif row['kind'] == 'field':
        what = f'{name}.{field}'
        yield f'number("offset of {what}", offsetof({ctype}, {field}), ' \
              f'{row["offset"]}, {soft});'
        if row['size']:
            yield f'number("sizeof {what}", sizeof((({ctype} *) 0)->{field}),' \
                  f' {row["size"]}, {soft});'
    else:
        yield f'BITS({ctype}, {field}, "{name}.{field}", {row["offset"]}, ' \
              f'{row["size"]}, {soft});'


PROGRAM = r'''
static unsigned compared, differing, advisory;

static void
differ(const char *what, long long have, long long want, int soft)
{
    printf("%s%s: %lld (0x%llx), the WDK has %lld (0x%llx)\n",
           soft ? "advisory: " : "", what, have, have, want, want);
    advisory += soft != 0;
    differing += soft == 0;
}

static void
number(const char *what, long long have, long long want, int soft)
{
    compared++;
    if (have != want)
        differ(what, have, want, soft);
}

/* A constant of 32 bits may be signed in one place and not in the other. */
static void
constant(const char *what, long long have, long long want, int soft)
{
    compared++;
    if (have != want && ((have >> 32 != 0 && have >> 32 != -1) ||
                         (unsigned) have != (unsigned) want))
        differ(what, have, want, soft);
}

/* The bits that are set in a record after its field was set to all ones. */
static void
bits(const char *what, const unsigned char *bytes, size_t size, int offset,
     int width, int soft)
{
    int first = -1, count = 0;

    for (size_t i = 0; i < size * 8; i++)
        if (bytes[i / 8] >> i % 8 & 1) {
            first = first < 0 ? (int) i : first;
            count++;
        }
    compared++;
    if (first != offset)
        differ(what, first, offset, soft);
    if (count != width)
        differ(what, count, width, soft);
}

#define BITS(type, field, what, offset, width, soft)                          \
    do {                                                                      \
        union { type v; unsigned char bytes[sizeof(type)]; } record;          \
        memset(&record, 0, sizeof record);                                    \
        record.v.field = ~record.v.field;                                     \
        bits(what, record.bytes, sizeof record, offset, width, soft);         \
    } while (0)
'''


def generate(sources, out, compiler):
    yes, no = defined(read_rows(sources), compiler)
    yes_checks = [c for row in yes for c in checks(row)]
    with open(out, 'w') as file:
        file.write('/* Made by layout.py. */\n')
        file.write('\n'.join(includes() + ['#include <stdio.h>',
                                           '#include <string.h>']) + '\n')
        file.write(PROGRAM)
        size = 200
        parts = range(0, len(yes_checks), size)
        for n in parts:
            file.write(f'\nstatic void\npart_{n}(void)\n{{\n')
            file.write(''.join(f'    {c}\n' for c in yes_checks[n:n + size]))
            file.write('}\n')
        file.write('\nint\nmain(void)\n{\n')
        file.write(''.join(f'    part_{n}();\n' for n in parts))
        file.write(r'''    printf("%u compared, %u differ, %u advisory\n", compared, differing,
           advisory);
    return differing != 0;
}
''')
    missing = [f'{r["name"]}.{r["field"]}' for r in no
               if r['kind'] in ('field', 'bits') and r['oracles'] == 'two']
    if missing:
        print(f'layout.py: {len(missing)} documented fields of our records '
              'are left out: ' + ', '.join(missing[:12]) + ' ...')


def extract(sources, out, compiler):
    yes, _ = defined(read_rows(sources), compiler)
    columns = ['kind', 'name', 'field', 'offset', 'size', 'value', 'oracles']
    with open(out, 'w', newline='') as file:
        writer = csv.DictWriter(file, columns, extrasaction='ignore',
                                lineterminator='\n')
        writer.writeheader()
        writer.writerows(yes)


def main():
    if '--' not in sys.argv or sys.argv[1] not in ('generate', 'extract'):
        sys.exit(__doc__)
    split = sys.argv.index('--')
    *sources, out = sys.argv[2:split]
    sources = [path for path in sources if os.path.exists(path)]
    {'generate': generate, 'extract': extract}[sys.argv[1]](
        sources, out, sys.argv[split + 1:])


if __name__ == '__main__':
    main()
