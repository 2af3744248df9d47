"""reinsert changer says what mtx says, byte for byte, of the same library.

The real mtx talks to an emulated library through a preloaded SG node
(tests/changer/sgnode.c); ours asks the service, whose library is emulated too.
Bacula's own mtx-changer script drives ours, unmodified.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import shutil
import subprocess
import textwrap

import pytest

from house import HANG, REINSERT

BUILD = os.path.abspath(os.path.join(os.path.dirname(REINSERT), "..", ".."))
SGNODE = os.path.join(BUILD, "tests", "changer", "sgnode.so")
LABELS = [f"LTO00{n}L6" for n in range(1, 6)] + ["CLN001L1"]
DATA = LABELS[:5]
NODE = "/dev/sg9"


def media(folder, labels=LABELS):
    folder.mkdir()
    for label in labels:
        with open(folder / f"{label}.img", "wb") as image:
            image.write(label.encode().ljust(512, b"\0"))
            image.truncate(1 << 20)
    return folder


class Real:
    """mtx itself."""

    def __init__(self, folder, drives=1):
        self.env = dict(os.environ, LD_PRELOAD=SGNODE, REINSERT_SG_NODE=NODE,
                        REINSERT_SG_MEDIA=str(media(folder / "real", DATA)),
                        REINSERT_SG_STATE=str(folder / "real.state"),
                        REINSERT_SG_DRIVES=str(drives))

    def __call__(self, *words):
        return subprocess.run(["mtx", "-f", NODE, *words], env=self.env,
                              text=True, capture_output=True, timeout=HANG)


class Ours:
    """reinsert changer through a link called mtx."""

    def __init__(self, service, folder, name="vault"):
        self.service = service
        self.link = os.path.join(str(folder), "mtx")
        os.symlink(os.path.abspath(REINSERT), self.link)
        self.name = name
        self.env = dict(os.environ, REINSERT_CONTROL=service.control)

    def __call__(self, *words):
        return subprocess.run([self.link, "-f", self.name, *words],
                              env=self.env, text=True, capture_output=True,
                              timeout=HANG)

    def elements(self):
        done = self("--json", "status")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["elements"]


@pytest.fixture
def vault(serve, tmp_path):
    def start(drives=1, labels=LABELS, **keys):
        media(tmp_path / "ours", labels)
        s = serve({}, libraries={"vault": {
            "slots": 8, "mail-slots": 1, "drives": drives,
            "media": tmp_path / "ours", "state": tmp_path / "state", **keys}})
        return s, Ours(s, tmp_path)
    return start


def same(real, ours):
    """Our stderr may have lines of its own, which say so."""
    said = "".join(line for line in ours.stderr.splitlines(True)
                   if not line.startswith("note: "))
    return (real.stdout.replace(NODE, "vault") == ours.stdout
            and real.stderr.replace(NODE, "vault") == said
            and real.returncode == ours.returncode)


SCRIPT = textwrap.dedent("""\
    status
    inquiry
    load 3 0
    status
    load 3 0
    unload
    status
    load 8
    load 99
    load 1x 7
    load
    load abc
    next
    next
    next
    previous
    first
    first
    previous
    unload 2
    unload 99
    unload 1 9
    unload 7
    unload
    status
    transfer
    transfer 1
    transfer 99 1
    transfer 1 99
    transfer 1 8
    transfer 1 7
    transfer 2 3
    transfer 2 9
    transfer 9 2
    exchange 2 3
    exchange 3 2 1
    exchange 8 7
    position 2
    inventory
    nobarcode status
    altres status
    noattach load 2 unload 2 status
    invert inquiry
    load 4 unload 1 load 5
    status
    """).splitlines()


def test_S1_same_words_as_mtx(vault, tmp_path):
    if not shutil.which("mtx"):
        pytest.skip("mtx is not installed")
    if not os.path.exists(SGNODE):
        pytest.skip("a sanitizer's library has to be the first one preloaded")
    _, ours = vault(labels=DATA)
    real = Real(tmp_path)
    wrong = []
    for line in SCRIPT:
        words = line.split()
        theirs, mine = real(*words), ours(*words)
        if not same(theirs, mine):
            wrong.append(f"{line}\n  mtx: {theirs.returncode} "
                         f"{theirs.stdout!r} {theirs.stderr!r}\n  we:  "
                         f"{mine.returncode} {mine.stdout!r} {mine.stderr!r}")
    assert not wrong, "\n".join(wrong)


def test_no_words_version_and_nonsense(vault):
    _, ours = vault()
    assert (ours().returncode, ours().stdout, ours().stderr) == (0, "", "")
    done = subprocess.run([ours.link, "--version"], text=True,
                          capture_output=True, env=ours.env)
    assert done.returncode == 1
    assert done.stderr.startswith("mtx version 1.3.12\n\n")
    done = ours("frobnicate")
    assert done.returncode == 1 and "usage" in done.stderr
    ours.name = "nowhere"
    done = ours("status")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "cannot open SCSI device 'nowhere' - No such device or address\n")


def test_S4_empty_source_names_the_address_that_programs_look_for(vault):
    _, ours = vault()
    done = ours("load", "8")
    assert done.returncode == 1
    assert re.search(r"^(.*\.\.\.)?Source Element Address \d+ is Empty$",
                     done.stderr, re.M)
    assert "Error Code=" not in done.stderr


def test_S15_cleaning_cartridge_is_no_data(vault):
    s, ours = vault()
    slot = next(e["number"] for e in ours.elements() if e["cleaning"])
    done = ours("load", str(slot))
    assert done.returncode == 1 and "clean" in done.stderr
    assert "Full" not in ours("status").stdout.splitlines()[1]


def test_S27_chain_ends_at_the_first_failure(vault):
    _, ours = vault()
    done = ours("unload", "3", "0", "load", "4", "0")
    assert done.returncode == 1
    assert ours("status").stdout.splitlines()[1] == \
        "Data Transfer Element 0:Empty"
    done = ours("load", "4", "0", "status")
    assert done.returncode == 0
    assert "Data Transfer Element 0:Full (Storage Element 4 Loaded)" in \
        done.stdout


def test_S22_drives_are_named(vault):
    s, ours = vault(drives=2)
    assert ours("load", "2", "1").returncode == 0
    done = ours("--json", "drives")
    rows = json.loads(done.stdout)
    assert [r["number"] for r in rows] == [0, 1]
    assert rows[1]["drive"] in s.drives()
    assert rows[1]["full"] and not rows[0]["full"]


# --- Bacula ---------------------------------------------------------------------

def fetch_script(folder):
    """mtx-changer as Debian's bacula-sd has it."""
    installed = "/etc/bacula/scripts/mtx-changer"
    if os.path.exists(installed):
        return installed
    done = subprocess.run(["apt-get", "download", "bacula-sd"],
                          cwd=folder, text=True, capture_output=True)
    packages = [f for f in os.listdir(folder) if f.endswith(".deb")]
    if done.returncode != 0 or not packages:
        pytest.skip("bacula-sd cannot be had: " + done.stderr.strip()[-200:])
    subprocess.run(["dpkg-deb", "-x", packages[0], "bacula"], cwd=folder,
                   check=True)
    return os.path.join(folder, "bacula", installed.lstrip("/"))


class Bacula:
    """The script in a mount namespace where mtx is ours and, unless mt is to be
    Debian's, a drive is always on line; nothing outside it is touched."""

    def __init__(self, ours, folder, debians_mt=False):
        self.folder = folder
        self.ours = ours
        script = fetch_script(str(folder))
        conf = os.path.join(os.path.dirname(script), "mtx-changer.conf")
        for name in ("etc", "lib", "sbin", "bin"):
            (folder / name).mkdir()
        (folder / "etc" / "scripts").mkdir()
        shutil.copy(script, folder / "etc" / "scripts" / "mtx-changer")
        shutil.copy(conf, folder / "etc" / "scripts" / "mtx-changer.conf")
        if debians_mt:
            return
        mt = folder / "bin" / "mt"
        mt.write_text("#!/bin/sh\necho ONLINE mt-st\n")
        mt.chmod(0o755)

    def __call__(self, *words):
        inside = f"""
            set -e
            for f in /etc /var/lib /usr/sbin; do
                n=$(echo $f | tr / _)
                mkdir -p {self.folder}/over/$n
                mount -t tmpfs none {self.folder}/over/$n
                mkdir {self.folder}/over/$n/u {self.folder}/over/$n/w
                mount -t overlay overlay -o lowerdir=$f,upperdir={self.folder}/over/$n/u,workdir={self.folder}/over/$n/w $f
            done
            mkdir -p /etc/bacula /var/lib/bacula
            cp -r {self.folder}/etc/scripts /etc/bacula/
            rm -f /usr/sbin/mtx
            ln -s {os.path.abspath(REINSERT)} /usr/sbin/mtx
            exec /etc/bacula/scripts/mtx-changer "$@"
        """
        env = dict(self.ours.env,
                   PATH=f"{self.folder}/bin:{os.environ['PATH']}:/usr/sbin")
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", inside, "sh", self.ours.name,
             *words], env=env, text=True, capture_output=True,
            timeout=HANG)


def test_bacula_script_drives_it(vault, tmp_path):
    if subprocess.run(["unshare", "--mount", "true"]).returncode != 0:
        pytest.skip("no mount namespaces here")
    _, ours = vault()
    bacula = Bacula(ours, tmp_path)
    listed = bacula("list")
    assert listed.returncode == 0, listed.stderr
    full = sorted(listed.stdout.split())
    assert full == ["1:CLN001L1"] + [f"{n + 1}:LTO00{n}L6"
                                     for n in range(1, 6)]
    assert bacula("slots").stdout.strip() == "9"
    assert bacula("loaded", "0", "x", "0").stdout.strip() == "0"
    assert bacula("load", "3", "x", "0").returncode == 0
    assert bacula("loaded", "0", "x", "0").stdout.strip() == "3"
    assert "3:LTO002L6" in bacula("list").stdout
    everything = bacula("listall").stdout.splitlines()
    assert any(row.startswith("D:0:F:3:LTO002L6") for row in everything)
    assert "S:3:E" in [row.split(":LTO")[0].rstrip(": ")
                       for row in everything]
    assert any(row.startswith("I:9:E") for row in everything)
    assert bacula("unload", "3", "x", "0").returncode == 0
    assert bacula("transfer", "3", "8", "0").returncode == 0
    assert "8:LTO002L6" in bacula("list").stdout
