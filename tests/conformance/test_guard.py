"""A real kernel's tree is refused, unless the kernel was booted to be broken.

File system types and command lines are injected: no test comes near the real tree.
"""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import damon_mock
from damon_mock.conformance import guard
from damon_mock.conformance.tree import TreeMachine

REAL = guard.SYSFS_MAGIC
TMPFS = 0x01021994


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "admin" / "kdamonds").mkdir(parents=True)
    (tmp_path / "admin" / "kdamonds" / "nr_kdamonds").write_text("0\n")
    return tmp_path


def pretended(*types, words):
    """The guard, told which file systems it looks at and how this kernel was booted."""
    found = iter(types)
    return partial(guard.check, type_of=lambda _: next(found), words=lambda: words)


@pytest.mark.parametrize(
    "words", ["", "quiet ro", "damon_mock.guests", "xdamon_mock.guest", "a=damon_mock.guest"]
)
def test_a_real_sysfs_is_refused(tree, words):
    with pytest.raises(guard.RealKernelError, match="only inside a guest"):
        TreeMachine(tree, check=pretended(REAL, words=words))


def test_real_modules_are_refused_too(tree, tmp_path):
    with pytest.raises(guard.RealKernelError):
        TreeMachine(tree, tmp_path, check=pretended(TMPFS, REAL, words="quiet"))


def test_a_guest_may_be_written_to(tree):
    check = pretended(REAL, words="quiet damon_mock.guest panic=1\n")
    assert TreeMachine(tree, check=check).real


def test_other_file_systems_are_nobodys_kernel(tree):
    assert not TreeMachine(tree, check=pretended(TMPFS, words="quiet")).real


def test_the_type_is_that_of_the_open_directory(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        told = subprocess.run(
            ["stat", "-f", "-c", "%t", str(tmp_path)], capture_output=True, text=True, check=True
        )
        assert guard.filesystem_type(descriptor) == int(told.stdout, 16)
    finally:
        os.close(descriptor)


def test_a_link_to_a_real_tree_does_not_help(tree, tmp_path):
    """The check is of what was opened, whatever the path to it looks like."""
    (tmp_path / "link").symlink_to(tree / "admin")
    seen = []

    def type_of(number):
        seen.append(Path(f"/proc/self/fd/{number}").resolve())
        return REAL

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "admin").symlink_to(tmp_path / "link")
    check = partial(guard.check, type_of=type_of, words=lambda: "quiet")
    with pytest.raises(guard.RealKernelError):
        TreeMachine(tmp_path / "other", check=check)
    assert seen == [tree / "admin" / "kdamonds"]


def test_nothing_is_written_or_left_open_when_refused(tree):
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(guard.RealKernelError):
        TreeMachine(tree, check=pretended(REAL, words="quiet"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert (tree / "admin" / "kdamonds" / "nr_kdamonds").read_text() == "0\n"


def test_a_guest_needs_only_the_standard_library():
    package = Path(damon_mock.__file__).parent.parent
    program = (
        f"import sys; sys.path.insert(0, {str(package)!r})\n"
        "from damon_mock.conformance.command import main\n"
        "sys.exit(main(['--profile', '6.12', 'tree']))"
    )
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert '"script": "tree"' in ended.stdout
