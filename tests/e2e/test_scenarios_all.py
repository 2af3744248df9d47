"""The core of the scenarios over every kind of emulated library, and what is
hard: many at once, killed on the way, answers that get lost, many slots.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import signal
import threading
import time

import pytest

from house import HANG, shown, until
from test_scenarios import HOME, drive_line, vault  # noqa: F401
from vault import LABELS, one_sentence

DEFINED = os.path.join(os.path.dirname(__file__), "..", "..", "src", "vscsi",
                       "personality.def")
with open(DEFINED, encoding="utf-8") as text:
    PERSONALITIES = re.findall(r'^PERSONALITY\("([^"]+)"', text.read(), re.M)
NO_LABELS = ("no-reader", "no-voltag", "autoloader")


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_S30_core_set(vault, personality):  # noqa: F811
    """S1 to S4, S15, S20, S21, S27 of each: in words and in truth."""
    labels = personality not in NO_LABELS
    one = personality == "autoloader"       # has but one drive
    v = vault(personality=personality, drives=1 if one else 2)
    assert v.agree(labels) == {at: who for who, at in HOME.items()}
    head = v.good("status").out.splitlines()[0]
    assert head == (f"  Storage Changer vault:{1 if one else 2} Drives, "
                    "9 Slots ( 1 Import/Export )")
    assert v.good("inquiry").out.startswith("Product Type: Medium Changer\n")
    # In and out of the drives, home by itself.
    v.good("load", 3, 0)
    assert "(Storage Element 3 Loaded)" in drive_line(v, 0)
    assert v.agree(labels)[("drive", 0)] == "LTO003L6"
    assert v.fails("load", 2, 0).err == ["Drive 0 Full (Storage Element 3 "
                                         "loaded)"]
    v.good("unload", "load", 1, 0 if one else 1)
    assert "(Storage Element 1 Loaded)" in drive_line(v, 0 if one else 1)
    v.good("unload", 6, 0 if one else 1)
    truth = v.agree(labels)
    assert truth[("slot", 3)] == "LTO003L6"
    assert truth[("slot", 6)] == "LTO001L6"
    # Empty and full.
    said = v.fails("load", 1)
    assert re.search(r"Source Element Address \d+ is Empty", said.all)
    said = v.fails("transfer", 2, 3)
    assert re.search(r"Destination Element Address \d+ is Already Full",
                     said.all)
    # To the mail slot and back, exchange, a chain that ends early.
    v.good("transfer", 6, 9)
    assert v.agree(labels)[("mail-slot", 9)] == "LTO001L6"
    v.good("transfer", 9, 1)
    v.good("exchange", 2, 4)
    truth = v.agree(labels)
    assert (truth[("slot", 2)], truth[("slot", 4)]) == ("LTO004L6",
                                                        "LTO002L6")
    v.fails("load", 7, "load", 1)
    assert ("drive", 0) not in v.agree(labels)
    if labels:
        one_sentence(v.fails("load", 8))
    # Homes outlive the service, and what the robot forgets.
    v.good("load", 5)
    v.down(kill=True)
    v.write({label: (*at[:2], -1) for label, at in v.raw().items()})
    v.up()
    assert "(Storage Element 5 Loaded)" in drive_line(v)
    v.good("unload")
    assert v.agree(labels)[("slot", 5)] == "LTO005L6"


def test_hard_two_processes_move_at_once(vault):  # noqa: F811
    v = vault(move_ms=20)
    for turn in range(3):
        # All want drive 0: one gets it, the others are told why not.
        asked = [v.begin("load", slot, 0) for slot in (1, 2, 3, 4)]
        ended = [a.communicate(timeout=HANG) for a in asked]
        codes = [a.returncode for a in asked]
        assert codes.count(0) == 1, (codes, ended)
        for code, (_, err) in zip(codes, ended):
            if code:
                assert "Full" in err, err
                assert "Error Code=" not in err
        truth = v.settled()
        assert truth[("drive", 0)] == LABELS[codes.index(0)]
        # And to put it away: the second finds nothing.
        asked = [v.begin("unload") for _ in range(2)]
        ended = [a.communicate(timeout=HANG) for a in asked]
        assert sorted(a.returncode for a in asked) == [0, 1], ended
        assert v.settled() == {at: who for who, at in HOME.items()}


def test_hard_an_answer_is_lost_and_the_client_is_gone(vault):  # noqa: F811
    """Whoever asked is killed in mid-motion: the robot ends what it began."""
    v = vault(move_ms=400)
    asked = v.begin("load", 2)
    until(lambda: v.library()["state"] == "moving"
          or asked.poll() is not None, "a motion")
    asked.send_signal(signal.SIGKILL)
    asked.communicate()
    until(lambda: v.where("LTO002L6") == ("drive", 0), "its end")
    assert v.settled()[("drive", 0)] == "LTO002L6"
    v.good("unload")
    assert v.settled()[("slot", 2)] == "LTO002L6"


@pytest.mark.parametrize("rule, moved", [
    ("timeout", False), ("overrun", True), ("bus-free", False),
    ("recovered 4/15/01", True), ("sense 4/15/01", False),
    ("sense b/00/00", False), ("stuck", None), ("half", None)])
def test_hard_an_answer_is_lost_or_wrong(vault, rule, moved):  # noqa: F811
    """What the elements say counts; no motion is sent twice."""
    # What was left in the hand is put away by a motion of its own.
    twice = [] if moved is None else ["at 2 move do door"]
    v = vault(fault=[f"at 1 move do {rule}"] + twice)
    said = v.mtx("load", 2)
    assert "door" not in v.library()["state"], said
    truth = v.settled()
    assert sorted(truth.values()) == sorted(HOME)
    if moved is not None:
        assert (truth.get(("drive", 0)) == "LTO002L6") == moved, said
        assert (said.code == 0) == moved, said
    if truth.get(("slot", 2)) != "LTO002L6":
        assert "Error Code=" not in said.all, said


@pytest.mark.parametrize("after", [0.05, 0.15, 0.3])
def test_hard_killed_in_mid_motion(vault, after):  # noqa: F811
    v = vault(move_ms=300)
    asked = v.begin("load", 2, 1)
    until(lambda: v.library()["state"] == "moving"
          or asked.poll() is not None, "a motion")
    time.sleep(after)       # where it is killed, not what is waited for
    v.down(kill=True)
    asked.communicate(timeout=HANG)
    v.up()
    truth = v.settled()
    assert sorted(truth.values()) == sorted(HOME)
    at = v.where("LTO002L6")
    if at == ("drive", 1):
        assert "(Storage Element 2 Loaded)" in drive_line(v, 1)
        v.good("unload", 2, 1)
    elif at[0] == "slot":
        v.good("load", at[1], 1)
    v.settled()


def rss_kb(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


def test_hard_ten_thousand_slots(vault):  # noqa: F811
    labels = [f"T{n:05}L6" for n in range(200)]
    v = vault(slots=10000, drives=4, labels=labels, personality="standard",
              where={label: ("slot", 50 * n + 1)
                     for n, label in enumerate(labels)})
    shown(lambda: v.good("status") and None, 5, "status")
    lines = v.good("status").out.splitlines()
    assert len(lines) == 1 + 4 + 10001
    assert sum(":Full " in x for x in lines) == 200
    v.good("load", 9951, 3)
    memory = []

    def grows_no_more():
        """The first rounds make room; the later ones use it again."""
        for _ in range(8):
            v.good("status")
            v.do("refresh")
        memory.append(rss_kb(v.service.process.pid))
        return len(memory) > 3 and memory[-1] < 1.2 * memory[-3]
    for _ in range(12):
        if grows_no_more():
            break
    else:
        raise AssertionError(memory)
    assert v.agree()[("drive", 3)] == labels[-1]
