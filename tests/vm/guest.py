"""guest.py - the service inside the guest, on the guest's own drives

SPDX-License-Identifier: MIT
"""
import json
import shlex
import time

from house import REINSERT, until
from vm import HANG, Failed


class Refused(Exception):
    """It did not start; what it said."""


def refusal(machine, name, drives, *words, **more):
    """What a service says of its drives, none of which it can have; all of
    these words."""
    service = Guest(machine, name, drives, **more)

    def said():
        status = service.wait(
            lambda s: all(d["state"] == "away" for d in s["drives"]),
            "drives that are away")
        text = " ".join([d["changes_why"] for d in status["drives"]] +
                        [service.job.output])
        return all(word in text for word in words) and text
    try:
        return until(said, " ".join(words))
    finally:
        service.end()


class Guest:
    """drives, libraries: {name: {key: value}}, as in the INI file; a value may
    be a list."""

    def __init__(self, machine, name, drives, prefix="", libraries=None):
        self.machine = machine
        self.name = name
        self.prefix = prefix        # before the program: another user, say
        self.folder = f"/run/{name}"
        self.socket = f"{self.folder}/c.sock"
        self.nbd = f"{self.folder}/n.sock"
        self.pid = f"{self.folder}/pid"
        lines = ["[service]", f"nbd = unix:{self.nbd}",
                 f"control = {self.socket}",
                 f"recovery-dir = {self.folder}/recovery"]
        sections = {f"drive {n}": keys for n, keys in drives.items()}
        for one, keys in (libraries or {}).items():
            sections[f"library {one}"] = keys
        for section, keys in sections.items():
            lines.append(f"[{section}]")
            for key, value in keys.items():
                lines += [f"{key} = {each}" for each in
                          (value if isinstance(value, list) else [value])]
        with open(machine.path(f"{name}.conf"), "w",
                  encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        self.start()

    def start(self):
        self.job = self.machine.begin(
            f"mkdir -p -m 777 {self.folder} {self.folder}/recovery\n"
            f"cp {self.machine.path(self.name)}.conf {self.folder}/conf\n"
            f"sh -c 'echo $$ >{self.pid}; exec {self.prefix} {REINSERT} serve "
            f"--config {self.folder}/conf'")
        until(lambda: "\nready\t" in "\n" + self.job.output or self.job.over(),
              "the service in the guest")
        if self.job.status is not None:
            raise Refused(self.job.output)

    def words(self, *words):
        """A command line, for a pipe in the guest."""
        return shlex.join([REINSERT, *words, "--control", self.socket])

    def status(self):
        return json.loads(self.machine.run(self.words("status", "--json")))

    def volume(self, label):
        return next((v for v in self.status()["volumes"]
                     if v["label"] == label), None)

    def prompts(self):
        return self.status()["prompts"]

    def drive(self, name):
        return next(d for d in self.status()["drives"] if d["name"] == name)

    def do(self, *words):
        return self.machine.run(self.words(*words))

    def wait(self, what, text):
        """Until what(status) is true; the status."""
        end = time.monotonic() + HANG
        while True:
            status = self.status()
            if what(status):
                return status
            if time.monotonic() > end:
                raise Failed(f"{text}: not within {HANG:g} s: "
                             f"{json.dumps(status)}")

    def mounted(self, label):
        self.wait(lambda s: any(v["label"] == label and v["state"] == "mounted"
                                for v in s["volumes"]), f"{label} mounted")

    def question(self, label, text="", anyhow=None):
        """The one prompt, for this volume, with such a text; anyhow() sees to
        it that somebody uses it."""
        def asked(status):
            if anyhow is not None:
                anyhow()
            found = status["prompts"]
            assert len(found) <= 1, found
            assert all(label in p["volume"] for p in found), found
            return found and text in found[0]["text"]
        return self.wait(asked, f"a question for {label}")["prompts"][0]

    def no_question(self):
        self.wait(lambda s: not s["prompts"], "no question")

    def stop(self):
        self.machine.run(f"kill $(cat {self.pid})")
        status = self.job.wait()
        assert status == 0, f"it ended with {status}:\n{self.job.output}"

    def kill(self):
        self.machine.run(f"kill -9 $(cat {self.pid})")
        self.job.wait()

    def end(self):
        if not self.job.over():
            self.stop()
