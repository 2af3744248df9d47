"""Bad input of every kind: configuration, images, API clients, NBD clients.

A clear message that names the thing; the service goes on; nobody else notices.

SPDX-License-Identifier: MIT
"""
import os
import random
import struct
import subprocess

import pytest

from house import (HANG, REINSERT, ApiError, UnixHTTP, bytes_at, connected,
                   until, volumes)

BAD_CONFIG = [
    # text, line that is named, words in the message
    ("[service]\nnbd = unix\n", 2, "nbd"),
    ("[service]\nnbd = http:xyz\n", 2, "http"),
    ("[service]\ncolour = red\n", 2, "colour"),
    ("[service]\nprompt-timeout = soon\n", 2, "prompt-timeout"),
    ("[service]\nprompt-timeout = -1\n", 2, "prompt-timeout"),
    ("[service]\non-no-operator = panic\n", 2, "panic"),
    ("[servcie]\ncontrol = /tmp/x\n", 1, "servcie"),
    ("[drive a]\ntype = disk\n\n[drive b]\ntype = zip\n", 5, "zip"),
    ("[drive a]\ntype = disk\nport = scsi\n", 3, "scsi"),
    ("[drive a]\ntype = disk\ncache = big\n", 3, "big"),
    ("[drive a]\ntype = disk\nreadonly = perhaps\n", 3, "perhaps"),
    ("[drive a]\ntype = disk\nspeed = 11\n", 3, "speed"),
    ("[drive a]\ntype = disk\nload-ms = x\n", 3, "load-ms"),
    ("[drive a]\ntype = disk\nfault = at noon do nothing\n", 3, "noon"),
    ("[drive a]\nfault = at 1 write do yank\ntype = cdrom\n", 2,
     "never match: CD drives have no such command"),
    ("[drive a]\ntype = disk\n[drive b]\ntype = tape\n"
     "fault = at 1 move do busy\n", 5,
     "never match: tapes have no such command"),
    ("[drive a]\ntype = disk\nfault = at 1 any do stuck\n", 3, "robot"),
    ("[drive a]\ntype = disk\nmedium = /nonexistent/x.img\n", 3,
     "/nonexistent/x.img"),
    ("[drive a]\ntype = disk\n[drive a]\ntype = disk\n", None, "a"),
    ("[drive a/b]\ntype = disk\n", 1, "drive: a name has"),
    ("[drive ]\ntype = disk\n", 1, "no name"),
    ("[drive a]\ntype = disk\ntype = disk\n", 3, "twice"),
    ("[service]\nthis is no line\n", 2, ""),
    ("type = disk\n", 1, ""),
]


@pytest.mark.parametrize("text,line,words", BAD_CONFIG)
def test_bad_configuration(tmp_path, text, line, words):
    path = tmp_path / "bad.conf"
    path.write_text(text)
    nbd_socket = tmp_path / "n.sock"
    more = [] if "nbd" in text else ["--nbd", f"unix:{nbd_socket}"]
    done = subprocess.run(
        [REINSERT, "serve", "--config", str(path), *more, "--control",
         str(tmp_path / "c.sock")], text=True, capture_output=True,
        timeout=HANG)
    assert done.returncode == 2, done.stderr
    where = f"{path}:{line}: " if line else f"{path}:"
    assert where in done.stderr, done.stderr
    assert words in done.stderr, done.stderr
    assert not nbd_socket.exists()
    assert not (tmp_path / "c.sock").exists()


# What only the start finds out: text, line, words.
BAD_START = [
    ("[drive a]\nport = iscsi\nurl = iscsi://127.0.0.1:1/iqn.x:y/1\n"
     "chap-user = joe\n", 4, "drive a: chap-user needs chap-secret"),
    ("[drive a]\nmedium = {a}\n\n[drive b]\nmedium = {a}\n", 5,
     "is already in drive a"),
    ("[library l]\nslots = 2\nmedia = {folder}\nstate = {a}/x\n", 4,
     "Not a directory"),
    ("[drive a]\nport = sg\ndevice = {a}\n", 3, "is no SCSI drive"),
    ("[library l]\nport = iscsi\nurl = iscsi://127.0.0.1:1/iqn.x:y/0\n"
     "chap-user = joe\nstate = {folder}/state\ndrive = a\n"
     "[drive a]\nport = iscsi\nurl = iscsi://127.0.0.1:1/iqn.x:y/1\n", 4,
     "chap-user needs chap-secret"),
    ("[service]\nunflushed-log = {a}/x\n[drive a]\n", 2, "unflushed-log"),
]


@pytest.mark.parametrize("text,line,words", BAD_START)
def test_a_start_that_fails_names_the_line(tmp_path, text, line, words):
    (tmp_path / "media").mkdir()
    image = tmp_path / "a.img"
    image.write_bytes(bytes(1 << 20))
    path = tmp_path / "bad.conf"
    path.write_text(text.format(a=image, folder=tmp_path / "media"))
    env = {k: v for k, v in os.environ.items()
           if k != "REINSERT_ISCSI_SECRET"}
    done = subprocess.run(
        [REINSERT, "serve", "--config", str(path), "--nbd",
         f"unix:{tmp_path}/n.sock", "--control", str(tmp_path / "c.sock")],
        text=True, capture_output=True, env=env, timeout=HANG)
    assert done.returncode != 0, done.stdout
    assert f"{path}:{line}: " in done.stderr, done.stderr
    assert words in done.stderr, done.stderr


def test_configuration_that_is_not_there(tmp_path):
    done = subprocess.run(
        [REINSERT, "serve", "--config", str(tmp_path / "none.conf")],
        text=True, capture_output=True, timeout=HANG)
    assert done.returncode == 2
    assert "none.conf" in done.stderr


@pytest.fixture
def other(serve, media, clients):
    """A service with one volume in use, which must never notice anything."""
    s = serve({"good": {"type": "disk", "medium": media.c},
               "disk": {"type": "disk"}, "cd": {"type": "cdrom"}})
    s.mounted("ARCHIVE-C")
    c = s.client("ARCHIVE-C")
    clients.append(c)
    want = bytes_at(media.c, 0, 65536)
    yield s
    assert c.read(0, 65536) == want
    assert s.volume("ARCHIVE-C")["state"] == "mounted"
    assert s.alive()


def bad_images(folder, media):
    def write(name, size):
        with open(folder / name, "wb") as file:
            file.truncate(size)
        return str(folder / name)

    os.mkfifo(folder / "fifo")
    return {
        "missing": (str(folder / "missing.img"), 422, "no-image"),
        "empty": (write("empty.img", 0), 422, "invalid"),
        "odd": (write("odd.img", 512 * 100 + 7), 422, "invalid"),
        "folder": (str(folder), 422, "invalid"),
        "fifo": (str(folder / "fifo"), 422, "invalid"),
        "taken": (media.c, 409, "busy"),
        "relative": ("relative.img", 400, "bad-request"),
    }


@pytest.mark.parametrize("kind", ["missing", "empty", "odd", "folder", "fifo",
                                  "taken", "relative"])
def test_bad_image(other, media, tmp_path, kind):
    image, status, code = bad_images(tmp_path, media)[kind]
    with pytest.raises(ApiError) as caught:
        other.insert("disk", image)
    assert (caught.value.status, caught.value.code) == (status, code), (
        caught.value.text)
    assert os.path.basename(image) in caught.value.text
    assert other.drives()["disk"]["state"] != "ready"
    if kind != "relative":
        done = other.run("insert", "disk", image)
        assert done.returncode != 0
        assert os.path.basename(image) in done.stderr
    # the drive is as good as ever
    other.insert("disk", media.b)
    other.mounted("ARCHIVE-B")


def test_cd_of_half_a_block(other, tmp_path):
    image = tmp_path / "half.iso"
    image.write_bytes(bytes(2048 * 10 + 512))
    with pytest.raises(ApiError) as caught:
        other.insert("cd", image)
    assert caught.value.status == 422


def test_drive_that_is_full(other, media):
    other.insert("disk", media.b)
    with pytest.raises(ApiError) as caught:
        other.insert("disk", media.a)
    assert (caught.value.status, caught.value.code) == (409, "busy")
    other.yank("disk")
    with pytest.raises(ApiError) as caught:
        other.yank("disk")
    assert (caught.value.status, caught.value.code) == (409, "no-medium")


def test_image_that_is_deleted_while_it_is_in(other, media, clients):
    other.insert("disk", media.b)
    other.mounted("ARCHIVE-B")
    want = bytes_at(media.b, 0, 65536)
    os.unlink(media.b)
    c = other.client("ARCHIVE-B")
    clients.append(c)
    assert c.read(0, 65536) == want
    other.yank("disk")
    with pytest.raises(ApiError):
        other.insert("disk", media.b)


def test_image_that_shrinks_while_it_is_in(other, media, clients):
    """Reads past the new end fail; the program does not."""
    other.insert("disk", media.b)
    other.mounted("ARCHIVE-B")
    c = other.client("ARCHIVE-B")
    clients.append(c)
    os.truncate(media.b, 1 << 20)
    assert c.read_on(8 << 20, 65536).wait() is not None
    assert c.read(0, 65536) == bytes_at(media.b, 0, 65536)


def test_no_image_is_damaged_by_all_this(other, media):
    before = volumes.checksum(media.b)
    for _ in range(3):
        other.insert("disk", media.b)
        other.yank("disk")
    assert volumes.checksum(media.b) == before


# --- clients of the control socket ---

def talk(path, data, read=True):
    with connected(path) as s:
        try:
            s.sendall(data)
            return s.recv(4096) if read else b""
        except (BrokenPipeError, ConnectionResetError):
            return b""


def test_api_garbage(other):
    rng = random.Random(1)
    for data in (b"\0" * 100, b"GET\r\n\r\n", b"nonsense\r\n\r\n",
                 b"POST /v1/drives/disk/insert HTTP/1.1\r\nHost: x\r\n"
                 b"Content-Length: 99999999999\r\n\r\n",
                 b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                 bytes(rng.randrange(256) for _ in range(4096))):
        talk(other.control, data, read=False)
        talk(other.control, data + b"\r\n\r\n", read=False)
    for _ in range(50):             # half a request, and gone
        talk(other.control, b"POST /v1/drives/disk/insert HTTP/1.1\r\n"
             b"Host: x\r\nContent-Length: 50\r\n\r\n{\"ima", read=False)
    assert other.call("GET", "/v1/status")


@pytest.mark.parametrize("method,path,body,status", [
    ("GET", "/v1/nothing", None, 404),
    ("DELETE", "/v1/drives", None, 405),
    ("POST", "/v1/drives/none/yank", None, 404),
    ("POST", "/v1/drives/disk/insert", b"{", 400),
    ("POST", "/v1/drives/disk/insert", b"[]", 400),
    ("POST", "/v1/drives/disk/insert", b"{\"image\": 7}", 400),
    ("POST", "/v1/drives/disk/insert", b"{\"imag\": \"/x\"}", 400),
    ("POST", "/v1/drives/disk/insert", b"{\"image\": \"/\\u0000\"}", 400),
    ("POST", "/v1/drives/disk/insert", b"x" * 70000, 413),
    ("POST", "/v1/prompts/7/answer", b"{\"answer\": \"perhaps\"}", 400),
    ("POST", "/v1/prompts/7/answer", b"{\"answer\": \"retry\"}", 404),
    ("POST", "/v1/prompts/x/answer", b"{\"answer\": \"retry\"}", 404),
])
def test_api_refusals(other, method, path, body, status):
    connection = UnixHTTP(other.control)
    try:
        connection.request(method, path, body)
        reply = connection.getresponse()
        said = reply.read()
    finally:
        connection.close()
    assert reply.status == status, said
    assert b"\"text\"" in said


def test_curl_works_as_documented(other):
    said = subprocess.run(
        ["curl", "-sS", "--unix-socket", other.control,
         "http://localhost/v1/drives"], check=True, capture_output=True,
        timeout=HANG).stdout
    assert b"\"good\"" in said


# --- clients of the NBD socket ---

MAGIC = struct.pack(">QQ", 0x4e42444d41474943, 0x49484156454F5054)


def handshake(path, export):
    """A connection in transmission, through NBD_OPT_EXPORT_NAME."""
    s = connected(path)
    head = b""
    while len(head) < 18:
        head += s.recv(18 - len(head))
    assert head[:16] == MAGIC
    name = export.encode()
    s.sendall(struct.pack(">I", 3) + MAGIC[8:] +
              struct.pack(">II", 1, len(name)) + name)
    rest = b""
    while len(rest) < 10:
        rest += s.recv(10 - len(rest))
    return s


def request(kind, offset, length, cookie=1, flags=0):
    return struct.pack(">IHHQQI", 0x25609513, flags, kind, cookie, offset,
                       length)


def test_nbd_garbage(other):
    rng = random.Random(2)
    for data in (b"", b"\0" * 1000, MAGIC, b"GET / HTTP/1.0\r\n\r\n",
                 struct.pack(">I", 3) + MAGIC[8:] +
                 struct.pack(">II", 7, 0xffffffff),
                 bytes(rng.randrange(256) for _ in range(10000))):
        talk(other.nbd, data, read=False)
    for junk in (request(0, 0, 0xffffffff), request(1, 0, 0xffffffff),
                 request(0, 1 << 62, 4096), request(99, 0, 0),
                 request(0, 3, 5), request(0, 0, 0), b"\1" * 28,
                 request(0, 0, 4096)[:13], request(1, 0, 1 << 20) + b"x"):
        s = handshake(other.nbd, "ARCHIVE-C")
        s.sendall(junk)
        s.close()
    until(lambda: other.volume("ARCHIVE-C")["clients"] == 1,
          "they are all gone")


def test_nbd_client_that_does_not_take_its_replies(other):
    sockets = [handshake(other.nbd, "ARCHIVE-C") for _ in range(4)]
    for s in sockets:
        s.setblocking(False)
        try:
            for i in range(100):
                s.send(request(0, 0, 1 << 20, i))
        except BlockingIOError:
            pass
    for s in sockets:               # a byte at a time
        s.setblocking(True)
        for _ in range(20):
            assert len(s.recv(1)) == 1
    c = other.client("ARCHIVE-C")
    for i in range(50):
        c.read(i * 65536, 65536)
    c.close()
    for s in sockets:
        s.close()


def test_many_clients(other, media):
    want = bytes_at(media.c, 0, 4096)
    many = [other.client("ARCHIVE-C") for _ in range(60)]
    reads = [c.read_on(0, 4096) for c in many]
    for read in reads:
        assert read.good() == want
    for c in many:
        c.close()
    until(lambda: other.volume("ARCHIVE-C")["clients"] == 1, "all are gone")
