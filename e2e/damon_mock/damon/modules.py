"""/sys/module of the exclusive users of DAMON: damon_stat, damon_reclaim, damon_lru_sort."""

import errno

from .parse import boolean, failure
from .profiles import Profile


class Modules:
    """Which of them run. They and sysfs kdamonds exclude each other."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self.enabled = dict.fromkeys(profile.modules, False)

    @property
    def any_enabled(self) -> bool:
        """Whether an exclusive user runs."""
        return any(self.enabled.values())

    def entries(self, path: tuple[str, ...]) -> list[str]:
        """Return the directory entries below /sys/module; ENOENT, ENOTDIR."""
        match path:
            case []:
                return list(self.enabled)
            case [name] if name in self.enabled:
                return ["parameters"]
            case [name, "parameters"] if name in self.enabled:
                return self._parameters(name)
            case _:
                pass
        if len(path) == 3 and path[2] in self.entries(path[:2]):
            raise failure(errno.ENOTDIR)
        raise failure(errno.ENOENT)

    def read(self, path: tuple[str, ...]) -> str:
        """Return a parameter; ENOENT, EISDIR."""
        name, parameter = self._parameter(path)
        if parameter == "enabled":
            return "Y" if self.enabled[name] else "N"
        return "99" if self.enabled[name] else "-1"

    def write(self, path: tuple[str, ...], data: bytes, *, kdamond_runs: bool) -> None:
        """Switch one on or off; EBUSY while anybody else runs (silently nothing on 6.1)."""
        name, parameter = self._parameter(path)
        if parameter != "enabled":
            raise failure(errno.EACCES)
        wanted = boolean(data, enable_is_true=self._profile.enable_is_true)
        others_run = any(on for other, on in self.enabled.items() if other != name)
        if wanted and (kdamond_runs or others_run):
            if self._profile.module_enable_fails_silently:
                return
            raise failure(errno.EBUSY)
        self.enabled[name] = wanted

    def _parameter(self, path: tuple[str, ...]) -> tuple[str, str]:
        if len(path) == 3 and path[2] in self.entries(path[:2]):
            return path[0], path[2]
        self.entries(path)
        raise failure(errno.EISDIR)

    def _parameters(self, name: str) -> list[str]:
        if name == "damon_stat" and not self._profile.damon_stat_has_pid:
            return ["enabled"]
        return ["enabled", "kdamond_pid"]
