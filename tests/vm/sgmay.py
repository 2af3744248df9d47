"""sgmay.py NODE OPCODE... - which commands does the kernel take from whoever
runs this?

Prints a line for each: the opcode, and for a node that is open for reading
only, and one that is open for reading and writing, "yes" or the errno.  Nothing
is sent: its data are where there is no memory, and the kernel looks at that
after it has asked whether the command may be.

SPDX-License-Identifier: MIT
"""
import ctypes
import errno
import fcntl
import os
import sys

SG_IO = 0x2285
SG_DXFER_TO_DEV = -2
LENGTHS = {0: 6, 1: 10, 2: 10, 4: 16, 5: 12}


class Header(ctypes.Structure):
    """struct sg_io_hdr of <scsi/sg.h>"""
    _fields_ = [
        ("interface_id", ctypes.c_int), ("direction", ctypes.c_int),
        ("cmd_len", ctypes.c_ubyte), ("mx_sb_len", ctypes.c_ubyte),
        ("iovec_count", ctypes.c_ushort), ("dxfer_len", ctypes.c_uint),
        ("dxferp", ctypes.c_void_p), ("cmdp", ctypes.c_void_p),
        ("sbp", ctypes.c_void_p), ("timeout", ctypes.c_uint),
        ("flags", ctypes.c_uint), ("pack_id", ctypes.c_int),
        ("usr_ptr", ctypes.c_void_p), ("status", ctypes.c_ubyte),
        ("masked_status", ctypes.c_ubyte), ("msg_status", ctypes.c_ubyte),
        ("sb_len_wr", ctypes.c_ubyte), ("host_status", ctypes.c_ushort),
        ("driver_status", ctypes.c_ushort), ("resid", ctypes.c_int),
        ("duration", ctypes.c_uint), ("info", ctypes.c_uint)]


def may(fd, opcode):
    cdb = bytes([opcode]) + bytes(LENGTHS[opcode >> 5] - 1)
    command = ctypes.create_string_buffer(cdb, len(cdb))
    sense = ctypes.create_string_buffer(32)
    header = Header(interface_id=ord("S"),
                    direction=SG_DXFER_TO_DEV, dxfer_len=512, dxferp=16,
                    cmd_len=len(cdb), mx_sb_len=32, timeout=20000,
                    cmdp=ctypes.addressof(command),
                    sbp=ctypes.addressof(sense))
    try:
        fcntl.ioctl(fd, SG_IO, header)
    except OSError as error:
        return ("yes" if error.errno == errno.EFAULT
                else errno.errorcode[error.errno])
    return "sent"


def main():
    flags = [os.O_RDONLY, os.O_RDWR]
    fds = [os.open(sys.argv[1], flag | os.O_NONBLOCK) for flag in flags]
    for text in sys.argv[2:]:
        print(text, *[may(fd, int(text, 16)) for fd in fds])


main()
