"""Faults of the transport of a real drive: the session is lost at every
command, answers are lost, late, out of order, or lie.  A client verifies that
nothing is lost, nothing misplaced, nothing stuck.

SPDX-License-Identifier: MIT
"""
import random

import pytest

from cut import COMMAND, CUT, DATA_IN, DROP, PASS, RESPONSE, Cut
from house import until, volumes
from tgt import NAME, Target

WRITES = 6
WRITES_OF_SBC = 0x2A, 0x8A
BLOCK = 4096


@pytest.fixture
def wire(tmp_path, media):
    """(target, cut): they outlive the service"""
    target = Target(tmp_path)
    target.add(1, media.a)
    target.start()
    cut = Cut(target.port)
    yield target, cut
    cut.close()
    target.kill()


class Rig:
    def __init__(self, serve, media, wire, clients):
        self.media = media
        self.target, self.cut = wire
        self.service = serve({"d1": {
            "port": "iscsi",
            "url": f"iscsi://127.0.0.1:{self.cut.port}/{NAME}/1"}})
        self.service.mounted("ARCHIVE-A")
        self.client = self.service.client("ARCHIVE-A")
        clients.append(self.client)
        self.at, _ = volumes.extent(media.a)
        self.wrote = {}

    def workload(self, seed):
        """Writes in flight together, reads between them, and a flush."""
        dice = random.Random(seed)
        slots = dice.sample(range(64), WRITES)
        pending = []
        for slot in slots:
            self.wrote[slot] = dice.randbytes(BLOCK)
            pending.append(self.client.write_on(self.at + slot * BLOCK,
                                                self.wrote[slot]))
        for one in pending:
            one.good()
        for slot in slots:
            assert self.client.read(self.at + slot * BLOCK,
                                    BLOCK) == self.wrote[slot]
        self.client.flush()

    def check(self):
        """On the medium itself: what was written, where it was written, and
        nothing of it elsewhere."""
        with open(self.media.a, "rb") as file:
            file.seek(self.at)
            there = file.read(64 * BLOCK)
        for slot in range(64):
            got = there[slot * BLOCK:(slot + 1) * BLOCK]
            assert got == self.wrote.get(slot, self.before[slot]), slot

    def remember(self):
        with open(self.media.a, "rb") as file:
            file.seek(self.at)
            self.before = [file.read(BLOCK) for _ in range(64)]


@pytest.fixture
def rig(wire, serve, media, clients):
    r = Rig(serve, media, wire, clients)
    r.remember()
    yield r
    r.cut.rule = lambda pdu, to_target: PASS


def at_the_nth(n, what, verdict):
    """Once; what(pdu, to_target) says which ones count."""
    left = [n]

    def rule(pdu, to_target):
        if not what(pdu, to_target):
            return PASS
        left[0] -= 1
        return verdict if left[0] == 0 else PASS
    return rule


def is_command(pdu, to_target):
    return to_target and pdu.opcode == COMMAND


def is_answer(pdu, to_target):
    return not to_target and pdu.opcode in (RESPONSE, DATA_IN)


@pytest.mark.parametrize("what", [is_command, is_answer])
def test_P1_P2_session_lost_at_every_pdu(rig, what):
    """n = 1, 2, ... until the workload is through before the n-th, which on a
    machine that takes its time is later: then it asks between them."""
    n = 0
    while n < 60:
        n += 1
        rig.cut.cuts = 0
        rig.cut.rule = at_the_nth(n, what, CUT)
        rig.workload(n)
        cut = rig.cut.cuts
        rig.cut.rule = lambda pdu, to_target: PASS
        rig.service.no_prompt()
        rig.check()
        if not cut:
            break
    assert n > 10


def test_P2_answers_are_late_and_out_of_order(rig):
    """Answers to two commands change places."""
    kept = []

    def rule(pdu, to_target):
        if to_target or pdu.opcode != RESPONSE or pdu.raw[3] != 0:
            return PASS
        if not kept:
            kept.append(pdu)
            return 0.02
        return PASS
    rig.cut.rule = rule
    for seed in range(5):
        kept.clear()
        rig.workload(seed)
        rig.check()


def test_lost_answer_is_not_waited_for_for_ever(rig):
    """The command's own time limit, then it is given again."""
    rig.cut.rule = at_the_nth(
        3, lambda pdu, to_target: not to_target and pdu.opcode == RESPONSE,
        DROP)
    rig.workload(1)
    rig.service.no_prompt()
    rig.check()


def test_P2_target_that_lies_about_how_much_it_took(rig):
    """A residual in a good answer to a write: it may not all be there, so it
    is not acknowledged."""
    writes, lies = [], []

    def rule(pdu, to_target):
        if is_command(pdu, to_target) and pdu.cdb[0] in WRITES_OF_SBC:
            writes.append(pdu.task)
        if (to_target or pdu.opcode != RESPONSE or lies
                or pdu.task not in writes):
            return PASS
        lies.append(pdu)
        raw = bytearray(pdu.raw)
        raw[1] |= 0x02                          # underflow
        raw[44:48] = (BLOCK // 2).to_bytes(4, "big")
        return raw
    rig.cut.rule = rule
    writing = rig.client.write_on(rig.at, b"w" * BLOCK)
    assert "EIO" in str(writing.wait())
    assert lies
    rig.client.write(rig.at, b"w" * BLOCK)
    rig.wrote[0] = b"w" * BLOCK
    rig.workload(3)
    rig.check()


@pytest.mark.parametrize("sense", [
    "0000",                                     # says that there is none
    "00ff70",                                   # longer than what came
    "000872063a0000000000",                     # descriptor format
    "00127e00060000000000000000000000000000",   # no known format
])
def test_P2_target_whose_sense_data_are_nonsense(rig, sense):
    """CHECK CONDITION in place of a good answer, once."""
    data = bytes.fromhex(sense)
    padded = data + b"\0" * (-len(data) % 4)

    def lie(pdu):
        raw = bytearray(pdu.raw[:48])
        raw[3] = 0x02
        raw[1] &= 0xE1
        raw[44:48] = b"\0" * 4
        raw[5:8] = len(data).to_bytes(3, "big")
        return bytes(raw) + padded
    left = [2]

    def rule(pdu, to_target):
        if to_target or pdu.opcode != RESPONSE or pdu.raw[3] != 0:
            return PASS
        left[0] -= 1
        return lie(pdu) if left[0] == 0 else PASS
    rig.cut.rule = rule
    try:
        rig.workload(4)
    finally:
        rig.cut.rule = lambda pdu, to_target: PASS
    until(lambda: rig.service.volume("ARCHIVE-A")["state"] == "mounted",
          "mounted again")
    rig.workload(5)
    rig.check()
