"""conformance.py run BUILD | docs [FILE] | check FILE - rules and their tests

The rules are the rows of rules.txt (R1, R2, ...) and changer-tape-rules.txt
(CT1, ...), the demands of the four documents those of documents.txt.  A test
belongs to the rules that its name begins with (R12__..., R12_CT13__...); that is the only place where this is said.

run runs the tests and prints a line for each rule, then "N passed, N failed,
N skipped"; it writes BUILD/conformance.xml (JUnit).  A rule without a test, or
one of whose tests fails or is skipped, has failed.  docs writes
docs/conformance.md; check compares it.

SPDX-License-Identifier: MIT
"""
import glob
import importlib.util
import os
import re
import sys
import xml.etree.ElementTree as ET

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
MOST_SKIPPED = 10
NAME = re.compile(r"\b((?:(?:R|CT)\d+_)+)_(\w+)")
KINDS = {"C": "contract", "D": "documentation", "S": "sample",
         "O": "other implementation", "P": "ours", "T": "SCSI standard"}
# The prefix of the rules' names, by file.
FILES = {"R": "rules.txt", "CT": "changer-tape-rules.txt"}


class Rule:
    def __init__(self, name, kind, page, section):
        self.name, self.kind = name, kind
        self.page, self.section = page, section
        self.text = self.differs = self.skip = self.open = ""
        self.tests = []         # (file, name)


def read_file(prefix, base, rules):
    section, rule, field, count = "", None, "text", 0
    with open(os.path.join(HERE, base), encoding="utf-8") as file:
        for place, line in enumerate(file, 1):
            line = line.rstrip()
            if not line or line.startswith("#"):
                continue
            head = re.match(prefix + r"(\d+) ([CDSOPT]) (.+)$", line)
            if line.startswith("== "):
                section = line[3:]
            elif head:
                count += 1
                if int(head[1]) != count:
                    sys.exit(f"{base}:{place}: the rules are not numbered in "
                             "order")
                rule = Rule(prefix + head[1], head[2], head[3], section)
                rules[rule.name] = rule
                field = "text"
            elif line.startswith("    ") and rule is not None:
                line = line.strip()
                for word in ("differs", "skip", "open"):
                    if line.startswith(word + ":"):
                        field, line = word, line[len(word) + 1:].strip()
                setattr(rule, field, (getattr(rule, field) + " " + line)
                        .strip())
            else:
                sys.exit(f"{base}:{place}: not a rule: {line}")


def read_rules():
    """{name: Rule}, in order."""
    rules = {}
    for prefix, base in FILES.items():
        read_file(prefix, base, rules)
    return rules


def rules_of(name):
    match = NAME.match(name)
    return re.findall(r"[A-Z]+\d+", match[1]) if match else []


def find_tests(rules):
    """Files are read for docs; what ran is what counts for run."""
    for path in sorted(glob.glob(os.path.join(TOP, "tests/**/*.c"),
                                 recursive=True)):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for name in sorted(set(re.findall(
                r"^((?:(?:R|CT)\d+_)+_\w+)\(", text, re.M))):
            for rule in rules_of(name):
                if rule not in rules:
                    sys.exit(f"{path}: {name}: there is no rule {rule}")
                rules[rule].tests.append((os.path.relpath(path, TOP), name))


# --- run -----------------------------------------------------------------------

def runner():
    spec = importlib.util.spec_from_file_location(
        "run_tests", os.path.join(TOP, "tools", "run-tests.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class RuleTally:
    """Takes what run-tests.py counts, and keeps what bears a rule's name."""

    def __init__(self):
        self.by_rule = {}       # name: [(outcome, name, reason)]
        self.broken = []        # programs that failed outside of any case

    def add(self, outcome, name, reason=""):
        case = name.split(": ")[-1]
        rules = rules_of(case)
        for rule in rules:
            self.by_rule.setdefault(rule, []).append((outcome, name, reason))
        if not rules and outcome == "failed" and ": " not in name:
            self.broken.append(f"{name}: {reason}")


def verdict(rule, cases):
    """(outcome, reason)"""
    bad = [case for case in cases if case[0] != "passed"]
    if rule.skip:
        return "skipped", rule.skip
    if not cases and rule.open:
        return "open", rule.open
    if not cases:
        return "failed", "no test that ran bears its name"
    if bad:
        return "failed", "; ".join(
            f"{name} {outcome}" + (f" ({reason})" if reason else "")
            for outcome, name, reason in bad)
    return "passed", ""


def one_line(text, width):
    if len(text) <= width:
        return text
    return text[:width - 3].rsplit(" ", 1)[0].rstrip(" ,;:") + " ..."


def junit(path, results):
    suite = ET.Element("testsuite", name="conformance",
                       tests=str(len(results)),
                       failures=str(sum(r[1] == "failed" for r in results)),
                       skipped=str(sum(r[1] in ("skipped", "open")
                                       for r in results)))
    for rule, outcome, reason, cases in results:
        case = ET.SubElement(suite, "testcase", classname=rule.section,
                             name=rule.name)
        if outcome != "passed":
            tag = "failure" if outcome == "failed" else "skipped"
            ET.SubElement(case, tag, message=reason)
        out = ET.SubElement(case, "system-out")
        out.text = rule.text + "\n" + "\n".join(name for _, name, _ in cases)
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def run(build):
    rules = read_rules()
    tally = RuleTally()
    module = runner()
    module.run_unit(build, tally, quiet=True)
    counts = {"passed": 0, "failed": 0, "skipped": 0, "open": 0}
    results = []
    for rule in rules.values():
        cases = tally.by_rule.get(rule.name, [])
        outcome, reason = verdict(rule, cases)
        counts[outcome] += 1
        results.append((rule, outcome, reason, cases))
        print(f"{rule.name:<5} {outcome:<8} {one_line(rule.text, 100)}"
              + (f"\n      {reason}" if reason else ""))
    for line in tally.broken:
        print(f"failed outside of any test: {line}")
        counts["failed"] += 1
    if counts["skipped"] > MOST_SKIPPED:
        print(f"more than {MOST_SKIPPED} rules are skipped")
        counts["failed"] += 1
    path = os.path.join(build, "conformance.xml")
    junit(path, results)
    print(f"\nwrote {path}")
    print(", ".join(f"{n} {what}" for what, n in counts.items()), flush=True)
    return 1 if counts["failed"] else 0


# --- docs ------------------------------------------------------------------------

def read_documents():
    """[(title, where, [(demand, shown by, open)])]"""
    documents, field = [], None
    with open(os.path.join(HERE, "documents.txt"), encoding="utf-8") as file:
        for line in file:
            line = line.rstrip()
            if not line or line.startswith("#"):
                continue
            if line.startswith("== "):
                title, where = line[3:].split(" | ")
                documents.append((title, where, []))
                continue
            demands = documents[-1][2]
            if line.startswith("- "):
                demands.append([line[2:], "", ""])
                field = 0
                continue
            line = line.strip()
            for place, word in ((1, "by:"), (2, "open:")):
                if line.startswith(word):
                    field, line = place, line[len(word):].strip()
            demands[-1][field] = (demands[-1][field] + " " + line).strip()
    return documents


def cell(text):
    return text.replace("|", "\\|")


def shown_by(words, is_open, rules):
    if is_open:
        return "*open*: " + is_open
    links = []
    for word in words.split():
        if word not in rules:
            sys.exit(f"documents.txt: there is no rule {word}")
        links.append(f"[{word}](#{word.lower()})")
    return ", ".join(links)


def tests_cell(rule):
    if rule.skip:
        return "cannot be tested: " + cell(rule.skip)
    if rule.open and not rule.tests:
        return "*open*: " + cell(rule.open)
    by_file = {}
    for path, name in rule.tests:
        by_file.setdefault(path, []).append(NAME.match(name)[2])
    return "<br>".join(
        f"[{os.path.basename(path)}](../{path}): "
        + ", ".join(f"`{name}`" for name in names)
        for path, names in by_file.items())


HEAD = """\
# What is documented, and the tests that show it

This page is made from `tests/conformance` by `make docs`; a test compares it.
`make conformance` runs the tests and prints a line for each rule.

A rule is one sentence about what can be observed. Its kind says where it comes
from: the four documents that this project implements (contract), other driver
documentation, Microsoft's published samples, another implementation, or a
choice of ours where the documents are silent; those of changers and tapes
(CT) also from the SCSI standards. *Source* is a page of
the driver documentation by its slug, or the file of a sample. Tests drive the
real stack: our drivers over emulated drives, or small drivers written for the
test. Where we do otherwise on purpose, the rule says so in bold.

## The four documents
"""


def document():
    rules = read_rules()
    find_tests(rules)
    out = [HEAD]
    for title, where, demands in read_documents():
        out += [f"### {title}", "", f"Source: `{where}`", "",
                "| what it demands | shown by |", "|---|---|"]
        out += [f"| {cell(demand)} | {shown_by(by, is_open, rules)} |"
                for demand, by, is_open in demands]
        out.append("")
    out += ["## The rules", ""]
    section = None
    for rule in rules.values():
        if rule.section != section:
            section = rule.section
            out += ["", f"### {section}", "",
                    "| rule | kind | what holds | source | tests |",
                    "|---|---|---|---|---|"]
        text = cell(rule.text)
        if rule.differs:
            text += f" **We differ: {cell(rule.differs)}**"
        out.append(f'| <a id="{rule.name.lower()}"></a>{rule.name} '
                   f"| {KINDS[rule.kind]} | {text} | {rule.page} "
                   f"| {tests_cell(rule)} |")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)) + "\n"


def main():
    what, *rest = sys.argv[1:]
    if what == "run":
        return run(rest[0])
    path = rest[0] if rest else os.path.join(TOP, "docs", "conformance.md")
    text = document()
    if what == "docs":
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return 0
    with open(path, encoding="utf-8") as file:
        if file.read() == text:
            return 0
    print(f"{os.path.relpath(path, TOP)} is out of date: make docs")
    return 1


if __name__ == "__main__":
    sys.exit(main())
