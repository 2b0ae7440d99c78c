import errno
import os
from pathlib import Path

import pytest

from damon_agent.kernel.tree import errors
from damon_agent.kernel.tree.sysfs import DirectoryFiles, Sysfs
from damon_agent.mounts import filesystem

MOUNTS = (
    "20 1 0:1 / / rw - ext4 /dev/vda1 rw\n"
    "21 20 0:19 / /sys rw,nosuid - sysfs sysfs rw\n"
    "22 20 0:20 / /with\\040space rw shared:7 - fuse.mock mock rw\n"
)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/sys/kernel/mm", "sysfs"),
        ("/sys", "sysfs"),
        ("/sysother", "ext4"),
        ("/with space/damon", "fuse.mock"),
        ("/", "ext4"),
    ],
)
def test_the_longest_mount_point_says_the_file_system(path, kind):
    assert filesystem(Path(path), MOUNTS) == kind


def test_a_real_sysfs_is_refused_unless_it_is_meant(tmp_path):
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        f"20 1 0:1 / / rw - ext4 /dev/vda1 rw\n21 20 0:2 / {tmp_path} rw - sysfs s rw\n"
    )
    (tmp_path / "damon").mkdir()
    with pytest.raises(errors.RealSysfs, match="real sysfs"):
        DirectoryFiles(tmp_path / "damon", mountinfo=mountinfo)
    DirectoryFiles(tmp_path / "damon", mountinfo=mountinfo, allow_sysfs=True)


def test_a_link_into_a_real_sysfs_is_refused_too(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(f"20 1 0:1 / / rw - ext4 e rw\n21 20 0:2 / {real} rw - sysfs s rw\n")
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(errors.RealSysfs):
        DirectoryFiles(tmp_path / "link", mountinfo=mountinfo)


def test_reading_writing_and_listing_a_directory(tmp_path):
    (tmp_path / "state").write_text("off\n")
    sysfs = Sysfs(DirectoryFiles(tmp_path))
    assert sysfs.read("state") == "off"
    sysfs.write("state", "on")
    assert sysfs.list("") == ("state",)
    assert sysfs.read("state").startswith("on")
    assert sysfs.found("absent") is None


class Failing:
    def __init__(self, code: int) -> None:
        self._code = code

    def read(self, path: str) -> bytes:
        raise OSError(self._code, os.strerror(self._code), path)

    def write(self, path: str, data: bytes) -> None:
        raise OSError(self._code, os.strerror(self._code), path, data)

    def list(self, path: str) -> list[str]:
        raise OSError(self._code, os.strerror(self._code), path)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOENT, errors.Missing),
        (errno.ENODEV, errors.Missing),
        (errno.EROFS, errors.ReadOnly),
        (errno.EACCES, errors.Denied),
        (errno.EBUSY, errors.Busy),
        (errno.EINVAL, errors.Rejected),
        (errno.EPERM, errors.Rejected),
        (errno.EIO, errors.Rejected),
    ],
)
def test_an_error_says_path_value_and_errno(code, kind):
    sysfs = Sysfs(Failing(code))
    with pytest.raises(kind) as raised:
        sysfs.write("admin/kdamonds/0/state", "on")
    assert (raised.value.path, raised.value.value, raised.value.errno) == (
        "admin/kdamonds/0/state",
        "on",
        code,
    )
    assert errno.errorcode[code] in str(raised.value)
    with pytest.raises(kind):
        sysfs.read("x")
    with pytest.raises(kind):
        sysfs.list("x")


def test_a_failing_write_is_never_lost(tmp_path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    (tmp_path / "full").symlink_to(full)
    with pytest.raises(errors.Rejected, match="ENOSPC"):
        Sysfs(DirectoryFiles(tmp_path)).write("full", "x")


@pytest.mark.parametrize("size_bytes", [0, 1, 65_535, 65_536, 65_537, 200_000])
def test_a_file_is_read_to_its_end(tmp_path, size_bytes):
    content = bytes(n % 251 for n in range(size_bytes))
    (tmp_path / "file").write_bytes(content)
    assert DirectoryFiles(tmp_path).read("file") == content


def test_a_short_file_is_read_once(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"on\n")
    sizes = []
    read = os.read

    def counted(descriptor, size_bytes):
        sizes.append(size_bytes)
        return read(descriptor, size_bytes)

    monkeypatch.setattr(os, "read", counted)
    DirectoryFiles(tmp_path).read("file")
    assert len(sizes) == 1
