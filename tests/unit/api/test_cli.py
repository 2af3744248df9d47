"""The command line, run as people and scripts run it, on a fake service.

REINSERT is the program under test.  Every service lives in a folder of its
own; each is stopped by its own pid.

SPDX-License-Identifier: MIT
"""
import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import time

import pytest

REINSERT = os.environ["REINSERT"]
LIMIT = 120     # only ends a hang


class Service:
    def __init__(self, folder, *args, **env):
        self.folder = folder
        self.env = dict(os.environ, XDG_RUNTIME_DIR=str(folder), **env)
        self.env.pop("REINSERT_CONTROL", None)
        # The thread sanitizer likes to sleep for a second at the end.
        self.env["TSAN_OPTIONS"] = "atexit_sleep_ms=0:" + self.env.get(
            "TSAN_OPTIONS", "")
        self.process = subprocess.Popen(
            [REINSERT, "serve", *args], env=self.env, cwd=folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def wait_ready(self):
        lines = {}
        for line in self.process.stdout:
            key, _, value = line.rstrip("\n").partition("\t")
            lines[key] = value
            if key == "ready":
                return lines
        raise AssertionError(self.process.stderr.read())

    def run(self, *args, **more):
        return subprocess.run([REINSERT, *args], env=self.env,
                              cwd=self.folder, text=True, timeout=LIMIT,
                              capture_output=True, **more)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, err


def image(folder, name):
    path = folder / name
    with open(path, "wb") as file:
        file.truncate(64 << 20)
    return path


@pytest.fixture
def service(tmp_path):
    image(tmp_path, "A.img")
    image(tmp_path, "B.img")
    s = Service(tmp_path, "A.img")
    s.lines = s.wait_ready()
    yield s
    if s.process.poll() is None:
        s.stop()
    s.process.stdout.close()
    s.process.stderr.close()


def tty_run(service, *args, columns=100):
    """Output of a client on a terminal."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(service.folder)
        subprocess.run(["stty", "cols", str(columns)])
        os.execve(REINSERT, [REINSERT, *args], service.env)
    out = b""
    while select.select([fd], [], [], 10)[0]:
        try:
            piece = os.read(fd, 65536)
        except OSError:
            break
        if not piece:
            break
        out += piece
    os.close(fd)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, out.decode().replace("\r\n", "\n")


def test_serve_says_what_to_do_next(service):
    socket = f"{service.folder}/reinsert/nbd.sock"
    assert service.lines["list"] == (
        f"nbdinfo --list 'nbd+unix:///?socket={socket}'")
    assert "/A?socket=" in service.lines["copy"]
    assert service.lines["attach"] == (
        f"nbd-client -unix {socket} -N A /dev/nbd0")
    assert service.lines["prompts"] == "reinsert prompts --watch"
    assert service.lines["ready"] == str(service.process.pid)
    assert os.stat(f"{service.folder}/reinsert").st_mode & 0o777 == 0o700


def test_status_in_a_pipe_is_tab_separated(service):
    r = service.run("status")
    assert r.returncode == 0, r.stderr
    rows = [line.split("\t") for line in r.stdout.splitlines()]
    assert [row[0] for row in rows] == ["service", "nbd", "unflushed-log",
                                        "drive", "tape", "volume"]
    assert next(row for row in rows if row[0] == "tape")[1:5] == [
        "tape0", "ready", "VOL1", "ANSI"]
    assert rows[2][1:] == ["flush-through", "/log", "full", ""]
    assert rows[3][1:7] == ["disk0", "disk", "ready",
                            f"{service.folder}/A.img", "A", str(64 << 20)]
    assert len(rows[3]) == 14 and len(rows[5]) == 16
    assert rows[5][1:3] == ["A", "mounted"]


def test_status_json_has_all(service):
    reply = json.loads(service.run("status", "--json").stdout)
    assert set(reply) == {"service", "counts", "drives", "tapes", "volumes",
                          "prompts", "recovery"}


def test_status_on_a_terminal_is_a_table(service):
    status, out = tty_run(service, "status")
    assert status == 0
    assert "DRIVE  TYPE  STATE  MEDIUM" in out
    assert "64 MiB  3 s ago" in out
    assert "\t" not in out
    status, out = tty_run(service, "status", columns=60)
    assert "..." in out


def test_press_prints_the_drive_as_eject_does(service):
    assert service.run("press", "disk0").stdout == "drive\tdisk0\topen\t\t\n"
    done = service.run("press", "disk0")
    assert done.returncode != 0 and done.stderr.startswith("reinsert: press: ")


def test_yank_prompt_answer_insert(service):
    assert service.run("yank", "disk0").stdout == "drive\tdisk0\tempty\t\t\n"
    fields = service.run("prompts").stdout.rstrip("\n").split("\t")
    assert fields[:5] == ["prompt", "1", "A", "disk0",
                          "STATUS_NO_MEDIA_IN_DEVICE"]
    status, out = tty_run(service, "prompts")
    assert "reinsert answer 1 retry|cancel" in out
    assert service.run("answer", "1", "maybe").returncode == 2
    assert service.run("answer", "1", "retry").returncode == 0
    gone = service.run("answer", "1", "cancel")
    assert gone.returncode == 1 and "no prompt 1" in gone.stderr
    # A relative path is the client's, not the service's.
    sub = service.folder / "sub"
    sub.mkdir()
    r = subprocess.run([REINSERT, "insert", "disk0", "../B.img", "--json"],
                       env=service.env, cwd=sub, text=True,
                       capture_output=True)
    assert json.loads(r.stdout)["drive"]["medium"] == f"{sub}/../B.img"


@pytest.mark.parametrize("args, code, word", [
    (("eject", "none"), 1, "none"),
    (("insert", "disk0", "B.img"), 1, "disk0"),
    (("insert", "disk0", "/no/such"), 1, "/no/such"),
    (("eject",), 2, "too few"),
    (("eject", "--speed", "disk0"), 2, "--speed"),
    (("statsu",), 2, "statsu"),
    (("sense", "xyz"), 2, "xyz"),
    (("help", "nothing"), 2, "nothing"),
    ((), 2, "usage"),
    (("status", "--control", "/tmp/" + "x" * 120), 2, "107 bytes"),
])
def test_mistakes(service, args, code, word):
    r = service.run(*args)
    assert r.returncode == code
    assert word in r.stderr
    assert r.stdout == ""


def test_eject_of_nothing_is_not_ready(service):
    assert service.run("eject", "disk0").returncode == 0
    r = service.run("eject", "disk0")
    assert r.returncode == 2 and "disk0" in r.stderr


class follow(subprocess.Popen):
    """A client that runs on; killed when its `with` block ends."""

    def __init__(self, service, *args):
        super().__init__([REINSERT, *args], env=service.env, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __exit__(self, *why):
        self.kill()
        super().__exit__(*why)


def test_prompts_watch_shows_beginning_and_end(service):
    service.run("yank", "disk0")
    with follow(service, "prompts", "--watch") as watch:
        assert watch.stdout.readline().startswith("prompt\t1\t")
        service.run("insert", "disk0", "A.img")
        assert watch.stdout.readline() == (
            "end\t1\tThe right medium arrived\n")
        service.run("yank", "disk0")
        assert watch.stdout.readline().startswith("prompt\t2\t")
        service.stop()
        assert watch.wait(LIMIT) == 1
        assert "has ended" in watch.stderr.read()


KEPT = "/var/lib/reinsert/recovery/A.recovery"


def test_cancel_names_the_recovery_file(service):
    service.run("yank", "disk0")
    with follow(service, "prompts", "--watch") as watch:
        assert watch.stdout.readline().startswith("prompt\t1\t")
        r = service.run("answer", "1", "use")
        assert r.returncode == 5 and "not changed elsewhere" in r.stderr
        assert service.run("answer", "1", "cancel").stdout == (
            f"answered\t1\tcancel\t{KEPT}\n")
        assert watch.stdout.readline().startswith("end\t1\t")
        assert watch.stdout.readline() == (
            f"recovery\tA\twhat volume A still lacks is kept in {KEPT}\n")
    last = service.run("status").stdout.splitlines()[-1].split("\t")
    assert last == ["recovery", KEPT, "A", "65536",
                    "STATUS_NO_MEDIA_IN_DEVICE", "disk0", "1700000000000"]
    service.run("yank", "disk0")
    service.run("insert", "disk0", "A.img")
    service.run("yank", "disk0")
    reply = json.loads(service.run("answer", "2", "cancel", "--json").stdout)
    assert reply["prompt"]["recovery"] == KEPT


def test_events_follow(service):
    with follow(service, "events", "--json") as watch:
        for _ in range(100):        # until it has subscribed
            service.run("yank", "disk0")
            service.run("insert", "disk0", "A.img")
            if select.select([watch.stdout], [], [], 0.05)[0]:
                break
        # The first may be a question that followed what came before it.
        events = (json.loads(line) for line in watch.stdout)
        event = next(e for e in events if e["kind"] == "drive")
        assert event["drive"] == "disk0"


def test_no_service(tmp_path):
    env = dict(os.environ, REINSERT_CONTROL=f"{tmp_path}/none")
    r = subprocess.run([REINSERT, "status"], env=env, text=True,
                       capture_output=True)
    assert r.returncode == 1
    assert r.stderr == (f"reinsert: no service at {tmp_path}/none: "
                        "start one with: reinsert serve IMAGE...\n")


def test_bad_config(tmp_path):
    config = tmp_path / "x.conf"
    config.write_text("[service]\nspeed = 9\n")
    r = subprocess.run([REINSERT, "serve", "--config", config], text=True,
                       capture_output=True)
    assert r.returncode == 2
    assert r.stderr.startswith(f"{config}:2: ")
    assert r.stdout == ""
    assert os.listdir(tmp_path) == ["x.conf"]


@pytest.mark.parametrize("args, code, word", [
    (("A.img", "--nbd", "udp:x"), 2, "udp:x"),
    (("A.img", "--control", ""), 2, "--control"),
    ((), 2, "which images"),
    (("missing.img",), 1, "missing.img"),
    (("A.img", "--nbd", "unix:/taken"), 1, "/taken"),
    (("A.img", "--control", "/no/such/folder/s"), 1, "/no/such/folder/s"),
])
def test_serve_refuses(tmp_path, args, code, word):
    image(tmp_path, "A.img")
    s = Service(tmp_path, *args)
    out, err = s.process.communicate(timeout=LIMIT)
    assert s.process.returncode == code
    assert word in err and out == ""


def test_second_service_is_refused(service):
    r = service.run("serve", "B.img")
    assert r.returncode == 1
    assert "already listens" in r.stderr
    assert service.run("status").returncode == 0


def test_config_and_overrides(tmp_path):
    image(tmp_path, "A.img")
    (tmp_path / "c.conf").write_text(
        "[service]\nnbd = unix:/x\ncontrol = /no/such/place\n"
        f"[drive left]\nmedium = {tmp_path}/A.img\n")
    s = Service(tmp_path, "--config", "c.conf", "--nbd", "tcp:127.0.0.1:0",
                "--control", f"{tmp_path}/my control", "--json")
    ready = json.loads(s.process.stdout.readline())
    assert ready["pid"] == s.process.pid
    assert ready["nbd"] == [{"address": "tcp:127.0.0.1:0",
                             "uri": "nbd://127.0.0.1:0/"}]
    r = s.run("status", "--control", f"{tmp_path}/my control")
    assert "drive\tleft\t" in r.stdout
    assert s.stop()[0] == 0
    assert not os.path.exists(tmp_path / "my control")


def test_stop_with_clients_and_a_slow_eject(tmp_path):
    image(tmp_path, "A.img")
    s = Service(tmp_path, "A.img", FAKE_EJECT_MS="3600000")
    s.wait_ready()
    clients = [follow(s, "events") for _ in range(5)]
    clients.append(follow(s, "eject", "disk0"))
    time.sleep(0.3)
    code, err = s.stop()
    assert code == 0, err
    for client in clients:
        assert client.wait(LIMIT) == 1
        client.stdout.close()
        client.stderr.close()


@pytest.mark.parametrize("trouble", ["FAKE_HANG", "FAKE_DEAF"])
def test_stop_when_something_hangs(tmp_path, trouble):
    image(tmp_path, "A.img")
    s = Service(tmp_path, "A.img", FAKE_EJECT_MS="3600000", **{trouble: "1"})
    s.wait_ready()
    eject = follow(s, "eject", "disk0")
    time.sleep(0.3)
    begin = time.monotonic()
    code, err = s.stop()
    if trouble == "FAKE_HANG":  # by force, after thirty seconds
        assert code == 1 and time.monotonic() - begin > 25
        assert "ended by force, waiting for the drives" in err
    eject.communicate(timeout=LIMIT)


def test_log_lines_do_not_block_the_service(tmp_path):
    """Nobody reads stderr; the service goes on, and stops."""
    image(tmp_path, "A.img")
    s = Service(tmp_path, "A.img")
    fcntl.fcntl(s.process.stderr, fcntl.F_SETPIPE_SZ, 4096)
    s.wait_ready()
    for _ in range(60):
        s.run("yank", "disk0")
        s.run("insert", "disk0", "A.img")
    s.process.terminate()
    assert s.process.wait(LIMIT) == 0
    assert "reinsert answer 1 retry|cancel" in s.process.stderr.read()


def test_quiet(tmp_path):
    image(tmp_path, "A.img")
    s = Service(tmp_path, "A.img", "--quiet")
    s.wait_ready()
    s.run("yank", "disk0")
    assert s.stop()[1] == ""


@pytest.mark.parametrize("form", [("2/3A/00",), ("70", "00", "02", "00", "00",
                                  "00", "00", "0a", "00", "00", "00", "00",
                                  "3a", "00")])
def test_sense_needs_no_service(form):
    r = subprocess.run([REINSERT, "sense", *form, "--json"], text=True,
                       capture_output=True)
    reply = json.loads(r.stdout)
    assert (reply["key"], reply["asc"], reply["ascq"]) == (2, 0x3A, 0)
    assert reply["status"] == {"name": "STATUS_NO_MEDIA_IN_DEVICE",
                               "value": 0xC0000013}
