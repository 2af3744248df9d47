"""Start and end of the service; its sockets; the command line.

SPDX-License-Identifier: MIT
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from house import (HANG, MIB, REINSERT, Client, Fio, bytes_at, shown,
                   until, volumes)


def test_images_alone_are_enough(media, tmp_path):
    """serve IMAGE...: a drive for each, sockets in the run folder."""
    env = dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path))
    env.pop("REINSERT_CONTROL", None)
    process = subprocess.Popen(
        [REINSERT, "serve", media.a, media.cd], env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("ready"):
                break
        said = "".join(lines)
        assert "ready" in said, process.stderr.read()
        for word in ("nbdinfo", "status", "eject"):
            assert word in said
        path = tmp_path / "reinsert" / "nbd.sock"
        c = Client(volumes.uri(path, "ARCHIVE-A"))
        assert c.read(0, 4096) == bytes_at(media.a, 0, 4096)
        c.close()
        status = json.loads(subprocess.run(
            [REINSERT, "status", "--json"], env=env, check=True, text=True,
            capture_output=True).stdout)
        types = {d["name"]: d["type"] for d in status["drives"]}
        assert types == {"disk0": "disk", "cdrom0": "cdrom"}
    finally:
        process.terminate()
        process.communicate(timeout=HANG)
    assert process.returncode == 0


def test_a_stale_socket_file_is_replaced(serve, media):
    s = serve({"d0": {"type": "disk", "medium": media.a}})
    s.process.send_signal(signal.SIGKILL)
    s.process.wait()
    assert os.path.exists(s.nbd)
    s.process.stdout.close()
    s.start()
    s.mounted("ARCHIVE-A")


def second(image, nbd, control):
    """A service that should not come to life, however it ends."""
    return subprocess.run(
        [REINSERT, "serve", image, "--nbd", nbd, "--control", control],
        text=True, capture_output=True, timeout=HANG)


def test_sockets_in_use_are_refused(serve, media, tmp_path, clients):
    s = serve({"d0": {"type": "disk", "medium": media.a}})
    s.mounted("ARCHIVE-A")
    done = second(media.b, f"unix:{s.nbd}", str(tmp_path / "c2"))
    assert done.returncode not in (0, None) and s.nbd in done.stderr
    done = second(media.b, f"unix:{tmp_path}/n2", s.control)
    assert done.returncode != 0 and s.control in done.stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = second(media.b, f"tcp:127.0.0.1:{port}",
                      str(tmp_path / "c3"))
        assert done.returncode != 0 and str(port) in done.stderr
    plain = tmp_path / "file"
    plain.write_text("mine")
    done = second(media.b, f"unix:{plain}", str(tmp_path / "c4"))
    assert done.returncode != 0 and plain.read_text() == "mine"
    c = s.client("ARCHIVE-A")
    clients.append(c)
    assert c.read(0, 4096) == bytes_at(media.a, 0, 4096)


def test_unix_and_tcp_at_once(serve, media, clients):
    s = serve({"d0": {"type": "disk", "medium": media.a}})
    s.mounted("ARCHIVE-A")
    s.stop()
    s.process.stdout.close()
    s.start("--config", s.config, "--nbd", f"unix:{s.nbd}",
            "--nbd", "tcp:127.0.0.1:0")
    s.mounted("ARCHIVE-A")
    at, = [x["address"] for x in s.call("GET", "/v1/status")["service"]["nbd"]
           if x["address"].startswith("tcp:")]
    want = bytes_at(media.a, 0, 4096)
    for uri in (s.uri("ARCHIVE-A"), f"nbd://{at.removeprefix('tcp:')}"
                "/ARCHIVE-A"):
        c = Client(uri)
        clients.append(c)
        assert c.read(0, 4096) == want


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_within_a_second_whatever_clients_do(serve, media, clients,
                                                  number):
    s = serve({"d0": {"type": "disk", "medium": media.a},
               "d1": {"type": "disk", "medium": media.c}})

    def end():
        return ends(s, media, clients, number)
    shown(end, 1.0, "the end")


def ends(s, media, clients, number):
    """How long it takes, in the middle of everything."""
    if s.stopped:
        s.start()
    offset, _ = volumes.extent(media.c)
    s.mounted("ARCHIVE-A", "ARCHIVE-C")
    idle, waiting = s.client("ARCHIVE-A"), s.client("ARCHIVE-A")
    clients += [idle, waiting]
    raw = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for one in raw:                 # in the middle of the handshake
        one.connect(s.nbd)
    s.yank("d0")
    for i in range(100):
        waiting.read_on(i * 4096, 4096)
    until(lambda: s.volume("ARCHIVE-A")["waiting"] == 100, "100 wait")
    fio = Fio(s.uri("ARCHIVE-C"), offset, 16 * MIB, s.folder, rw="randrw",
              loops=100)
    clients.append(fio)
    until(lambda: s.volume("ARCHIVE-C")["clients"] == 1, "fio")
    watch = subprocess.Popen([REINSERT, "events", "--control", s.control],
                             stdout=subprocess.PIPE)
    try:
        took = s.stop(number)
        assert s.process.returncode == 0, s.stderr()
    finally:
        watch.terminate()
        watch.communicate()
        for one in raw:
            one.close()
    assert not os.path.exists(s.nbd)
    assert not os.path.exists(s.control)
    return took


def test_the_command_line(serve, media):
    """Each verb, as text for a pipe and as JSON."""
    s = serve({"d0": {"type": "disk", "medium": media.a},
               "d1": {"type": "disk"}})
    s.mounted("ARCHIVE-A")
    lines = [line.split("\t") for line in s.run("status").stdout.splitlines()]
    drives = {f[1]: f for f in lines if f[0] == "drive"}
    assert drives["d0"][3] == "ready" and drives["d0"][5] == "ARCHIVE-A"
    done = s.run("yank", "d0")
    assert done.returncode == 0 and done.stdout.startswith("drive\td0\t")
    c = s.client("ARCHIVE-A")
    read = c.read_on(0, 4096)
    prompt = s.one_prompt("ARCHIVE-A")
    fields = s.run("prompts").stdout.rstrip("\n").split("\t")
    assert fields[0] == "prompt" and fields[1] == str(prompt["id"])
    assert fields[2:4] == ["ARCHIVE-A", "d0"]
    assert json.loads(s.run("prompts", "--json").stdout)["prompts"]
    done = s.run("answer", str(prompt["id"]), "cancel")
    assert done.returncode == 0 and done.stdout.startswith("answered\t")
    read.fails()
    done = s.run("answer", str(prompt["id"]), "cancel")
    assert done.returncode != 0 and str(prompt["id"]) in done.stderr
    done = s.run("insert", "d1", media.a, "--json")
    assert json.loads(done.stdout)
    s.mounted("ARCHIVE-A")
    assert c.read(0, 4096) == bytes_at(media.a, 0, 4096)
    done = s.run("eject", "d1")
    assert done.returncode == 0
    assert s.run("eject", "nodrive").returncode == 1
    c.close()


def test_help_fits_a_terminal():
    verbs = json.loads(subprocess.run(
        [REINSERT, "help", "--json"], text=True, capture_output=True,
        check=True, timeout=HANG).stdout)
    assert len(verbs) >= 15
    for verb in [None, *[v["verb"] for v in verbs]]:
        words = [verb, "--help"] if verb else ["--help"]
        said = subprocess.run([REINSERT, *words], text=True, check=True,
                              capture_output=True, timeout=HANG).stdout
        assert said.startswith("usage: reinsert")
        long = [line for line in said.split("\n") if len(line) > 80]
        assert not long, (verb, long)


@pytest.mark.parametrize("words,wants", [
    (["2/3A/00"], ["STATUS_NO_MEDIA_IN_DEVICE"]),
    (["6/28/00"], ["STATUS_VERIFY_REQUIRED"]),
    (["7/27/00"], ["STATUS_MEDIA_WRITE_PROTECTED"]),
    (["70", "00", "02", *["00"] * 4, "0a", *["00"] * 4, "3a", "00"],
     ["STATUS_NO_MEDIA_IN_DEVICE"]),
])
def test_sense(words, wants):
    done = subprocess.run([REINSERT, "sense", *words], text=True,
                          capture_output=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    for want in wants:
        assert want in done.stdout


def test_the_small_program_finds_the_whole_one(tmp_path):
    """As installed: bin/reinsert, and libexec/reinsert/reinsert for the rest."""
    small, whole = tmp_path / "bin", tmp_path / "libexec" / "reinsert"
    for folder, of in ((small, REINSERT),
                       (whole, os.path.join(os.path.dirname(REINSERT),
                                            "service", "reinsert"))):
        folder.mkdir(parents=True)
        shutil.copy(of, folder / "reinsert")

    def run():
        return subprocess.run([small / "reinsert", "version"], text=True,
                              capture_output=True, timeout=HANG)
    says = run()
    assert says.returncode == 0 and says.stdout.startswith("reinsert "), says
    (whole / "reinsert").unlink()
    says = run()
    assert says.returncode == 1 and says.stdout == ""
    assert says.stderr == ("reinsert: the rest of this program, "
                           "../libexec/reinsert/reinsert: "
                           "No such file or directory\n")


def test_idle_service_costs_nothing(serve, media):
    """Less than 1 % of a core with a medium in, and nothing to do."""
    s = serve({"d0": {"type": "disk", "medium": media.a},
               "d1": {"type": "disk"}, "cd": {"type": "cdrom"}})
    s.mounted("ARCHIVE-A")

    def ticks():
        with open(f"/proc/{s.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def share():
        used, began = ticks(), time.monotonic()
        time.sleep(2.0)             # the one thing measured here is time
        return (ticks() - used) / os.sysconf("SC_CLK_TCK") / (
            time.monotonic() - began)
    shown(share, 0.02, "its share of a core")
