"""fetch.py FOLDER - the driver tests of Wine, from Debian's source package

Asks APT for the source package `wine`, of the release and from the places
that this machine already has its packages from: every source of packages is
copied, as a source of source packages, to a private APT folder.  Nothing on
the machine is changed.  FOLDER/tests then has the files; once there they are
not fetched again.  Exit status 77: cannot be had, the last line says why.

SPDX-License-Identifier: MIT
"""
import glob
import os
import re
import subprocess
import sys
import tarfile

WANTED = re.compile(r"[^/]+/dlls/ntoskrnl\.exe/tests/"
                    r"(driver\.c|driver_pnp\.c|driver\.h)$")


def give_up(reason):
    print(reason)
    sys.exit(77)


def apt_paths():
    """Where the machine keeps its sources."""
    out = subprocess.run(
        ["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f",
         "PARTS", "Dir::Etc::sourceparts/d"],
        capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"^(\w+)='(.*)'$", out, re.M))
    parts = found.get("PARTS", "")
    return ([found["LIST"]] if found.get("LIST") else []) + \
        sorted(glob.glob(os.path.join(parts, "*.list"))) + \
        sorted(glob.glob(os.path.join(parts, "*.sources")))


def one_line(text):
    """deb [options] place release component...: the options that name an
    architecture go, source packages have none."""
    out = []
    for line in text.splitlines():
        match = re.match(r"\s*deb(?:-src)?\s+(?:\[([^\]]*)\]\s*)?(\S.*)", line)
        if not match:
            continue
        options = [word for word in (match.group(1) or "").split()
                   if not word.startswith("arch")]
        out.append("deb-src " + (f"[{' '.join(options)}] " if options else "")
                   + match.group(2))
    return out


def stanzas(text):
    """deb822: paragraphs of fields, lines that begin with a blank go on."""
    out = []
    for paragraph in re.split(r"\n\s*\n", text):
        fields, name = {}, None
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            match = re.match(r"(\S+?):\s*(.*)", line)
            if match:
                name = match.group(1).lower()
                fields[name] = match.group(2)
            elif name and line[:1].isspace():
                fields[name] += "\n" + line
        if not fields.get("types") or \
                fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        fields["types"] = "deb-src"
        fields.pop("architectures", None)
        out.append("\n".join(f"{key.title()}: {value}"
                             for key, value in fields.items()))
    return out


def write_sources(folder):
    lines, paragraphs = [], []
    for path in apt_paths():
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except OSError:
            continue
        if path.endswith(".sources"):
            paragraphs += stanzas(text)
        else:
            lines += one_line(text)
    if not lines and not paragraphs:
        give_up("this machine has no package sources")
    for name, entries, between in (("a.list", lines, "\n"),
                                   ("a.sources", paragraphs, "\n\n")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(between.join(dict.fromkeys(entries)) + "\n")


def apt(folder, *args):
    """apt-get with everything that it writes below folder; its messages."""
    options = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": f"{folder}/sources",
        "Dir::State::Lists": f"{folder}/lists",
        "Dir::Cache": f"{folder}/cache",
        "APT::Sandbox::User": "",
        "APT::Get::List-Cleanup": "false",
        "Acquire::Retries": "2",
        "Acquire::http::Timeout": "30",
        "Acquire::https::Timeout": "30",
    }
    command = ["apt-get", "-q"]
    for key, value in options.items():
        command += ["-o", f"{key}={value}"]
    try:
        done = subprocess.run(command + list(args), cwd=folder, text=True,
                              capture_output=True, timeout=300,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        give_up(f"apt-get {args[0]} took more than 300 s")
    return done.returncode, done.stderr


def unpack(archive, tests):
    os.makedirs(tests, exist_ok=True)
    left = 3
    with tarfile.open(archive) as tar:
        for member in tar:
            if WANTED.match(member.name) and member.isfile():
                target = os.path.join(tests, os.path.basename(member.name))
                with open(target, "wb") as file:
                    file.write(tar.extractfile(member).read())
                left -= 1
                if left == 0:
                    return
    give_up("the source package has no kernel driver tests")


def main():
    folder = os.path.abspath(sys.argv[1])
    tests = os.path.join(folder, "tests")
    if os.path.exists(os.path.join(tests, "complete")):
        return
    for name in ("sources", "lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    try:
        write_sources(os.path.join(folder, "sources"))
    except FileNotFoundError:
        give_up("there is no APT on this machine")
    apt(folder, "update")           # one source that fails is no harm
    status, messages = apt(folder, "source", "--download-only", "--tar-only",
                           "wine")
    archives = sorted(glob.glob(os.path.join(folder, "wine_*.orig.tar.*")))
    if status != 0 or not archives:
        last = [line for line in messages.splitlines() if line.strip()]
        give_up("the source package cannot be had: " +
                (re.sub(r"\w+://\S+", "...", last[-1]) if last else "apt-get"))
    unpack(archives[-1], tests)
    with open(os.path.join(tests, "complete"), "w", encoding="utf-8") as file:
        file.write(os.path.basename(archives[-1]) + "\n")


main()
