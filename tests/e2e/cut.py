"""cut.py - an iSCSI wire with a hand on it: a proxy between initiator and target

Knows where a PDU begins and ends (RFC 7143, 11.2.1: basic header segment of 48
bytes, additional header segments, data segment padded to four; no digests) and
no more.  A rule looks at each PDU and says what becomes of it.

SPDX-License-Identifier: MIT
"""
import asyncio
import threading

from house import HANG

COMMAND, DATA_OUT = 0x01, 0x05          # from the initiator
RESPONSE, DATA_IN = 0x21, 0x25          # from the target
PASS, CUT, DROP = "pass", "cut", "drop"


class Pdu:
    def __init__(self, raw):
        self.raw = raw
        self.opcode = raw[0] & 0x3F
        self.task = raw[16:20]

    @property
    def cdb(self):
        return self.raw[32:48]


async def read_pdu(reader):
    head = await reader.readexactly(48)
    data = int.from_bytes(head[5:8], "big")
    more = head[4] * 4 + (data + 3) // 4 * 4
    return Pdu(head + (await reader.readexactly(more) if more else b""))


class Cut:
    """rule(pdu, to_target) answers PASS, CUT, DROP, a number of seconds to
    wait, or the bytes to send in its place."""

    def __init__(self, target_port):
        self.target_port = target_port
        self.rule = lambda pdu, to_target: PASS
        self.cuts = 0
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.ready.wait(HANG)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()

    async def _pump(self, reader, writer, to_target):
        while True:
            pdu = await read_pdu(reader)
            verdict = self.rule(pdu, to_target)
            if verdict == CUT:
                self.cuts += 1
                return
            if verdict == DROP:
                continue
            if isinstance(verdict, (int, float)):
                await asyncio.sleep(verdict)
            writer.write(verdict if isinstance(verdict, (bytes, bytearray))
                         else pdu.raw)
            await writer.drain()

    async def _serve(self, reader, writer):
        try:
            far, near = await asyncio.open_connection("127.0.0.1",
                                                      self.target_port)
        except OSError:
            writer.close()
            return
        pumps = [asyncio.ensure_future(self._pump(reader, near, True)),
                 asyncio.ensure_future(self._pump(far, writer, False))]
        done, left = await asyncio.wait(
            pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in left:
            pump.cancel()
        for end in (writer, near):
            end.transport.abort()       # rude, as a cable is
        for pump in [*done, *left]:
            try:
                await pump
            except (asyncio.CancelledError, OSError, EOFError):
                pass

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(HANG)
