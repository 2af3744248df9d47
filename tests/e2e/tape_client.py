"""tape_client.py - a tape session, spoken by somebody else than our client

Written from front/tape/wire.h: the upgrade, the window and the signal socket,
requests and replies.

SPDX-License-Identifier: MIT
"""
import errno
import fcntl
import mmap
import os
import socket
import struct
import threading
import urllib.parse

import house

REQUEST = struct.Struct("=HHIIiQQq")
REPLY = struct.Struct("=HHiIIQq")
OPEN, READ, WRITE, OP, STATUS, NEXT, CLOSE = range(1, 8)
HOW = {"write": 1, "no_tape_needed": 2, "rewind": 4, "fail_without": 8}
MTFSF, MTBSF, MTFSR, MTBSR, MTWEOF, MTREW, MTOFFL = 1, 2, 3, 4, 5, 6, 7
MTEOM, MTERASE, MTSETBLK, MTSEEK, MTLOAD = 12, 13, 20, 22, 30
FILEMARK, END_OF_DATA, EARLY, END_OF_TAPE, BEGINNING, SKIPPED = (
    1, 2, 4, 8, 16, 32)
WINDOW = 8 << 20
SEALS = 0x2 | 0x4 | 0x1     # shrink, grow, seal
F_ADD_SEALS = 1033


class TapeError(OSError):
    """A request that was answered with an error."""


class Answer:
    def __init__(self, rc, status, flags, count, left, text):
        self.rc, self.status, self.flags = rc, status, flags
        self.bytes, self.left, self.text = count, left, text
        self.data = self.extra = b""


class Tape:
    """One session; each call waits for its answer."""

    def __init__(self, service, drive, tape="", **how):
        how = {"write": True, **how}
        flags = sum(bit for word, bit in HOW.items() if how.get(word))
        self.sock = house.connected(service.control)
        self.hello(drive)
        window = os.memfd_create("tape", os.MFD_ALLOW_SEALING)
        os.ftruncate(window, WINDOW)
        fcntl.fcntl(window, F_ADD_SEALS, SEALS)
        self.window = mmap.mmap(window, WINDOW)
        self.signal, theirs = socket.socketpair()
        name = tape.encode()
        socket.send_fds(self.sock, [REQUEST.pack(
            OPEN, len(name), 0, flags, 1, 0, 0, 0) + name],
            [window, theirs.fileno()])
        os.close(window)
        theirs.close()
        self.take(OPEN)

    def hello(self, drive):
        name = urllib.parse.quote(drive, safe="")
        self.sock.sendall(
            f"POST /v1/tapes/{name}/session HTTP/1.1\r\nHost: x\r\n"
            "Connection: Upgrade\r\nUpgrade: reinsert-tape\r\n"
            "Content-Length: 0\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.sock.recv(1)
            assert byte, head
            head += byte
        if not head.startswith(b"HTTP/1.1 101"):
            raise TapeError(errno.ENODEV, head.decode())

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.sock.recv(size - len(data))
            if not part:
                raise TapeError(errno.EPIPE, "the service is gone")
            data += part
        return data

    def take(self, op):
        got, extra, rc, status, flags, count, left = REPLY.unpack(
            self.exactly(REPLY.size))
        text = self.exactly(extra)
        assert got == op
        answer = Answer(rc, status, flags, count, left,
                        text.decode() if op != STATUS else "")
        answer.extra = text
        if rc != 0:
            error = TapeError(-rc, answer.text)
            error.answer = answer
            raise error
        return answer

    def send(self, op, group=0, flags=0, code=0, offset=0, size=0, count=0,
             name=b""):
        self.sock.sendall(REQUEST.pack(op, len(name), group, flags, code,
                                       offset, size, count) + name)

    def write(self, data):
        self.window[:len(data)] = data
        self.send(WRITE, size=len(data), group=self.next_group())
        return self.take(WRITE)

    def read(self, size=1 << 20):
        self.send(READ, size=size, group=self.next_group())
        answer = self.take(READ)
        answer.data = self.window[:answer.bytes]
        return answer

    group = 0

    def next_group(self):
        self.group += 1
        return self.group

    def op(self, code, count=1):
        self.send(OP, code=code, count=count)
        return self.take(OP)

    def status(self):
        """struct mtget and struct mtpos."""
        self.send(STATUS)
        names = ("type", "resid", "dsreg", "gstat", "erreg", "file", "block",
                 "where")
        return dict(zip(names, struct.unpack_from(
            "=qqqqqiiq", self.take(STATUS).extra)))

    def next(self, name="", blank=False):
        self.send(NEXT, flags=16 if blank else 0, name=name.encode())
        return self.take(NEXT)

    def interrupt(self):
        self.signal.send(b"i")

    def cancel(self):
        self.signal.send(b"c")

    def close(self):
        self.send(CLOSE)
        try:
            return self.take(CLOSE)
        finally:
            self.die()

    def die(self):
        """As a client that was killed."""
        self.sock.close()
        self.signal.close()


class Later(threading.Thread):
    """A call that may wait; result() is what it returned or raised."""

    def __init__(self, call, *args, **kwargs):
        super().__init__(daemon=True)
        self.call, self.value, self.error = (call, args, kwargs), None, None
        self.start()

    def run(self):
        call, args, kwargs = self.call
        try:
            self.value = call(*args, **kwargs)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def waits(self):
        return self.is_alive()

    def result(self):
        self.join(house.HANG)
        assert not self.is_alive(), "it still waits"
        if self.error is not None:
            raise self.error
        return self.value


def objects(path):
    """What a SIMH tape image holds: bytes of records, None for filemarks."""
    with open(path, "rb") as file:
        data = file.read()
    found, at = [], 0
    while at + 4 <= len(data):
        size = struct.unpack_from("<I", data, at)[0]
        at += 4
        if size == 0:
            found.append(None)
        elif size == 0xFFFFFFFF:
            break
        elif size == 0xFFFFFFFE:
            continue
        else:
            assert size < 1 << 24, hex(size)
            found.append(data[at:at + size])
            at += size + size % 2
            assert struct.unpack_from("<I", data, at)[0] == size
            at += 4
    return found
