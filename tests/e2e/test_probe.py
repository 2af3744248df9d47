"""reinsert drives and probe: tgt's drives, as they were measured with a program
of its own; tgtadm is the hand.

SPDX-License-Identifier: MIT
"""
import json
import os
import signal
import socket
import stat
import subprocess
import threading

import pytest

import house
from cut import COMMAND, CUT, PASS, RESPONSE, Cut
from sgbox import FIRST, Box
from tgt import NAME, Target


@pytest.fixture
def target(tmp_path):
    t = Target(tmp_path)
    yield t
    t.kill()


def run(*words, **more):
    done = subprocess.run([house.REINSERT, *words], text=True,
                          capture_output=True, timeout=house.HANG, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def findings(report):
    return {f["name"]: f for f in report["findings"]}


def check(found, table):
    for name, (verdict, answer) in table.items():
        assert found[name]["verdict"] == verdict, name
        assert answer is None or found[name]["answer"] == answer, name


def test_drives_of_a_portal(target, media):
    target.add(1, media.a)
    target.add(2, media.cd, "cd")
    target.start()
    rows = json.loads(run("drives", "--json", "--discover",
                          f"127.0.0.1:{target.port}"))["drives"]
    rows = {r["name"]: r for r in rows if r["where"] == "portal"}
    assert set(rows) == {target.url(1), target.url(2)}
    disk, disc = rows[target.url(1)], rows[target.url(2)]
    assert (disk["type"], disk["serial"], disk["medium"]) == (
        "disk", "D001", "present")
    assert disk["volume"].startswith("ARCHIVE-A (")
    assert disk["size_bytes"] == os.path.getsize(media.a)
    assert (disc["type"], disc["volume"]) == ("cdrom", "DISC (iso9660)")
    target.update(2, "online=0")
    lines = run("drives", "--discover", f"127.0.0.1:{target.port}")
    assert [line.split("\t")[6] for line in lines.splitlines()
            if line.startswith("drive\t" + target.url(2))] == ["none"]


def test_drives_of_the_service(serve, media):
    s = serve({"disk": {"medium": media.a}})
    s.mounted("ARCHIVE-A")
    rows = json.loads(s.run("drives", "--json").stdout)["drives"]
    row = [r for r in rows if r["where"] == "service"][0]
    assert (row["name"], row["volume"], row["held_by"]) == (
        "disk", "ARCHIVE-A", "the service")


def test_drives__who_has_what_of_a_portal(serve, target, media):
    """The service's drive says who it is, and the portal's who has it."""
    target.add(1, media.a)
    target.add(2, media.b)
    target.start()
    s = serve({"d1": {"port": "iscsi", "url": target.url(1)}})
    s.mounted("ARCHIVE-A")
    rows = {r["name"]: r for r in json.loads(run(
        "drives", "--json", "--control", s.control, "--discover",
        f"127.0.0.1:{target.port}"))["drives"]}
    assert rows[target.url(1)]["held_by"] == "the service, as d1"
    assert rows[target.url(2)]["held_by"] == ""
    mine = rows["d1"]
    assert (mine["address"], mine["vendor"], mine["product"],
            mine["serial"]) == (target.url(1), "IET", "VIRTUAL-DISK", "D001")


def test_drives__a_drive_of_this_machine_and_who_has_it(tmp_path, monkeypatch,
                                                       serve, media):
    """Whatever the service was told to find it by."""
    box = Box(tmp_path, monkeypatch)
    box.put(1, media.a)
    box.make(1)
    box.make(2)
    s = serve({"reader": {"port": "sg", "match": "serial:HUX0000001"}})
    s.mounted("ARCHIVE-A")
    rows = {r["name"]: r for r in json.loads(
        s.run("drives", "--json").stdout)["drives"]}
    assert rows[f"/dev/sg{FIRST + 1}"]["held_by"] == "the service, as reader"
    assert rows[f"/dev/sg{FIRST + 2}"]["held_by"] == ""
    assert rows["reader"]["volume"] == "ARCHIVE-A"


def test_drives__found_by_its_place(tmp_path, monkeypatch, serve, media):
    box = Box(tmp_path, monkeypatch)
    box.put(1, media.a)
    box.make(1)
    box.make(2)
    s = serve({"reader": {"port": "sg", "match": "path:target9:0:1"}})
    s.mounted("ARCHIVE-A")
    assert s.drives()["reader"]["node"] == f"/dev/sg{FIRST + 1}"
    held = {r["name"]: r["held_by"] for r in json.loads(
        s.run("drives", "--json").stdout)["drives"]}
    assert held[f"/dev/sg{FIRST + 1}"] == "the service, as reader"
    assert held[f"/dev/sg{FIRST + 2}"] == ""
    box.unplug(1)
    house.until(lambda: s.drives()["reader"]["node"] == "", "no drive")


def test_probe__a_command_that_the_kernel_gave_up_was_not_answered(
        tmp_path, monkeypatch, media):
    """Before Linux 5.14 it looks as one that went well, but for one field."""
    box = Box(tmp_path, monkeypatch, OLD=1, FAULT="at * 0x5A do timeout")
    box.put(1, media.a)
    box.make(1)
    node = f"/dev/sg{FIRST + 1}"
    assert not os.path.exists(node)
    try:
        os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(21, FIRST + 1))
        done = subprocess.run(
            [house.REINSERT, "probe", "--json", node], text=True,
            capture_output=True, timeout=120, check=False)
    finally:
        os.unlink(node)
    check(findings(json.loads(done.stdout)), {
        "mode-sense-6": ("good", "GOOD"),
        "mode-sense-10": ("unknown", "no answer")})


@pytest.fixture
def wire(target, media):
    target.add(1, media.a)
    target.start()
    cut = Cut(target.port)
    yield cut
    cut.close()


def cut_at(wire, opcode, evpd=None):
    wire.rule = lambda pdu, to_target: CUT if (
        to_target and pdu.opcode == COMMAND and pdu.cdb[0] == opcode
        and evpd in (None, pdu.cdb[1] & 1)) else PASS


@pytest.mark.parametrize("opcode, what, why", [
    (0xA0, "", "it does not say which units it has"),
    (0x12, "/1", "it does not say what it is"),
])
def test_drives__what_cannot_be_listed_is_named(wire, opcode, what, why):
    """So far it was missing, without a word."""
    cut_at(wire, opcode)
    done = subprocess.run(
        [house.REINSERT, "drives", "--json", "--discover",
         f"127.0.0.1:{wire.port}"], text=True, capture_output=True,
        timeout=house.HANG, check=False)
    url = f"iscsi://127.0.0.1:{wire.port}/{NAME}{what}"
    rows = {r["name"]: r for r in json.loads(done.stdout)["drives"]}
    assert rows[url]["problem"] == why
    assert f"{url}: {why}" in done.stderr


def test_probe__session_lost_in_the_middle(wire):
    """Nothing is made of what was not answered."""
    cut_at(wire, 0x5A)
    done = subprocess.run(
        [house.REINSERT, "probe", "--json",
         f"iscsi://127.0.0.1:{wire.port}/{NAME}/1"], text=True,
        capture_output=True, timeout=house.HANG, check=False)
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert report["ended"] == "the drive stopped answering"
    assert {f["verdict"] for f in report["findings"]} <= {
        "good", "note", "unknown"}
    check(findings(report), {"mode-sense-6": ("good", "GOOD"),
                             "mode-sense-10": ("unknown", "no answer")})


def test_probe_of_a_unit_that_a_target_does_not_have(target, media):
    target.add(1, media.a)
    target.start()
    done = subprocess.run([house.REINSERT, "probe", target.url(9)], text=True,
                          capture_output=True, timeout=house.HANG, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "there is no such unit" in done.stderr


def lets_in_and_says_no_more(listener):
    """Each login is answered (RFC 7143, 11.13), nothing else is."""
    keys = b"HeaderDigest=None\0DataDigest=None\0AuthMethod=None\0\0\0"
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as file:
        while len(head := file.read(48)) == 48:
            file.read((int.from_bytes(head[5:8], "big") + 3) // 4 * 4)
            if head[0] & 0x3F != 0x03:
                continue
            number = int.from_bytes(head[24:28], "big")
            reply = bytearray(48)
            reply[0:2] = 0x23, head[1]
            reply[5:8] = len(keys).to_bytes(3, "big")
            reply[8:20] = head[8:14] + b"\0\1" + head[16:20]
            reply[24:28] = (1).to_bytes(4, "big")
            reply[28:32] = number.to_bytes(4, "big")
            reply[32:36] = (number + 9).to_bytes(4, "big")
            connection.sendall(bytes(reply) + keys)


@pytest.fixture
def mute():
    """The port of a target that lets one in, and says no more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        thread = threading.Thread(target=lets_in_and_says_no_more,
                                  args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(30)


def test_portal_that_says_nothing_of_its_targets__given_up(mute):
    done = subprocess.run([house.REINSERT, "drives", "--discover",
                           f"127.0.0.1:{mute}"], text=True,
                          capture_output=True, timeout=house.HANG,
                          check=False)
    assert done.returncode == 1
    assert (f"127.0.0.1:{mute}: it does not say which targets it has"
            in done.stderr)


def test_url_that_would_be_cut__is_refused():
    """Its end is the number of the unit."""
    done = subprocess.run([house.REINSERT, "probe",
                           f"iscsi://[::1]:1/iqn.t:{'a' * 240}/12"],
                          text=True, capture_output=True, timeout=house.HANG,
                          check=False)
    assert done.returncode == 1
    assert "is longer than 263 bytes" in done.stderr


def test_portal_that_is_not_there_is_named():
    done = subprocess.run([house.REINSERT, "drives", "--discover",
                           "127.0.0.1:1"], text=True, capture_output=True,
                          timeout=house.HANG, check=False)
    assert done.returncode == 1
    assert "127.0.0.1:1: cannot be reached" in done.stderr


def test_chap__what_is_asked_for_is_said__and_where_it_comes_from(target,
                                                                  media):
    target.add(1, media.a)
    target.chap = ("archive", "correct-horse-99")
    target.start()
    words = [house.REINSERT, "drives", "--discover",
             f"127.0.0.1:{target.port}"]
    done = subprocess.run(words, text=True, capture_output=True, timeout=house.HANG,
                          check=False)
    assert "the login is refused (0201)" in done.stderr
    assert "REINSERT_ISCSI_USER" in done.stderr
    assert target.url(1) not in done.stdout
    env = dict(os.environ, REINSERT_ISCSI_USER="archive",
               REINSERT_ISCSI_SECRET="correct-horse-99")
    done = subprocess.run(words, text=True, capture_output=True, timeout=house.HANG,
                          check=False, env=env)
    assert target.url(1) in done.stdout and done.stderr == ""
    report = json.loads(run("probe", "--json", target.url(1), env=env))
    assert report["identity"]["serial"] == "D001"
    assert "chap-user = archive" in report["options"]
    assert "REINSERT_ISCSI_SECRET" in run("probe", "--help")


@pytest.mark.parametrize("kind, table", [
    ("disk", {"first-command": ("good", "6/29/00"),
              "mode-sense-6": ("good", "GOOD"),
              "gesn": ("absent", "5/20/00"),
              "lock": ("good", "GOOD"),
              "past-the-end": ("good", "5/21/00")}),
    ("cd", {"first-command": ("good", "6/29/00"),
            "mode-sense-6": ("absent", "5/20/00"),
            "gesn": ("wrong", "5/20/00"),
            "lock": ("good", "GOOD")}),
])
def test_probe__as_measured(target, media, kind, table):
    mine = media.a if kind == "disk" else media.cd
    target.add(1, mine, kind)
    target.start()
    with open(mine, "rb") as file:
        before = file.read()
    report = json.loads(run("probe", "--json", target.url(1)))
    check(findings(report), table)
    assert f"url = {target.url(1)}" in report["options"]
    assert report["speed"]["depth"] > 1
    assert 0 < report["speed"]["read_us"]
    assert report["ended"] == ""
    for finding in report["findings"]:
        assert (finding["verdict"] == "wrong") == bool(finding["clause"])
    with open(mine, "rb") as file:
        assert file.read() == before


def test_probe__a_tape_is_not_held_to_the_standards_of_disks(target,
                                                             tmp_path):
    tape = str(tmp_path / "tape.img")
    subprocess.run(["tgtimg", "--op", "new", "--device-type", "tape",
                    "--barcode", "T0001", "--size", "64", "--type", "data",
                    "--file", tape], check=True, capture_output=True)
    target.add(1, tape, "tape")
    target.start()
    report = json.loads(run("probe", "--json", target.url(1)))
    assert report["identity"]["type"] == "tape"
    assert "capacity" not in findings(report)
    assert "gesn" not in findings(report)
    assert not [f for f in report["findings"] if f["verdict"] == "wrong"]
    assert "tape" in report["believe"]


def test_probe__leaves_a_cd_of_tgt_as_it_is(target, media):
    """By a read past its end it grows by a block, for all its initiators."""
    target.add(1, media.cd, "cd")
    target.start()
    sizes = {json.loads(run("probe", "--json", target.url(1)))
             ["identity"]["size_bytes"] for _ in range(3)}
    assert sizes == {os.path.getsize(media.cd)}


def test_probe_of_an_image__its_options_are_a_drive_of_that_kind(media):
    for image, more in [(media.a, []), (media.cd, ["type = cdrom"])]:
        report = json.loads(run("probe", "--json", image))
        assert report["options"] == ["[drive NAME]", *more,
                                     f"medium = {image}"]
        # It is protected for the examination's sake alone.
        assert "write-protect" not in findings(report)


def test_probe__empty_and_write_protected(target, media):
    target.add(1, media.a)
    target.add(2, media.b)
    target.start()
    target.update(1, "online=0")
    target.update(2, "readonly=1")
    report = json.loads(run("probe", "--json", target.url(1)))
    assert report["identity"]["medium"] == "none"
    check(findings(report), {"medium": ("note", None)})
    assert report["speed"] is None
    report = json.loads(run("probe", "--json", target.url(2)))
    check(findings(report), {"write-protect": ("note", None)})
    assert report["identity"]["write_protected"] is True


def test_probe__a_target_that_stops_answering(target, media):
    """What is not answered is not called wrong, and the end is soon."""
    target.add(1, media.a)
    target.start()
    with subprocess.Popen(
            [house.REINSERT, "probe", "--guided", "--json", target.url(1)],
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE) as process:
        for line in process.stderr:
            if line.startswith("Take the medium out"):
                break
        target.kill()
        report = json.loads(process.stdout.read())
        said = process.stderr.read()
        assert process.wait(house.HANG) == 1
    assert report["ended"] == "the drive stopped answering"
    assert "the drive stopped answering" in said
    assert not [f for f in report["findings"] if f["verdict"] == "wrong"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_probe_guided__interrupted__says_what_it_found(target, media, how):
    """Without a terminal, and nobody at the other end of its input."""
    target.add(1, media.a)
    target.start()
    with subprocess.Popen(
            [house.REINSERT, "probe", "--guided", target.url(1)],
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE) as process:
        for line in process.stderr:
            if line.startswith("Take the medium out"):
                break
        process.send_signal(how)
        out, said = process.communicate(timeout=house.HANG)
        assert process.returncode == 1
    assert "finding\tcapacity\tgood" in out
    assert "finding\tremoval" not in out
    assert "interrupted" in said and "locked" in said
    # Nothing is locked: the drive lets go of its medium.
    target.update(1, "online=0")
    assert json.loads(run("probe", "--json", target.url(1)))[
        "identity"]["medium"] == "none"


class Look:
    """What goes over the wire: has the program seen the drive empty?"""

    def __init__(self, wire):
        self.asked, self.refused = set(), 0
        wire.rule = self.rule

    def rule(self, pdu, to_target):
        if to_target and pdu.opcode == COMMAND and pdu.cdb[0] == 0:
            self.asked.add(pdu.task)
        if not to_target and pdu.opcode == RESPONSE and pdu.raw[3] == 2:
            self.refused += pdu.task in self.asked
        return PASS

    def empty(self):
        """From now on, once more."""
        before = self.refused
        house.until(lambda: self.refused > before + 1, "a look")


class Hand(threading.Thread):
    """Does what the program asks for."""

    def __init__(self, process, target, look, media, other):
        super().__init__(daemon=True)
        self.process, self.target, self.look = process, target, look
        self.media, self.other = media, other
        self.asked = []

    def run(self):
        for line in self.process.stderr:
            self.asked.append(line.strip())
            if line.startswith("Take the medium out, by"):
                self.target.update(1, "online=0")
            elif line.startswith("Put the same"):
                self.target.update(1, "online=1")
            elif line.startswith("Take the medium out, and"):
                self.target.update(1, "online=0")
                self.look.empty()           # a hand is not faster
                self.target.update(1, f"path={self.other}")
                self.target.update(1, "online=1")
            elif "Press the eject button" in line:
                self.process.stdin.write("none\n")
                self.process.stdin.flush()


@pytest.mark.parametrize("kind, table", [
    ("disk", {"removal": ("good", "2/3A/00"),
              "return": ("wrong", None), "changes": ("wrong", None),
              "button": ("absent", None)}),
    ("cd", {"removal": ("good", "2/3A/00"),
            "read-without-medium": ("wrong", "GOOD"),
            "capacity-without-medium": ("wrong", None),
            "return": ("wrong", None), "changes": ("wrong", None),
            "eject-when-locked": ("good", "5/53/02"),
            "eject": ("good", "GOOD")}),
])
def test_probe_guided__as_measured(target, media, clients, tmp_path, kind,
                                   table):
    mine = media.a if kind == "disk" else media.cd
    other = media.b if kind == "disk" else str(tmp_path / "other.iso")
    if kind == "cd":
        house.subprocess.run(["cp", mine, other], check=True)
    target.add(1, mine, kind)
    target.start()
    wire = Cut(target.port)
    clients.append(wire)
    with subprocess.Popen(
            [house.REINSERT, "probe", "--guided", "--json",
             f"iscsi://127.0.0.1:{wire.port}/{NAME}/1"],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE) as process:
        hand = Hand(process, target, Look(wire), mine, other)
        hand.start()
        report = json.loads(process.stdout.read())
        assert process.wait(house.HANG) == 0
        hand.join(house.HANG)
    found = findings(report)
    check(found, table)
    assert ("read-without-medium" in found) == (kind == "cd")
    said = {(s["what"], s["text"]) for s in report["seen"]}
    assert ("TEST UNIT READY", "2/3A/00") in said
    assert not any("6/28" in text for _, text in said)
    assert "does not announce" in report["believe"]


def test_probe_of_what_is_no_drive():
    for name, why in [("/nonsense", "No such file"), ("/dev/null", "SG_IO"),
                      ("iscsi://x", "iscsi://HOST")]:
        done = subprocess.run([house.REINSERT, "probe", name], text=True,
                              capture_output=True, timeout=house.HANG, check=False)
        assert done.returncode == 1 and why in done.stderr
