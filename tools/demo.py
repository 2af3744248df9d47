#!/usr/bin/python3
"""demo.py REINSERT - one yank, told line by line as it happens

Two real volumes, a CD, a service, and clients that are not ours: fio writes
and verifies a stream, libnbd reads the CD.  Checks every promise that it
tells; ends with `demo: ok`, or with what broke and exit status 1.

SPDX-License-Identifier: MIT
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import volumes  # noqa: E402

BEGIN = time.monotonic()
HANG_S = 180.0          # nothing takes that long, however busy the machine is
TRIES = 8               # then it ended every client before a hand could move

CD_READER = r"""
import signal, sys, time, nbd
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
h = nbd.NBD()
h.connect_uri(sys.argv[1])
size = h.get_size()
step = 256 << 10
offset = total = 0
longest = 0.0
with open(sys.argv[2], "w") as told:
    print("ready", flush=True)
    last = time.monotonic()
    while not ended:
        n = min(step, size - offset)
        h.pread(n, offset)
        now = time.monotonic()
        longest = max(longest, now - last)
        last = now
        total += n
        offset = (offset + n) % size
        told.seek(0)
        told.write(f"{total:20}")
        told.flush()
print(total, longest, flush=True)
"""


class Broken(Exception):
    pass


def tell(text, who="demo"):
    for line in text.rstrip().splitlines():
        print(f"{time.monotonic() - BEGIN:6.2f}  {who:<9} {line}", flush=True)


def check(truth, text):
    if not truth:
        raise Broken(text)


class Story:
    def __init__(self, reinsert, folder):
        self.reinsert = os.path.abspath(reinsert)
        self.folder = folder
        self.processes = []
        self.nbd = os.path.join(folder, "nbd.sock")
        self.control = os.path.join(folder, "control.sock")

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, words, **more):
        process = subprocess.Popen(words, text=True, **more)
        self.processes.append(process)
        return process

    def end_all(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(HANG_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    # --- the command line, as a person types it ---

    def type(self, *words, ok=True):
        tell("$ reinsert " + " ".join(os.path.basename(w) if w.startswith("/")
                                      else w for w in words), "operator")
        done = subprocess.run([self.reinsert, *words, "--control",
                               self.control], text=True, timeout=HANG_S,
                              capture_output=True)
        said = (done.stdout + done.stderr).replace(self.folder + "/", "")
        if said.strip():
            tell(said.expandtabs(2), "reinsert")
        check(not ok or done.returncode == 0,
              f"reinsert {words[0]} ended with {done.returncode}")
        return done

    def ask(self, verb):
        done = subprocess.run([self.reinsert, verb, "--json", "--control",
                               self.control], text=True, timeout=HANG_S,
                              capture_output=True)
        check(done.returncode == 0, f"reinsert {verb}: {done.stderr}")
        return json.loads(done.stdout)

    def prompts(self):
        return self.ask("prompts")["prompts"]

    def until(self, what, condition):
        end = time.monotonic() + HANG_S
        while not condition():
            self.alive()
            check(time.monotonic() < end, f"{what}: not after {HANG_S:g} s")
            time.sleep(0.02)

    def alive(self):
        check(self.service.poll() is None, "the service ended")

    # --- the parts of the story ---

    def make_media(self):
        tell("two volumes and a CD, made with mkfs.ext4, mkfs.vfat, "
             "genisoimage")
        self.a = volumes.make_ext4(self.path("archive-a.img"), "ARCHIVE-A")
        self.b = volumes.make_fat(self.path("archive-b.img"), "ARCHIVE-B")
        self.cd = volumes.make_iso(self.path("disc.iso"), "DISC")
        self.range = volumes.extent(self.a)
        self.sum_b = volumes.checksum(self.b)
        self.sum_a = volumes.checksum(self.a, without=self.range)
        tell(f"archive-b.img: sha256 {self.sum_b[:16]}...")

    def serve(self):
        with open(self.path("demo.conf"), "w", encoding="utf-8") as file:
            file.write(f"[service]\nnbd = unix:{self.nbd}\n"
                       f"control = {self.control}\n\n"
                       f"[drive disk]\ntype = disk\nmedium = {self.a}\n\n"
                       f"[drive cd]\ntype = cdrom\nmedium = {self.cd}\n")
        tell("$ reinsert serve --config demo.conf", "operator")
        self.service = self.start(
            [self.reinsert, "serve", "--config", self.path("demo.conf")],
            stdout=subprocess.PIPE, stderr=open(self.path("events"), "w",
                                                encoding="utf-8"))
        lines = []
        for line in self.service.stdout:
            lines.append(line)
            if line.startswith("ready"):
                break
        else:
            with open(self.path("events"), encoding="utf-8") as file:
                raise Broken("the service did not start: " + file.read())
        tell("".join(lines).replace(self.folder + "/", "").expandtabs(2),
             "reinsert")
        self.until("ARCHIVE-A and DISC are exported", lambda: {
            "ARCHIVE-A", "DISC"} <= {v["name"] for v in
                                     self.ask("status")["volumes"]})

    def play_cd(self):
        self.reader = self.start(
            [sys.executable, "-c", CD_READER, volumes.uri(self.nbd, "DISC"),
             self.path("cd.told")], stdout=subprocess.PIPE)
        check(self.reader.stdout.readline() == "ready\n",
              "the reader of the CD did not connect")
        tell("reads the CD, over and over, at full speed", "libnbd")

    def cd_bytes(self):
        with open(self.path("cd.told"), encoding="utf-8") as file:
            return int(file.read() or 0)

    def cd_does_not_wait(self):
        """While something else does."""
        before = self.cd_bytes()
        self.until("the CD is read on",
                   lambda: self.cd_bytes() > before + (4 << 20))

    def cd_ends(self):
        self.reader.send_signal(signal.SIGTERM)
        said = self.reader.stdout.read().split()
        self.reader.wait(HANG_S)
        check(len(said) == 2, "the reader of the CD failed")
        total, longest = int(said[0]), float(said[1])
        tell(f"read {total >> 20} MiB of the CD; longest gap "
             f"{longest * 1000:.1f} ms", "libnbd")

    def fio(self, name, *words):
        offset, length = self.range
        return self.start(
            ["fio", f"--name={name}", "--ioengine=nbd",
             f"--uri={volumes.uri(self.nbd, 'ARCHIVE-A')}", "--rw=write",
             "--bs=64k", f"--offset={offset}", f"--size={length}",
             "--verify=crc32c", "--verify_fatal=1",
             "--verify_state_save=0", "--minimal", *words],
            cwd=self.folder, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)

    def yank_in_the_middle(self, begin):
        """begin() starts the client; on a busy machine it may be through before
        a hand can move."""
        for _ in range(TRIES):
            self.wipe()
            self.client = client = begin()
            self.until("the stream is on its way",
                       lambda: self.written() >= 96 or client.poll() is not None)
            self.type("yank", "disk")
            self.until("a question", lambda: self.prompts() or
                       client.poll() is not None)
            if client.poll() is None:
                break
            tell("the client was faster than the hand; once more")
            self.type("insert", "disk", self.a)
            self.until("ARCHIVE-A is back", self.a_is_mounted)
        check(client.poll() is None, "the client ended before the yank")
        self.type("prompts")
        check(len(self.prompts()) == 1, "more than one question")
        self.cd_does_not_wait()
        check(client.poll() is None, "the client did not wait")
        tell("waits", "fio")

    def a_is_mounted(self):
        return any(v["name"] == "ARCHIVE-A" and v["state"] == "mounted"
                   for v in self.ask("status")["volumes"])

    def wipe(self):
        """None of the stream is written."""
        offset, length = self.range
        program = ("import nbd, sys\n"
                   "h = nbd.NBD()\n"
                   "h.connect_uri(sys.argv[1])\n"
                   "for at in range(0, int(sys.argv[3]), 1 << 20):\n"
                   "    n = min(1 << 20, int(sys.argv[3]) - at)\n"
                   "    h.pwrite(bytes(n), int(sys.argv[2]) + at)\n"
                   "h.flush()\n")
        if self.written() > 0:
            subprocess.run([sys.executable, "-c", program,
                            volumes.uri(self.nbd, "ARCHIVE-A"), str(offset),
                            str(length)], check=True)

    def written(self):
        """64 KiB pieces of the stream that no longer are what they were."""
        offset, length = self.range
        count = 0
        with open(self.a, "rb") as file:
            for at in range(offset, offset + length, 64 << 10):
                file.seek(at)
                # fio's header: it begins with a magic number
                count += file.read(2) == b"\xca\xac"
        return count

    def refuse_b(self):
        self.type("insert", "disk", self.b)
        self.until("ARCHIVE-B is seen", lambda: any(
            v["name"] == "ARCHIVE-B" for v in self.ask("status")["volumes"]))
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            check(len(self.prompts()) == 1, "the question did not stay")
            time.sleep(0.1)
        check(self.client.poll() is None, "the client did not wait")
        self.type("prompts")
        check(volumes.checksum(self.b) == self.sum_b, "ARCHIVE-B was changed")
        self.type("eject", "disk")
        check(volumes.checksum(self.b) == self.sum_b, "ARCHIVE-B was changed")
        tell("ARCHIVE-B was refused, its checksum is the same to the bit")

    def client_ends(self):
        try:
            _, said = self.client.communicate(timeout=HANG_S)
        except subprocess.TimeoutExpired:
            raise Broken("the client did not go on") from None
        return self.client.returncode, said

    def a_comes_back(self):
        self.type("insert", "disk", self.a)
        self.until("the question is gone", lambda: not self.prompts())
        tell("the question went away by itself")
        code, said = self.client_ends()
        check(code == 0, f"fio ended with {code}: {said}")
        tell("wrote and verified its stream, and knows of nothing", "fio")

    def verify_a(self):
        offset, length = self.range
        said = volumes.fsck(self.a)
        check(said is None, f"e2fsck -fn: {said}")
        tell("e2fsck -fn is clean", "e2fsck")
        check(volumes.checksum(self.a, without=self.range) == self.sum_a,
              "ARCHIVE-A was changed outside of the stream")
        content = self.path("stream.copy")
        volumes.tool("debugfs", "-R", f"dump /stream.bin {content}", self.a)
        volumes.tool("fio", "--name=stream", "--ioengine=psync",
                     f"--filename={self.a}", "--rw=read", "--bs=64k",
                     f"--offset={offset}", f"--size={length}",
                     "--verify=crc32c", "--verify_state_save=0",
                     "--readonly")
        with open(self.a, "rb") as image, open(content, "rb") as copy:
            image.seek(offset)
            check(image.read(length) == copy.read(),
                  "stream.bin is not the stream")
        tell("every block of /stream.bin verifies on the medium itself", "fio")

    def the_yank(self):
        tell("--- a medium is pulled out in the middle of a write")
        tell("writes a stream to ARCHIVE-A and verifies it", "fio")
        self.yank_in_the_middle(lambda: self.fio(
            "stream", "--do_verify=1", "--rate=12m", "--iodepth=16"))
        self.refuse_b()
        self.a_comes_back()
        self.verify_a()

    def the_cancel(self):
        tell("--- the same, and this time the operator gives up")
        self.yank_in_the_middle(lambda: self.fio(
            "again", "--do_verify=0", "--rate=6m", "--iodepth=1"))
        self.refuse_b()
        kept = volumes.checksum(self.a)
        self.type("answer", str(self.prompts()[0]["id"]), "cancel")
        code, said = self.client_ends()
        check(code != 0, "the client was not told")
        check("Input/output error" in said or "error=5" in said
              or "(5)" in said, f"the client was told something else: {said}")
        tell(said.strip().splitlines()[0], "fio")
        self.until("the question is gone", lambda: not self.prompts())
        check(volumes.checksum(self.a) == kept, "ARCHIVE-A was written to")
        check(volumes.checksum(self.b) == self.sum_b, "ARCHIVE-B was changed")
        check(volumes.checksum(self.a, without=self.range) == self.sum_a,
              "ARCHIVE-A was changed outside of the stream")
        said = volumes.fsck(self.a)
        check(said is None, f"e2fsck -fn: {said}")
        tell("got its I/O error; nothing was written anywhere else", "fio")

    def stop(self):
        self.type("status")
        begin = time.monotonic()
        self.service.terminate()
        code = self.service.wait(HANG_S)
        took = time.monotonic() - begin
        check(code == 0, f"the service ended with {code} after {took:.1f} s")
        tell(f"ended after {took * 1000:.0f} ms", "reinsert")

    def run(self):
        self.make_media()
        self.serve()
        self.play_cd()
        self.the_yank()
        self.the_cancel()
        self.cd_ends()
        self.stop()


def main():
    if len(sys.argv) != 2:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    folder = tempfile.mkdtemp(prefix="reinsert-demo-")
    story = Story(sys.argv[1], folder)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        story.run()
    except (Broken, RuntimeError, OSError,
            subprocess.TimeoutExpired) as error:
        print(f"demo: broken: {error}", flush=True)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", flush=True)
        return 1
    finally:
        story.end_all()
        shutil.rmtree(folder, ignore_errors=True)
    print("demo: ok", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
