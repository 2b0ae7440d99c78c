"""The sysfs copy: directories and the text in their files. It knows nothing of running kdamonds."""

import errno
from collections.abc import Iterator

from .parse import UINT_MAX, failure
from .profiles import DirectorySpec, FileSpec


class Directory:
    """One directory as user space sees it: values of its files, sub-directories, numbered children.

    `creator` is who wrote the `nr_*` file that made it. `numbers` are the names of the numbered
    children: 0, 1, 2 and so on, but for one kernel's tried regions.
    """

    def __init__(self, spec: DirectorySpec, creator: str) -> None:
        self.spec = spec
        self.creator = creator
        self.values = {name: file.default for name, file in spec.files.items()}
        self.fixed = {name: Directory(inner, creator) for name, inner in spec.directories.items()}
        self.numbered: list[Directory] = []
        self.numbers: list[int] = []
        self._counter = 0

    def make(self, number: int, creator: str) -> None:
        """Destroy all numbered children and create fresh ones, as every nr_* store does."""
        element = self.spec.element
        if element is None:
            raise LookupError("this directory has no numbered children")
        self.numbered = [Directory(element, creator) for _ in range(number)]
        self.numbers = list(range(number))
        if self.spec.counter is not None:
            self.values[self.spec.counter] = str(number)

    def make_counting_twice(self, number: int, creator: str) -> None:
        """Do as `make`, with a counter that goes up twice per child and down once (6.18)."""
        self._counter -= len(self.numbered)
        self.make(number, creator)
        self.numbers = [self._counter + 1 + 2 * index for index in range(number)]
        self._counter += 2 * number

    def entries(self) -> list[str]:
        """Return the names in this directory."""
        return [*self.values, *self.fixed, *map(str, self.numbers)]

    def descend(self, *path: str) -> "Directory":
        """Return a directory below; ENOENT or ENOTDIR as open(2) would say it."""
        here = self
        for name in path:
            if name in here.values:
                raise failure(errno.ENOTDIR)
            if name in here.fixed:
                here = here.fixed[name]
            elif name.isascii() and name.isdigit() and str(int(name)) == name:
                if int(name) not in here.numbers:
                    raise failure(errno.ENOENT)
                here = here.numbered[here.numbers.index(int(name))]
            else:
                raise failure(errno.ENOENT)
        return here

    def text(self, path: str) -> str:
        """Return the value of the file at a path below, without the newline."""
        *directories, name = path.split("/")
        return self.descend(*directories).values[name]

    def number(self, path: str) -> int:
        """Return the value of a numeric file at a path below."""
        return int(self.text(path))

    def uint(self, path: str) -> int:
        """Return a number of a file below as the kernel keeps it, in 32 bits.

        The file takes and shows 64 bits; the rest is lost without a word.
        """
        return self.number(path) & UINT_MAX

    def flag(self, path: str) -> bool:
        """Return a bool file at a path below; False where this kernel has no such file."""
        *directories, name = path.split("/")
        return self.descend(*directories).values.get(name) == "Y"

    def file(self, name: str) -> FileSpec:
        """Return what is known of a file in this directory; ENOENT, or EISDIR for a directory."""
        if name in self.spec.files:
            return self.spec.files[name]
        self.descend(name)
        raise failure(errno.EISDIR)

    def walk(self, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Yield (path, value) of every file below, in a stable order."""
        for name, value in self.values.items():
            yield f"{prefix}{name}", value
        for name, inner in self.fixed.items():
            yield from inner.walk(f"{prefix}{name}/")
        for index, inner in zip(self.numbers, self.numbered, strict=True):
            yield from inner.walk(f"{prefix}{index}/")
