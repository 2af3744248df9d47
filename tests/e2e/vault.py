"""vault.py - a library on the bench: its robot, hands, faults, and the truth

Vault is a service with an emulated library of eight slots and a mail slot,
asked through a link called mtx and through the control API.  What is really
where is in the state file of the emulation, which no layer above it writes;
agree() compares all three.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import subprocess
import urllib.parse

from house import HANG, REINSERT, connected, until

LABELS = [f"LTO00{n}L6" for n in range(1, 6)]
CLEANER = "CLN001L1"
HEAD = "reinsert-library 1\n"
KINDS = {1: "transport", 2: "slot", 3: "mail-slot", 4: "drive"}


def make_media(folder, labels, kind="img"):
    """A cartridge for each name: disks of which only the first bytes differ, or
    blank tapes."""
    folder.mkdir(exist_ok=True)
    for label in labels:
        with open(folder / f"{label}.{kind}", "wb") as image:
            if kind == "img":
                image.write(label.encode().ljust(512, b"\0"))
                image.truncate(256 << 10)
    return folder


class Said:
    """What a command line said: notes apart."""

    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.all = done.stderr
        lines = done.stderr.splitlines()
        self.notes = [x[6:] for x in lines if x.startswith("note: ")]
        self.err = [x for x in lines if not x.startswith("note: ")]

    def __repr__(self):
        return f"{self.code} {self.out!r} {self.all!r}"


class Vault:
    """where: {label: (kind, number)} to begin with; else LTO001L6 to LTO005L6
    lie in slots 1 to 5, and CLN001L1 in slot 8."""

    def __init__(self, serve, folder, labels=None, where=None, **keys):
        self.folder = folder
        self.state = folder / "state"
        self.kind = "tap" if keys.get("drive_type") == "tape" else "img"
        self.media = make_media(
            folder / "media", LABELS + [CLEANER] if labels is None else labels,
            self.kind)
        self.state.mkdir(exist_ok=True)
        self.keys = dict({"slots": 8, "mail_slots": 1, "drives": 2,
                          "drive_type": "disk", "media": self.media,
                          "state": self.state, "personality": "base-1000",
                          "poll_interval": 0}, **keys)
        if where is None and labels is None:
            where = {label: ("slot", n) for n, label in enumerate(LABELS, 1)}
            where[CLEANER] = ("slot", 8)
        if where is not None:
            self.write({label: (*at, -1) for label, at in where.items()})
        self.service = serve({}, libraries={"vault": self.keys})
        self.link = os.path.join(str(folder), "mtx")
        os.symlink(os.path.abspath(REINSERT), self.link)

    # --- the service ---

    def down(self, kill=False):
        if kill:
            self.service.kill()
        else:
            self.service.stop()
            self.service.process.stdout.close()

    def up(self, **keys):
        """Keys: what is configured otherwise from now on."""
        self.keys.update(keys)
        text = [f"[service]\nnbd = unix:{self.service.nbd}\n"
                f"control = {self.service.control}\n"
                f"recovery-dir = {self.service.recovery}\n[library vault]\n"]
        for key, value in self.keys.items():
            for one in value if isinstance(value, list) else [value]:
                text.append(f"{key.replace('_', '-')} = {one}\n")
        with open(self.service.config, "w", encoding="utf-8") as file:
            file.write("".join(text))
        self.service.start()
        self.service.stopped = False

    def again(self, kill=False, **keys):
        self.down(kill)
        self.up(**keys)

    # --- asking ---

    def mtx(self, *words, name="vault", **more):
        env = dict(os.environ, REINSERT_CONTROL=self.service.control)
        return Said(subprocess.run(
            [self.link, "-f", name, *map(str, words)], env=env, text=True,
            capture_output=True, timeout=HANG, **more))

    def begin(self, *words):
        """The same, under way."""
        env = dict(os.environ, REINSERT_CONTROL=self.service.control)
        return subprocess.Popen(
            [self.link, "-f", "vault", *map(str, words)], env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def good(self, *words):
        said = self.mtx(*words)
        assert said.code == 0, said
        return said

    def fails(self, *words):
        said = self.mtx(*words)
        assert said.code == 1, said
        return said

    def do(self, command, **body):
        return self.service.call(
            "POST", f"/v1/libraries/vault/{command}", body)["result"]

    def hand(self, what, **body):
        return self.service.call("POST", "/v1/libraries/vault/hand",
                                 dict(what=what, **body))

    def look(self):
        return self.service.call("GET", "/v1/libraries/vault")

    def library(self):
        return self.look()["library"]

    def element(self, kind, number):
        return next(e for e in self.look()["elements"]
                    if (e["type"], e["number"]) == (kind, number))

    def events(self, action=None):
        """The texts of what has happened so far, or most of it: the stream has
        no end."""
        link = connected(self.service.control)
        link.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n"
                     b"Last-Event-ID: 0\r\n\r\n")
        data = b""
        try:
            while True:
                part = link.recv(65536)
                if not part:
                    break
                data += part
                link.settimeout(0.2)
        except TimeoutError:
            pass
        link.close()
        found = [json.loads(x) for x in re.findall(
            r"^data: (\{.*\})\s*$", data.decode(), re.M)]
        return [e["text"] for e in found if e["kind"] == "library"
                and action in (None, e["action"])]

    def tells(self, action, text=""):
        """... of such a thing, sooner or later."""
        until(lambda: any(text in x for x in self.events(action)),
              f"an event: {action} {text}")

    # --- what is true ---

    def path(self):
        return self.state / "library.state"

    def raw(self):
        """{label: (kind, number, source address)}: kind 0 is outside."""
        with open(self.path(), encoding="utf-8") as file:
            lines = file.read().splitlines()
        assert lines[0] + "\n" == HEAD and lines[-1] == "end", lines
        found = {}
        for line in lines[1:-1]:
            kind, index, source, *_, name = line.split(" ")
            label = urllib.parse.unquote(name).rsplit(".", 1)[0]
            found[label] = (int(kind), int(index), int(source))
        return found

    def write(self, raw):
        """While the service is down: what another initiator has done."""
        uses = self.keys.get("cleaning_uses", 50)
        with open(self.path(), "w", encoding="utf-8") as file:
            file.write(HEAD)
            for label, (kind, index, source) in raw.items():
                if isinstance(kind, str):
                    kind = next(k for k, v in KINDS.items() if v == kind)
                    index -= kind == 2
                file.write(f"{kind} {index} {source} 0 {uses} - - "
                           f"{label}.{self.kind}\n")
            file.write("end\n")

    def truth(self):
        """{(type, number): label}, as programs count: slots from 1."""
        found = {}
        for label, (kind, index, _) in self.raw().items():
            if kind == 0:
                continue
            number = index + (0 if kind in (1, 4) else 1)
            if kind == 3:
                number += int(self.keys["slots"])
            assert (KINDS[kind], number) not in found, self.raw()
            found[(KINDS[kind], number)] = label
        return found

    def where(self, label):
        return next((at for at, who in self.truth().items() if who == label),
                    None)

    def agree(self, labels=True):
        """The truth; status and API say the same."""
        truth = self.truth()
        said = {(e["type"], e["number"]): e["barcode"]
                for e in self.look()["elements"] if e["full"]}
        if labels:
            assert said == {at: who.split(".")[0]
                            for at, who in truth.items()}
        else:
            assert set(said) == set(truth)
        lines = self.good("status").out.splitlines()
        full = set()
        for line in lines[1:]:
            found = re.match(
                r"(?:(Data Transfer)|      (Storage)) Element (\d+)"
                r"( IMPORT/EXPORT)?:(Full |Empty)(.*)$", line)
            assert found, line
            number = int(found[3])
            at = ("drive" if found[1] else
                  "mail-slot" if found[4] else "slot", number)
            if found[5] == "Full ":
                full.add(at)
                if labels:
                    assert truth[at].split(".")[0] in found[6], line
        assert full == {at for at in truth if at[0] != "transport"}, lines
        return truth

    def settled(self):
        """It is ready again, and all say the same."""
        self.do("refresh")
        until(lambda: self.library()["state"] == "ready", "a ready library")
        return self.agree()


def one_sentence(said):
    """No sense data, nothing that makes a script repeat; people read it."""
    assert said.code == 1 and said.err, said
    assert "Error Code=" not in said.all and "Sense" not in said.all, said
    assert "STATUS_" not in said.all, said
