"""recfile.py - recovery files, made from their description (docs/recovery.md)

Shares nothing with src/recovery: what it makes and the program reads is what
the page says.

SPDX-License-Identifier: MIT
"""
import struct
import zlib

DATA, ZEROES, WITNESS, END = 1, 2, 3, 4


def block_hash(block):
    value, mask = 0xCBF29CE484222325, (1 << 64) - 1
    for (word,) in struct.iter_unpack("<Q", block):
        value = (value ^ word) * 0x100000001B3 & mask
        value ^= value >> 32
    return value | 1


def head(size, block=512, kind="unknown", uuid="", label="A", drive="disk0",
         created_ms=1700000000123, status=0xC0000013, version=1, flags=0):
    body = struct.pack("<16sIIQQII32s96s128s64s140x", b"REINSERT-VOLUME\0",
                       version, flags, created_ms, size, block, status,
                       kind.encode(), uuid.encode(), label.encode(),
                       drive.encode())
    return body + struct.pack("<I", zlib.crc32(body))


def record(what, offset, length, payload=b""):
    mark = struct.pack("<4sIQQIII", b"RREC", what, offset, length,
                       len(payload), zlib.crc32(payload), 0)
    return (mark + struct.pack("<I", zlib.crc32(mark)) + payload +
            bytes(-len(payload) % 8))


def witness(image, block, offsets):
    entries = b"".join(
        struct.pack("<QIIQQQQ", at, 1, 0,
                    block_hash(image[at:at + block]), 0, 0, 0)
        for at in offsets)
    return record(WITNESS, 0, len(offsets), entries)


def whole(head_, records, data_bytes):
    return b"".join([head_, *records,
                     record(END, len(records), data_bytes)])
