"""house.py - a running service, its clients, and the hands of an operator

Service starts the real program in a folder of its own, speaks its control
API, and ends it by its pid; Client is an NBD connection whose requests may
wait.  Nothing here sleeps for a fixed time to let something happen: until()
looks until it is so, and gives up after HANG seconds, which proves nothing but
that it hangs; steady() looks that it stays so.  How long a machine that others
use takes for something says little: what is promised to be soon is shown() so
in one of several attempts.

SPDX-License-Identifier: MIT
"""
import errno
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

import nbd

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..",
                                "tools"))
import volumes  # noqa: E402

REINSERT = os.environ.get("REINSERT", os.path.join(
    os.path.dirname(__file__), "..", "..", "build", "front", "cli",
    "reinsert"))
SLOW = float(os.environ.get("REINSERT_SLOW", "1"))
SANITIZED = re.compile(r"(ERROR|WARNING): \w+Sanitizer|runtime error:|"
                       r"Assertion .* failed|KeBugCheck|BugCheck|\bBUG\b")
MIB = 1 << 20
HANG = max(180.0, 60 * SLOW)     # nothing takes that long, anywhere


def pace():
    """How many times longer things take here and now than on a machine that
    has nothing else to do; no less than that, as far as one can see."""
    return SLOW * max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))


def shown(attempt, seconds, what, tries=12):
    """attempt() takes no longer than that, or returns how long: at one of
    several times.  The machine may be elsewhere at the others."""
    took = []
    while not took or took[-1] >= seconds * pace():
        assert len(took) < tries, f"{what}: after {took} s"
        begin = time.monotonic()
        value = attempt()
        took.append(time.monotonic() - begin if value is None else value)


def until(condition, what="it"):
    """What condition returns, once that is true."""
    begin = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() - begin < HANG, f"{what}: not within {HANG:g} s"
        time.sleep(0.005)


def steady(condition, what="it", seconds=0.3):
    """It is so now, and stays so for a while."""
    end = time.monotonic() + seconds
    while True:
        assert condition(), f"{what}: did not stay so"
        if time.monotonic() > end:
            return
        time.sleep(0.02)


class ApiError(Exception):
    def __init__(self, status, body):
        self.status = status
        self.code = body.get("error", {}).get("code", "")
        self.text = body.get("error", {}).get("text", "")
        super().__init__(f"{status} {self.code}: {self.text}")


def connected(path):
    """A socket.  It waits for its turn: with a limit before that, who meets a
    full queue is sent away."""
    one = socket.socket(socket.AF_UNIX)
    try:
        one.connect(path)
    except OSError:
        one.close()
        raise
    one.settimeout(HANG)
    return one


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = connected(self.path)


class Service:
    """drives: {name: {key: value or list of values}}, as in the INI file."""

    def __init__(self, folder, drives, libraries=None, **service):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.nbd = os.path.join(self.folder, "n.sock")
        self.control = os.path.join(self.folder, "c.sock")
        self.config = os.path.join(self.folder, "reinsert.conf")
        self.log = os.path.join(self.folder, "stderr")
        self.recovery = os.path.join(self.folder, "recovery")
        keys = {"nbd": f"unix:{self.nbd}", "control": self.control,
                "recovery-dir": self.recovery}
        keys.update({k.replace("_", "-"): v for k, v in service.items()})
        self.write_config(keys, drives, libraries or {})
        self.lines = []
        self.stopped = False
        self.start()

    def write_config(self, service, drives, libraries):
        with open(self.config, "w", encoding="utf-8") as file:
            for title, keys in [("service", service)] + [
                    (f"drive {name}", keys) for name, keys in drives.items()
            ] + [(f"library {name}", keys)
                 for name, keys in libraries.items()]:
                file.write(f"[{title}]\n")
                for key, value in keys.items():
                    for one in value if isinstance(value, list) else [value]:
                        file.write(f"{key.replace('_', '-')} = {one}\n")

    def start(self, *words):
        self.stopped = False
        env = dict(os.environ)
        env.pop("REINSERT_CONTROL", None)
        env["TSAN_OPTIONS"] = "atexit_sleep_ms=0:" + env.get(
            "TSAN_OPTIONS", "")
        self.process = subprocess.Popen(
            [REINSERT, "serve", *(words or ["--config", self.config])],
            env=env, cwd=self.folder, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=open(self.log, "a",
                                                encoding="utf-8"))
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith("ready"):
                return
        self.process.wait()
        raise AssertionError("the service did not start: " + self.stderr())

    def stderr(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def alive(self):
        return self.process.poll() is None

    def stop(self, number=signal.SIGTERM):
        """Seconds that the end took."""
        begin = time.monotonic()
        self.stopped = True
        self.process.send_signal(number)
        try:
            self.process.wait(HANG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("SIGTERM did not end the service") from None
        return time.monotonic() - begin

    def kill(self):
        """SIGKILL, as a power cut; start() goes on with what it left."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def end(self):
        """At the end of every test: it lived, ends well and has no report."""
        was = self.process.poll()
        lived = was is None or self.stopped
        if was is None:
            self.stop()
        self.process.stdout.close()
        said = self.stderr()
        assert lived, f"the service died with {was}: {said[-4000:]}"
        assert not SANITIZED.search(said), said[:6000]
        assert "pool: tag" not in said, f"memory was not given back: {said}"
        assert self.process.returncode == 0, (
            f"the service ended with {self.process.returncode}: "
            f"{said[-2000:]}")

    # --- the control API ---

    def call(self, method, path, body=None):
        connection = UnixHTTP(self.control)
        try:
            connection.request(method, path,
                               None if body is None else json.dumps(body))
            reply = connection.getresponse()
            data = json.loads(reply.read())
        finally:
            connection.close()
        if reply.status != 200:
            raise ApiError(reply.status, data)
        return data

    def hand(self, drive, what, body=None):
        name = urllib.parse.quote(drive, safe="")
        return self.call("POST", f"/v1/drives/{name}/{what}", body)

    def insert(self, drive, image):
        return self.hand(drive, "insert", {"image": str(image)})

    def yank(self, drive):
        return self.hand(drive, "yank")

    def eject(self, drive):
        return self.hand(drive, "eject")

    def press(self, drive):
        return self.hand(drive, "press")

    def answer(self, prompt, word):
        return self.call("POST", f"/v1/prompts/{prompt['id']}/answer",
                         {"answer": word})

    def prompts(self):
        return self.call("GET", "/v1/prompts")["prompts"]

    def drives(self):
        return {d["name"]: d for d in self.call("GET", "/v1/drives")["drives"]}

    def volumes(self):
        return self.call("GET", "/v1/volumes")["volumes"]

    def exports(self):
        return {e["name"]: e
                for e in self.call("GET", "/v1/exports")["exports"]}

    def volume(self, name):
        for v in self.volumes():
            if name in (v["name"], v["label"], v["uuid"]):
                return v
        return None

    def mounted(self, *names):
        until(lambda: all((self.volume(n) or {}).get("state") == "mounted"
                          for n in names), f"{names} mounted")

    def absent(self, name):
        until(lambda: self.volume(name)["state"] == "absent",
              f"{name} absent")

    def says(self, text):
        """... on its standard error, sooner or later."""
        until(lambda: text in self.stderr(), f"a line: {text}")

    def one_prompt(self, volume, user=None):
        """The one question for this volume, which user (a Busy) uses."""
        def find():
            if user is not None:
                user.go_on()
            mine = [p for p in self.prompts() if p["volume"] == volume]
            assert len(mine) <= 1, mine
            return mine and mine[0]
        return until(find, f"a question for {volume}")

    def no_prompt(self):
        until(lambda: not self.prompts(), "no question")

    def answer_all(self, word):
        """Whatever is asked just now; it may be gone before it is answered.
        Returns the questions."""
        asked = self.prompts()
        for prompt in asked:
            try:
                self.answer(prompt, word)
            except ApiError as error:
                assert error.status == 404, error
        return asked

    # --- clients ---

    def uri(self, export):
        return volumes.uri(self.nbd, export)

    def client(self, export):
        return Client(self.uri(export))

    def run(self, *words, **more):
        """The command line."""
        return subprocess.run(
            [REINSERT, *words, "--control", self.control], text=True,
            capture_output=True, timeout=HANG, cwd=self.folder, **more)


class Pending:
    """A request under way."""

    def __init__(self, client, cookie, buffer):
        self.client = client
        self.cookie = cookie
        self.buffer = buffer
        self.error = None
        self.ended = False

    def over(self):
        """Ended, well or not?  See error."""
        if not self.ended:
            try:
                self.ended = self.client.handle.aio_command_completed(
                    self.cookie)
            except nbd.Error as error:
                self.ended = True
                self.error = error
        return self.ended

    def turn(self):
        """Lets the connection work; its end is the end of the request."""
        try:
            self.client.handle.poll(20)
        except nbd.Error as error:
            if not self.over():
                self.ended, self.error = True, error

    def wait(self):
        """The error, or None."""
        begin = time.monotonic()
        while not self.over():
            assert time.monotonic() - begin < HANG, (
                f"a request waits for more than {HANG:g} s")
            self.turn()
        return self.error

    def good(self):
        error = self.wait()
        assert error is None, str(error)
        return bytes(self.buffer.to_bytearray()) if self.buffer else None

    def fails(self, *errnos):
        error = self.wait()
        assert error is not None, "the request was said to be done"
        assert error.errnum in (errnos or (errno.EIO,)), str(error)

    def waits(self, seconds=0.2):
        """It is not done, and is not going to be for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn()
            assert not self.over(), f"it did not wait: {self.error}"


class Client:
    def __init__(self, uri):
        self.handle = nbd.NBD()
        self.handle.set_strict_mode(0)
        self.handle.add_meta_context("base:allocation")
        self.handle.connect_uri(uri)

    def close(self):
        self.handle = None          # libnbd closes with the last reference

    @property
    def size(self):
        return self.handle.get_size()

    def sent(self, pending):
        """The request is in the socket as a whole, or nobody takes it."""
        end = time.monotonic() + HANG
        while (self.handle.aio_get_direction() & nbd.AIO_DIRECTION_WRITE
               and time.monotonic() < end):
            pending.turn()
        return pending

    def read_on(self, offset, length):
        buffer = nbd.Buffer(length)
        return self.sent(Pending(
            self, self.handle.aio_pread(buffer, offset), buffer))

    def write_on(self, offset, data, flags=0):
        buffer = nbd.Buffer.from_bytearray(bytearray(data))
        cookie = self.handle.aio_pwrite(buffer, offset, flags=flags)
        pending = Pending(self, cookie, None)
        pending.keep = buffer
        return self.sent(pending)

    def flush_on(self):
        return self.sent(Pending(self, self.handle.aio_flush(), None))

    def read(self, offset, length):
        return self.read_on(offset, length).good()

    def write(self, offset, data, flags=0):
        return self.write_on(offset, data, flags).good()

    def flush(self):
        return self.flush_on().good()


def bytes_at(image, offset, length):
    with open(image, "rb") as file:
        file.seek(offset)
        return file.read(length)


class Fio:
    """fio on an export, verifying what it wrote."""

    def __init__(self, uri, offset, size, folder, *words, **keys):
        keys = {"rw": "randwrite", "bs": "4k", "iodepth": 16,
                "verify": "crc32c", "verify_fatal": 1, "do_verify": 1,
                "verify_state_save": 0, "offset": offset, "size": size,
                **keys}
        self.process = subprocess.Popen(
            ["fio", "--name=job", "--ioengine=nbd", f"--uri={uri}",
             "--minimal", "--thread", *words,
             *(f"--{k}={v}" for k, v in keys.items())],
            cwd=str(folder), text=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)

    def running(self):
        return self.process.poll() is None

    def wait(self):
        try:
            _, said = self.process.communicate(timeout=3 * HANG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("fio did not end") from None
        return self.process.returncode, said

    def good(self):
        code, said = self.wait()
        assert code == 0, said

    def close(self):
        if self.running():
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()


class Busy:
    """Fio after fio, each to its good end: somebody uses the volume at any
    moment, however long the other things take."""

    def __init__(self, *words, **keys):
        self.words, self.keys = words, keys
        self.fio = Fio(*words, **keys)

    def go_on(self):
        if not self.fio.running():
            self.good()
            self.fio.close()
            self.fio = Fio(*self.words, **self.keys)

    def running(self):
        return self.fio.running()

    def good(self):
        self.fio.good()

    def close(self):
        self.fio.close()
