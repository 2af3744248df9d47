"""Scenarios of an operator's and a backup program's life with a library.

Each ends with what is really where, status in the words of mtx, and the JSON
status saying the same.  Failures are injected by the emulated robot; what
another initiator does is done to its state file while nobody looks.

SPDX-License-Identifier: MIT
"""
import json
import os
import re
import subprocess
import time

import pytest

import house
from house import until
from vault import CLEANER, LABELS, Vault, one_sentence

HOME = {label: ("slot", n) for n, label in enumerate(LABELS, 1)}
HOME[CLEANER] = ("slot", 8)


@pytest.fixture
def vault(serve, tmp_path):
    def start(**keys):
        return Vault(serve, tmp_path, **keys)
    return start


def drive_line(v, drive=0):
    return v.good("status").out.splitlines()[1 + drive]


def foreign_load(v, label, drive, source=-1):
    """Another initiator loads it while our service is down."""
    raw = v.raw()
    raw[label] = (4, drive, source)
    v.write(raw)


# --- homes ---------------------------------------------------------------------

def test_S2_unknown_origin_the_ledger_knows(vault):
    v = vault()
    v.down()
    foreign_load(v, "LTO003L6", 0)
    v.up()
    assert "Full (Storage Element 3 Loaded)" in drive_line(v)
    assert v.agree()[("drive", 0)] == "LTO003L6"
    v.good("unload")
    assert v.agree()[("slot", 3)] == "LTO003L6"


def test_S2_unknown_origin_nobody_knows(vault):
    v = vault(where={**HOME, "LTO003L6": ("drive", 0)})
    assert "Full (Unknown Storage Element Loaded)" in drive_line(v)
    said = v.fails("unload")
    assert said.err == ["No Source for tape in drive 0!"]
    free = re.search(r"free slots: ([\d ]+)", "\n".join(said.notes))
    assert free[1].split() == ["3", "6", "7"]
    assert v.agree()[("drive", 0)] == "LTO003L6"
    with pytest.raises(house.ApiError) as error:
        v.do("unload", drive=0)
    assert "3, 6, 7" in error.value.text
    v.good("unload", 6, 0)
    assert v.agree()[("slot", 6)] == "LTO003L6"


def test_S2_unknown_origin_adopts_once(vault):
    v = vault(where={**HOME, "LTO003L6": ("drive", 0)}, adopt="yes")
    first = drive_line(v)
    assert re.search(r"Full \(Storage Element [367] Loaded\)", first)
    assert [drive_line(v) for _ in range(3)] == [first] * 3
    # What else comes and goes changes nothing of it.
    v.good("transfer", 1, 7)
    v.good("transfer", 7, 1)
    v.again()
    assert drive_line(v) == first
    v.agree()
    slot = int(re.search(r"Element (\d+) Loaded", first)[1])
    v.good("unload")
    assert v.agree()[("slot", slot)] == "LTO003L6"


def test_S2_never_adopts_a_mail_slot(vault):
    full = {f"LTO{n:03}L6": ("slot", n) for n in range(1, 9)}
    v = vault(labels=[*full, "LTO100L6"], adopt="yes",
              where={**full, "LTO100L6": ("drive", 0)})
    assert "Unknown Storage Element" in drive_line(v)
    said = v.fails("unload")
    assert said.err == ["No Source for tape in drive 0!"]
    assert v.agree()[("drive", 0)] == "LTO100L6"


def test_S3_two_drives_one_origin(vault):
    v = vault()
    v.good("load", 3, 0)
    v.good("transfer", 5, 3)
    v.good("load", 3, 1)
    assert all("(Storage Element 3 Loaded)" in drive_line(v, d)
               for d in (0, 1))
    v.agree()
    v.good("unload")
    v.agree()
    # In both forms.
    for words in ([3, 1],):
        said = v.fails("unload", *words)
        assert said.err == ["Storage Element 3 is Already Full"]
        assert "LTO003L6" in "".join(said.notes), said
        assert "LTO005L6" in "".join(said.notes), said
        assert "Error Code=" not in said.all
    truth = v.agree()
    assert truth[("slot", 3)] == "LTO003L6"
    assert truth[("drive", 1)] == "LTO005L6"
    v.good("unload", 5, 1)
    assert v.agree()[("slot", 5)] == "LTO005L6"


# --- a picture that is out of date -----------------------------------------------

def test_S4_source_taken_meanwhile(vault):
    v = vault()
    assert "Storage Element 4:Full " in v.good("status").out
    v.hand("open-door")
    v.hand("remove", slot=4)
    v.hand("close-door")
    said = v.fails("load", 4)
    assert "Source Element Address 1003 is Empty" in said.all
    assert "Error Code=" not in said.all
    assert v.library()["motions"] == 0
    assert ("slot", 4) not in v.settled()


def test_S4_destination_filled_meanwhile(vault):
    v = vault(fault=["at 1 move do sense 5/3b/0d", "at 2+ move do door"])
    said = v.fails("transfer", 4, 7)
    assert "Destination Element Address 1006 is Already Full" in said.all
    assert "Error Code=" not in said.all
    # The second motion would have opened the door.
    assert v.library()["state"] == "ready"
    assert v.settled()[("slot", 4)] == "LTO004L6"


# --- unit attentions, readiness -----------------------------------------------------

def test_S8_door_and_two_cartridges_switched(vault):
    v = vault()
    v.hand("open-door")
    for slot in (2, 5):
        v.hand("remove", slot=slot)
    v.hand("insert", slot=2, image="LTO005L6.img")
    v.hand("insert", slot=5, image="LTO002L6.img")
    v.hand("close-door")
    said = v.good("load", 2)
    assert said.out.endswith("done\n") and not said.err, said
    truth = v.settled()
    assert truth[("drive", 0)] == "LTO005L6"
    assert truth[("slot", 5)] == "LTO002L6"
    assert v.element("slot", 5)["barcode"] == "LTO002L6"
    v.tells("moved", "LTO002L6")
    v.tells("moved", "LTO005L6")


@pytest.mark.parametrize("code", ["28/00", "28/01", "28/03", "3b/12", "3b/13",
                                  "29/00", "2a/01", "3f/01"])
def test_S8_unit_attention_before_a_motion(vault, code):
    v = vault(fault=[f"at 1 move do sense 6/{code}", "at 3+ move do door"])
    said = v.good("load", 2)
    assert said.out.endswith("done\n") and not said.err, said
    assert v.settled()[("drive", 0)] == "LTO002L6"


def test_S9_five_unit_attentions(vault):
    codes = ["29/00", "28/00", "28/01", "3f/01", "2a/01"]
    v = vault(fault=[f"at {n} move do sense 6/{code}"
                     for n, code in enumerate(codes, 1)]
              + ["at 6+ move do door"])
    said = v.mtx("load", 2)
    assert said.code in (0, 1), said
    # A sixth motion would have opened the door.
    assert v.library()["state"] == "ready"
    truth = v.settled()
    if said.code == 1:
        assert truth[("slot", 2)] == "LTO002L6"
        assert said.err and "\n".join(said.err).strip(), said
    else:
        assert truth[("drive", 0)] == "LTO002L6"


def test_S10_not_ready_at_the_start(vault):
    began = time.monotonic()
    v = vault(fault="at 1 any do becoming-ready 3000")
    before = v.mtx("status")
    asked = time.monotonic()
    said = v.good("load", 2)
    assert said.out.endswith("done\n"), said
    assert before.code == 0 or "becoming ready" in before.all, before
    if asked - began < 2:
        v.tells("wait", "becoming ready")
    assert v.settled()[("drive", 0)] == "LTO002L6"


def test_S10_not_ready_for_too_long(vault):
    v = vault(fault="at 1 any do becoming-ready 3000000", ready_timeout=1)
    for words in (("status",), ("load", 2)):
        said = v.fails(*words)
        assert "still starting (becoming ready)" in said.all, said


@pytest.mark.parametrize("code, word, status", [
    ("04/8e", "sequential mode", "STATUS_DEVICE_OFF_LINE"),
    ("04/18", "door", "STATUS_DEVICE_DOOR_OPEN"),
    ("04/83", "door", "STATUS_DEVICE_DOOR_OPEN"),
    ("04/12", "offline", "STATUS_DEVICE_OFF_LINE")])
def test_S11_one_sentence_each(vault, code, word, status):
    # Some of the codes are a vendor's own.
    v = vault(personality="reinsert-vendor",
              fault=f"at * move do sense 2/{code}", ready_timeout=1)
    said = v.fails("load", 2)
    one_sentence(said)
    assert word in "\n".join(said.err), said
    told = json.loads(v.fails("--json", "load", 2).out)
    assert told["result"]["status_name"] == status
    assert v.agree()[("slot", 2)] == "LTO002L6"


# --- drives ----------------------------------------------------------------------

def test_S13_slow_load_is_waited_for(vault):
    """Longer than the drive's first word, and told meanwhile."""
    v = vault(drive_load_ms=2500)
    asked = v.begin("load", 2)
    v.tells("wait", "loading")
    out, err = asked.communicate(timeout=house.HANG)
    assert (asked.returncode, err) == (0, ""), (out, err)
    assert out.endswith("...done\n")
    assert v.settled()[("drive", 0)] == "LTO002L6"


def test_S13_a_slow_load_is_why_it_is_not_ready(vault):
    v = vault(drive_load_ms=600000, load_timeout=600)
    asked = v.begin("load", 2)
    until(lambda: "drive 0 is loading" in v.library()["reason"], "the reason")
    v.down(kill=True)
    asked.communicate(timeout=house.HANG)
    v.up(drive_load_ms=0)
    assert v.settled()[("drive", 0)] == "LTO002L6"


def test_S13_load_timeout_is_told_and_nothing_lost(vault):
    v = vault(drive_load_ms=600000, load_timeout=1)
    said = v.fails("load", 2)
    one_sentence(said)
    assert "LTO002L6" in said.all and "in time" in said.all
    assert v.settled()[("drive", 0)] == "LTO002L6"
    assert "(Storage Element 2 Loaded)" in drive_line(v)


@pytest.mark.parametrize("personality", ["reinsert-vendor", "eject-first"])
def test_S14_eject_before_unload(vault, personality):
    """The drive locks its medium while a volume is mounted from it."""
    v = vault(personality=personality)
    v.good("load", 2)
    said = v.good("unload")
    assert said.out.endswith("done\n") and not said.err
    assert v.settled()[("slot", 2)] == "LTO002L6"


def test_S14_a_drive_that_does_not_let_go(vault):
    v = vault(fault="at 2 move do sense 5/53/02")
    v.good("load", 2)
    told = json.loads(v.fails("--json", "unload").out)
    assert told["result"]["status_name"] == "STATUS_UNABLE_TO_UNLOAD_MEDIA"
    assert "let the medium go" in told["error"]["text"]
    assert v.settled()[("drive", 0)] == "LTO002L6"
    v.good("unload")
    assert v.settled()[("slot", 2)] == "LTO002L6"


def test_S14_a_prevented_removal_is_one_sentence(vault):
    v = vault(fault="at 2 move do sense 5/53/02")
    v.good("load", 2)
    one_sentence(v.fails("unload"))
    assert v.settled()[("drive", 0)] == "LTO002L6"


# --- cartridges ------------------------------------------------------------------

def test_S15_cleaning_cartridge(vault):
    v = vault(clean_ms=50, cleaning_uses=2)
    said = v.fails("load", 8)
    one_sentence(said)
    assert "clean" in said.all
    assert v.agree()[("slot", 8)] == CLEANER
    for uses in (1, 2):
        v.good("clean", 1)
        assert v.settled()[("slot", 8)] == CLEANER
        assert v.element("slot", 8)["cleanings"] == uses
    said = v.fails("clean", 1)
    assert "used up" in said.all or "cleaning cartridge" in said.all, said
    assert v.settled()[("slot", 8)] == CLEANER
    assert v.element("slot", 8)["expired"]
    one_sentence(v.fails("clean", 1))
    v.agree()


def test_S15_an_exception_hides_no_cartridge(vault):
    v = vault(personality="cleaner-except")
    assert v.agree()[("slot", 8)] == CLEANER
    assert "Storage Element 8:Full :VolumeTag=CLN001L1" in \
        v.good("status").out


def test_S16_duplicate_bar_codes(vault):
    two = ["LTO002L6.a", "LTO002L6.b"]
    v = vault(labels=["LTO001L6", *two],
              where={"LTO001L6": ("slot", 1), two[0]: ("slot", 2),
                     two[1]: ("slot", 5)})
    marked = {e["number"] for e in v.look()["elements"] if e["duplicate"]}
    assert marked == {2, 5}
    with pytest.raises(house.ApiError) as error:
        v.do("load", label="LTO002L6", drive=0)
    assert error.value.code == "ambiguous"
    assert "slot 2" in error.value.text and "slot 5" in error.value.text
    v.good("load", 5)
    assert v.agree()[("drive", 0)] == two[1]
    v.good("unload")
    assert v.agree()[("slot", 5)] == two[1]
    assert {"2", "5"} <= set(re.findall(
        r"\d+", " ".join(v.good("verify").notes))), v.good("verify")


def test_S17_unreadable_label(vault):
    v = vault(fault="at 1 inventory do unreadable")
    v.good("inventory")
    first = v.element("slot", 1)
    assert first["full"] and not first["tag_valid"]
    assert first["except"] and first["except_text"]
    line = v.good("status").out.splitlines()[3]
    assert line.startswith("      Storage Element 1:Full ")
    assert "LTO001L6" not in line
    v.agree(labels=False)


def test_S17_no_labels_at_all(vault):
    v = vault(personality="no-voltag")
    assert "VolumeTag" not in v.good("status").out
    v.good("load", 2)
    assert "(Storage Element 2 Loaded)" in drive_line(v)
    v.good("unload")
    assert v.agree(labels=False) == {at: who for who, at in HOME.items()}


# --- mail slots ------------------------------------------------------------------

def test_S20_import_and_export(vault):
    v = vault(labels=[*HOME, "NEW001L6"], where=HOME)
    # What the state file does not place lies in the first empty slot.
    v.hand("open-door")
    v.hand("remove", slot=int(v.where("NEW001L6")[1]))
    v.hand("close-door")
    v.settled()
    v.hand("open-mail")
    v.hand("insert", slot=9, image="NEW001L6.img")
    v.hand("close-mail")
    until(lambda: v.element("mail-slot", 9)["full"], "it is noticed")
    assert v.element("mail-slot", 9)["imported"]
    until(lambda: v.events("mail") or v.events("arrived"), "an event")
    assert v.settled()[("mail-slot", 9)] == "NEW001L6"
    v.good("transfer", 9, 6)
    assert v.settled()[("slot", 6)] == "NEW001L6"
    v.good("transfer", 6, 9)
    assert v.settled()[("mail-slot", 9)] == "NEW001L6"
    assert not v.element("mail-slot", 9)["imported"]


def test_S20_open_mail_slot(vault):
    v = vault()
    v.hand("open-mail")
    said = v.fails("transfer", 4, 9)
    one_sentence(said)
    assert "mail slot is open" in said.all, said
    told = json.loads(v.fails("--json", "transfer", 4, 9).out)
    assert told["result"]["status_name"] == "STATUS_DEVICE_DOOR_OPEN"
    v.hand("close-mail")
    v.good("transfer", 4, 9)
    assert v.settled()[("mail-slot", 9)] == "LTO004L6"


def test_S20_words_import_and_export(vault):
    v = vault()
    v.good("export", 4)
    assert v.truth()[("mail-slot", 9)] == "LTO004L6"
    v.good("close")
    v.good("import")
    assert v.settled()[("slot", v.where("LTO004L6")[1])] == "LTO004L6"
    said = v.fails("import")
    assert "every mail slot is empty" in "".join(said.err), said
    assert "Address" not in said.all, said


# --- exchange --------------------------------------------------------------------

@pytest.mark.parametrize("personality", ["standard", "false-exchange"])
def test_S21_exchange_drive_and_slot(vault, personality):
    v = vault(personality=personality)
    v.good("load", 2)
    v.do("exchange", source=4, drive=0)
    truth = v.settled()
    assert truth[("drive", 0)] == "LTO004L6"
    assert truth[("slot", 4)] == "LTO002L6"
    v.good("exchange", 1, 3)
    truth = v.settled()
    assert (truth[("slot", 1)], truth[("slot", 3)]) == ("LTO003L6",
                                                        "LTO001L6")


def test_S21_second_leg_fails(vault):
    v = vault(personality="reinsert-vendor",
              fault="at 2 move do sense 5/3b/0d")
    assert not v.library()["exchange"]
    said = v.fails("exchange", 1, 3)
    truth = v.settled()
    at = {who: f"{kind} {n}" for (kind, n), who in truth.items()}
    assert at["LTO003L6"] in said.all and at["LTO001L6"] in said.all, said
    assert sorted(at) == sorted(HOME)


# --- drives by name, reservations ---------------------------------------------------

def test_S22_the_mapped_drive_holds_what_was_loaded(vault):
    v = vault(drives=3)
    for drive, slot in ((2, 1), (0, 2), (1, 3)):
        v.good("load", slot, drive)
    rows = json.loads(v.good("--json", "drives").out)
    drives = v.service.drives()
    assert [r["number"] for r in rows] == [0, 1, 2]
    assert len({r["address"] for r in rows}) == 3
    for row in rows:
        assert row["drive_serial"], row
        assert row["barcode"] in drives[row["drive"]]["medium"]
    v.agree()


def test_S23_reservation_is_no_reason_to_repeat(vault):
    v = vault(fault=["at 1 move do reservation-conflict",
                     "at 2 move do door"])
    said = v.fails("load", 2)
    one_sentence(said)
    assert "reserved" in said.all, said
    # A second motion would have opened the door.
    assert "door" not in v.library()["state"]
    assert v.settled()[("slot", 2)] == "LTO002L6"


def test_S23_preempted_in_between(vault):
    v = vault(fault=["at 1 move do sense 6/2a/03", "at 2 move do door"])
    v.mtx("load", 2)
    assert "door" not in v.library()["state"]
    v.settled()


# --- lines, restarts, wrong media ---------------------------------------------------

def test_S27_chained_commands(vault):
    v = vault()
    v.fails("unload", 3, 0, "load", 4, 0)
    assert v.agree() == {at: who for who, at in HOME.items()}
    said = v.good("load", 4, 0, "status")
    assert "Data Transfer Element 0:Full (Storage Element 4 Loaded)" in \
        said.out
    assert "      Storage Element 4:Empty" in said.out
    v.agree()


def test_S28_restart_and_power_cycle(vault):
    v = vault()
    v.good("transfer", 3, 7, "load", 7)
    v.down(kill=True)
    v.write({label: (*at[:2], -1) for label, at in v.raw().items()})
    v.up()
    assert v.element("drive", 0)["home"] == 7
    assert "(Storage Element 7 Loaded)" in drive_line(v)
    v.good("unload")
    assert v.settled()[("slot", 7)] == "LTO003L6"


def test_S28_another_cartridge_is_in_the_drive(vault):
    v = vault()
    v.good("load", 3)
    v.down(kill=True)
    raw = v.raw()
    raw["LTO003L6"], raw["LTO005L6"] = (2, 2, -1), (4, 0, -1)
    v.write({label: (*at[:2], -1) for label, at in raw.items()})
    v.up()
    assert v.agree()[("drive", 0)] == "LTO005L6"
    assert v.library()["stray"] == 2
    # It was found out before anybody could listen.
    v.tells("moved", "LTO005L6")
    # Slot 5 is where it was last seen; the entry of slot 3 is gone.
    assert "(Storage Element 5 Loaded)" in drive_line(v)
    v.good("unload")
    assert v.settled()[("slot", 5)] == "LTO005L6"


def test_S29_wrong_cartridge_arrives(vault):
    v = vault(fault="at 1 move do wrong-medium")
    before = {n: open(v.media / f"{n}.img", "rb").read() for n in HOME}
    said = v.fails("load", 4)
    one_sentence(said)
    assert re.search(r"wrong volume: expected LTO004L6, found LTO00\dL6",
                     said.all), said
    found = re.search(r"found (LTO00\dL6)", said.all)[1]
    truth = v.settled()
    assert sorted(truth.values()) == sorted(HOME)
    assert truth[("slot", 4)] == "LTO004L6"
    assert found in truth.values() and found != "LTO004L6"
    assert {n: open(v.media / f"{n}.img", "rb").read()
            for n in HOME} == before
    if truth.get(("drive", 0)):
        v.good("unload")
    v.good("load", 4)
    assert v.settled()[("drive", 0)] == "LTO004L6"


# --- the person in front of it ----------------------------------------------------

def test_operator_reads_what_is_wrong_and_what_to_do(vault):
    v = vault()
    said = v.fails("frobnicate")
    assert said.notes == ['"frobnicate" is no word of it'], said
    v.good("load", 3)
    v.hand("open-door")
    for words in (("load", 2, 1), ("unload",), ("inventory",), ("verify",)):
        said = v.fails(*words)
        assert "its door is open; close it" in said.all, said
        assert "Error Code=" not in said.all, said
    # What is shown is what was known, and says so.
    said = v.good("status")
    assert "(Storage Element 3 Loaded)" in said.out
    assert len(said.notes) == 1 and "door is open" in said.notes[0], said
    v.hand("close-door")
    v.good("unload")
    assert v.settled()[("slot", 3)] == "LTO003L6"
    assert v.good("status").notes == []


def test_operator_sees_progress_on_a_terminal(vault):
    v = vault(move_ms=2600)

    def loads():
        done = subprocess.run(
            ["script", "-qec", f"{v.link} -f vault load 2", "/dev/null"],
            text=True, capture_output=True, timeout=house.HANG,
            stdin=subprocess.DEVNULL,
            env=dict(os.environ, REINSERT_CONTROL=v.service.control))
        assert done.returncode == 0
        # Nothing of it is left in the line.
        last = done.stdout.split("\0338\033[K")[-1]
        assert last.strip().endswith("done"), done.stdout
        assert v.agree()[("drive", 0)] == "LTO002L6"
        if " s, cartridge LTO002L6 from slot 2 to drive 0" in done.stdout:
            return True
        v.good("unload")    # it was over before anybody could look
        return False
    until(loads, "progress")


def test_operator_gets_json_for_every_refusal(vault):
    v = vault()
    v.good("load", 3)
    for words in (("load", 2, 0), ("unload", 2, 0), ("unload", 1),
                  ("load", 8, 1), ("import",), ("transfer", 6, 7)):
        said = v.fails("--json", *words)
        if words == ("unload", 1):
            assert json.loads(said.out)["error"]["code"] == "full"
        assert json.loads(said.out)["error"]["text"], said
