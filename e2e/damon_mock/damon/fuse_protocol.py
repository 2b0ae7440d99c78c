"""The kernel's FUSE protocol, as far as a tree of small files needs it (include/uapi/linux/fuse.h).

Pure: bytes to requests, values to bytes. Version 7.31, which every kernel since 5.4 speaks.
"""

import enum
import struct
from dataclasses import dataclass
from typing import Final

MAJOR: Final = 7
MINOR: Final = 31
ROOT: Final = 1
BUFFER_BYTES: Final = 128 * 1024
MAX_WRITE_BYTES: Final = 4096
"""The kernel cuts longer writes: sysfs takes a page at most."""

_HEADER: Final = struct.Struct("<IIQQIIIHH")
_REPLY: Final = struct.Struct("<IiQ")
_ATTR: Final = struct.Struct("<QQQQQQIIIIIIIIII")
_ENTRY: Final = struct.Struct("<QQQQII")
_VALID: Final = struct.Struct("<QII")
_LONG_S: Final = 86_400  # for as long as any mock runs
_INIT_OUT: Final = struct.Struct("<IIIIHHIIHHI28x")
_OPEN_OUT: Final = struct.Struct("<QII")
_READ_IN: Final = struct.Struct("<QQI")
_WRITE_IN: Final = struct.Struct("<QQIIQII")
_DIRENT: Final = struct.Struct("<QQII")
_STATFS_OUT: Final = struct.Struct("<QQQQQIIII24x")

_INIT_FLAGS: Final = 1 << 0 | 1 << 5  # FUSE_ASYNC_READ, FUSE_BIG_WRITES
_OPEN_DIRECT_IO: Final = 1
_DT_DIRECTORY: Final = 4
_DT_FILE: Final = 8


class Opcode(enum.IntEnum):
    """What the kernel asks; the numbers are its own."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    CREATE = 35
    INTERRUPT = 36
    DESTROY = 38
    BATCH_FORGET = 42
    RENAME2 = 45


@dataclass(frozen=True)
class Request:
    """One request: about which node, from which process, and the bytes that follow the header."""

    opcode: int
    unique: int
    node: int
    pid: int
    body: bytes


@dataclass(frozen=True)
class Attributes:
    """What stat(2) shows of a node."""

    inode: int
    mode: int
    size_bytes: int
    uid: int
    gid: int


def request(data: bytes) -> Request:
    """Take a message of the kernel apart."""
    length, opcode, unique, node, _uid, _gid, pid, _ext, _padding = _HEADER.unpack_from(data)
    return Request(opcode, unique, node, pid, data[_HEADER.size : length])


def reply(unique: int, body: bytes = b"", code: int = 0) -> bytes:
    """Return the answer to a request: a body, or an errno."""
    return _REPLY.pack(_REPLY.size + len(body), -code, unique) + body


def name(body: bytes) -> str:
    """Return the name a LOOKUP is about."""
    return body.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def forgotten(request_: Request) -> list[tuple[int, int]]:
    """Return (node, number of lookups) of a FORGET or BATCH_FORGET."""
    if request_.opcode == Opcode.FORGET:
        return [(request_.node, struct.unpack_from("<Q", request_.body)[0])]
    (count,) = struct.unpack_from("<I", request_.body)
    return [struct.unpack_from("<QQ", request_.body, 8 + 16 * index) for index in range(count)]


def open_flags(body: bytes) -> int:
    """Return the flags of open(2)."""
    return int(struct.unpack_from("<I", body)[0])


def handle(body: bytes) -> int:
    """Return the file handle a READ, WRITE, READDIR or RELEASE is about."""
    return int(struct.unpack_from("<Q", body)[0])


def span(body: bytes) -> tuple[int, int]:
    """Return (offset, size) of a READ or READDIR."""
    _, offset, size = _READ_IN.unpack_from(body)
    return offset, size


def written(body: bytes) -> bytes:
    """Return the data of a WRITE."""
    size = _WRITE_IN.unpack_from(body)[2]
    return body[_WRITE_IN.size : _WRITE_IN.size + size]


def init_out() -> bytes:
    """Answer INIT."""
    return _INIT_OUT.pack(MAJOR, MINOR, 0, _INIT_FLAGS, 64, 48, MAX_WRITE_BYTES, 1, 1, 0, 0)


def entry_out(node: int, attributes: Attributes, *, lasting: bool) -> bytes:
    """Answer LOOKUP; `lasting`: the kernel need not ask again. What a path is never changes."""
    return _ENTRY.pack(node, 0, _LONG_S if lasting else 0, _LONG_S, 0, 0) + _attr(attributes)


def attr_out(attributes: Attributes) -> bytes:
    """Answer GETATTR and SETATTR."""
    return _VALID.pack(_LONG_S, 0, 0) + _attr(attributes)


def open_out(handle_: int) -> bytes:
    """Answer OPEN and OPENDIR: past the page cache."""
    return _OPEN_OUT.pack(handle_, _OPEN_DIRECT_IO, 0)


def write_out(size: int) -> bytes:
    """Answer WRITE."""
    return struct.pack("<II", size, 0)


def statfs_out() -> bytes:
    """Answer STATFS: a file system without blocks."""
    return _STATFS_OUT.pack(0, 0, 0, 0, 0, 4096, 255, 4096, 0)


def entries_out(entries: list[tuple[str, bool]], offset: int, size: int) -> bytes:
    """Answer READDIR with (name, is a directory) from an offset on, as many as fit."""
    packed = b""
    for number, (name_, is_directory) in enumerate(entries[offset:], offset + 1):
        raw = name_.encode("utf-8", "surrogateescape")
        kind = _DT_DIRECTORY if is_directory else _DT_FILE
        padding = -(_DIRENT.size + len(raw)) % 8
        entry = _DIRENT.pack(number, number, len(raw), kind) + raw + bytes(padding)
        if len(packed) + len(entry) > size:
            break
        packed += entry
    return packed


def _attr(attributes: Attributes) -> bytes:
    return _ATTR.pack(
        attributes.inode,
        attributes.size_bytes,
        *(0, 0, 0, 0),  # blocks and times
        *(0, 0, 0),  # nanoseconds
        attributes.mode,
        1,
        attributes.uid,
        attributes.gid,
        *(0, 4096, 0),  # device, block size, flags
    )
