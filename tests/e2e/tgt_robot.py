"""tgt_robot.py - tgtd as a jukebox: a media changer over two CD drives

The robot is LUN 3, the drives are LUNs 1 and 2, elements 500 and 501; slots
have the addresses from 1000, the mail slot 10.  A cartridge is a file whose
name is its bar code, at most 10 bytes.  What is really where is asked for by an
initiator of its own (libiscsi, one READ ELEMENT STATUS for each type).

SPDX-License-Identifier: MIT
"""
import ctypes

from tgt import NAME, Target

ROBOT, TRANSPORT, MAIL, DRIVE, SLOT = 3, 1, 10, 500, 1000
KINDS = {2: ("slot", SLOT, 1), 3: ("mail", MAIL, 9), 4: ("drive", DRIVE, 0)}


class Robot(Target):
    """eight slots, one mail slot; `where`: {slot number: bar code}"""

    kind, serial = "cd", "CD"   # of the drives

    def __init__(self, folder, where, drives=2):
        super().__init__(folder)
        self.media = folder / "cartridges"
        self.media.mkdir()
        self.where = dict(where)
        self.drives = drives
        self.empty = folder / "empty"
        self.empty.write_bytes(bytes(2048))
        self.smc = folder / "smc"
        self.smc.write_bytes(bytes(1024))

    def change(self, params):
        return self.update(ROBOT, params)

    def start(self):
        for lun in range(1, self.drives + 1):
            self.luns[lun] = (self.empty, self.kind)
        self.luns[ROBOT] = (self.smc, "changer")
        return super().start()

    def prepare(self):
        for lun in range(1, self.drives + 1):
            self.update(lun, f"scsi_sn={self.serial}{lun:03},online=0")
        self.change("vendor_id=HP,product_id=MSL G3 Series,scsi_sn=MX0001")
        self.change(f"media_home={self.media}")
        self.change(f"element_type=1,start_address={TRANSPORT},quantity=1")
        self.change(f"element_type=4,start_address={DRIVE},"
                    f"quantity={self.drives}")
        for n in range(self.drives):
            self.change(f"element_type=4,address={DRIVE + n},tid=1,"
                        f"lun={n + 1}")
        self.change(f"element_type=2,start_address={SLOT},quantity=8")
        self.change(f"element_type=3,start_address={MAIL},quantity=1")
        for number, label in self.where.items():
            self.change(f"element_type=2,address={SLOT + number - 1},"
                        f"barcode={label},sides=1")

    def truth(self):
        """{bar code: (kind, number)} of each full element"""
        found = {}
        for code, (kind, first, number) in KINDS.items():
            for address, full, label in self._elements(code, first):
                if full:
                    found[label] = (kind, address - first + number)
        return found

    def _elements(self, code, first):
        data = self._ask(bytes([0xB8, 0x10 | code, first >> 8, first & 255,
                                0, 64, 0, 0, 16, 0, 0, 0]), 4096)
        at, end = 8, 8 + int.from_bytes(data[5:8], "big")
        while at + 8 <= end:
            size = int.from_bytes(data[at + 2:at + 4], "big")
            stop = at + 8 + int.from_bytes(data[at + 5:at + 8], "big")
            tags = data[at + 1] & 0x80
            at += 8
            while at + size <= stop:
                one = data[at:at + size]
                yield (int.from_bytes(one[:2], "big"), one[2] & 1,
                       one[12:44].decode().strip(" \0") if tags else "")
                at += size

    def _ask(self, cdb, length):
        lib = ctypes.CDLL("libiscsi.so.7")
        for name in ("iscsi_create_context", "scsi_create_task",
                     "iscsi_scsi_command_sync"):
            getattr(lib, name).restype = ctypes.c_void_p
        iscsi = ctypes.c_void_p(lib.iscsi_create_context(b"iqn.2026-11.look"))
        lib.iscsi_set_targetname(iscsi, NAME.encode())
        lib.iscsi_set_session_type(iscsi, 2)
        assert lib.iscsi_full_connect_sync(
            iscsi, f"127.0.0.1:{self.port}".encode(), ROBOT) == 0
        data = ctypes.create_string_buffer(length)
        task = ctypes.c_void_p(lib.scsi_create_task(
            len(cdb), ctypes.create_string_buffer(cdb, len(cdb)), 1, length))
        lib.scsi_task_add_data_in_buffer(task, length, data)
        done = lib.iscsi_scsi_command_sync(iscsi, ROBOT, task, None)
        assert done and ctypes.c_int.from_address(task.value).value == 0
        lib.iscsi_logout_sync(iscsi)
        lib.scsi_free_scsi_task(task)
        lib.iscsi_destroy_context(iscsi)
        return data.raw
