#!/usr/bin/env python3
"""Debian's Chromium, blind to the network interfaces of this machine.

Whenever an address comes or goes, Chromium drops what it was about to ask, of the loopback interface as well, with
``ERR_NETWORK_CHANGED``; no option of it says otherwise. Engines, registries and containers of the tests bring addresses
all the time. So it may not open the kind of socket (``AF_NETLINK``) that tells of them; then it takes the network to be
there, always.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from errno import EAFNOSUPPORT

# From linux/prctl.h, linux/seccomp.h and linux/bpf_common.h.
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | EAFNOSUPPORT
# Where `struct seccomp_data` has the system call's number, and its first argument.
NUMBER, DOMAIN = 0, 16
AF_NETLINK = 16
SOCKET = {"x86_64": 41, "aarch64": 198}


class Program(ctypes.Structure):
    """``struct sock_fprog``: a filter, and how many instructions it has."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_netlink() -> None:
    """Let neither this process nor what it becomes open a socket of netlink."""
    # Of each, what to do, where to go on if that is so and if not, and an operand.
    instructions = (
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_EQUAL, 0, 3, SOCKET[platform.machine()]),
        (LOAD, 0, 0, DOMAIN),
        (JUMP_IF_EQUAL, 0, 1, AF_NETLINK),
        (RETURN, 0, 0, REFUSE),
        (RETURN, 0, 0, ALLOW),
    )
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    program = ctypes.byref(Program(len(instructions), code))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program):
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    refuse_netlink()
    os.execv("/usr/bin/chromium", sys.argv)  # noqa: S606
