"""tapefile.py - tapes as files, read and written by somebody else

From "SIMH Magtape Representation and Handling" and nothing of ours: a file of
little-endian words.  A record is its length, the data, a byte more if that is
odd, and the length again; 0 is a filemark; FFFFFFFF is the end of the medium;
FFFFFFFE is a gap.  The four upper bits of a length are a class: 0 is good data,
8 is data that were read with an error.

SPDX-License-Identifier: MIT
"""
import struct

MARK = None                     # among the records of a tape
END_OF_MEDIUM = 0xFFFFFFFF
GAP = 0xFFFFFFFE


def read(path):
    """The records of a tape: bytes, and MARK for filemarks."""
    with open(path, "rb") as file:
        data = file.read()
    found, at = [], 0
    while at < len(data):
        assert at + 4 <= len(data), f"{path}: half a word at {at}"
        (word,) = struct.unpack_from("<I", data, at)
        at += 4
        if word == 0:
            found.append(MARK)
        elif word == END_OF_MEDIUM:
            break
        elif word == GAP:
            continue
        else:
            assert word >> 28 == 0, f"{path}: class {word >> 28} at {at - 4}"
            length = word & 0x0FFFFFFF
            record = data[at:at + length]
            assert len(record) == length, f"{path}: a record is cut at {at}"
            at += length + length % 2
            assert struct.unpack_from("<I", data, at) == (word,), (
                f"{path}: the lengths around a record differ at {at}")
            at += 4
            found.append(record)
    return found


def holds(path, records):
    """... these; of one that is being written just now nothing is known."""
    try:
        return read(path) == records
    except (AssertionError, struct.error):
        return False


def write(path, records, gaps=False, end=True):
    """The same, the other way; with gaps between them, and an end."""
    with open(path, "wb") as file:
        for number, record in enumerate(records):
            if gaps and number % 3 == 1:
                file.write(struct.pack("<I", GAP) * (number % 5 + 1))
            if record is MARK:
                file.write(struct.pack("<I", 0))
                continue
            word = struct.pack("<I", len(record))
            file.write(word + record + b"\0" * (len(record) % 2) + word)
        if end:
            file.write(struct.pack("<I", END_OF_MEDIUM))


def files(records):
    """Tape files: lists of records between filemarks."""
    found = [[]]
    for record in records:
        if record is MARK:
            found.append([])
        else:
            found[-1].append(record)
    return found
