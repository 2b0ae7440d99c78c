"""What the probe has printed, as facts. Pure; whatever it is, what cannot be read is not known."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from damon_agent.kernel.tree.signature import SIGNATURE
from damon_cli.doctor.facts import Holder, NodeFacts, Owner, SwapLimits

_KDAMONDS: Final = "sys/kernel/mm/damon/admin/kdamonds"
_MODULES: Final = {
    "damon_reclaim": Holder(Owner.MODULE, "DAMON_RECLAIM (kernel module damon_reclaim)"),
    "damon_lru_sort": Holder(Owner.MODULE, "DAMON_LRU_SORT (kernel module damon_lru_sort)"),
    "damon_stat": Holder(Owner.STAT, "DAMON_STAT (kernel module damon_stat)"),
}
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True)
class Printed:
    """The sections of the output: files, what was looked for, and what is not there."""

    found: Mapping[str, tuple[str, ...]]
    absent: frozenset[str]
    unreadable: frozenset[str]

    @classmethod
    def of(cls, text: str) -> "Printed":
        """Return the sections; of an output that was cut off all but the last."""
        found: dict[str, list[str]] = {}
        absent, unreadable = set(), set()
        name, whole = "", False
        for raw in text.splitlines():
            line = re.sub(r"[^\x20-\x7e]", "?", raw.replace("\t", " "))
            mark, rest = line[:2], line[2:]
            if line.startswith(" ") and name:
                found[name].append(line[1:].strip())
                continue
            whole = line == "."
            if mark in {"@ ", "= "}:
                name = rest
                found[name] = []
            elif mark == "- ":
                absent.add(rest)
            elif mark == "! ":
                unreadable.add(rest)
        if not whole:
            found.pop(name, None)
        sections = {each: tuple(lines) for each, lines in found.items()}
        return cls(sections, frozenset(absent), frozenset(unreadable))

    @property
    def is_probe(self) -> bool:
        """Say whether it is what the probe prints, of a version that is known."""
        return self.found.get("damon-probe") == ("1",)

    def first(self, path: str) -> str | None:
        """Return the first line of a file, None if it is not known."""
        return next(iter(self.found.get(path, ())), None)

    def is_absent(self, path: str) -> bool:
        """Say whether there is certainly no such file below sys: sys itself could be read."""
        return path in self.absent and bool(self.found.get("sys/kernel/mm"))


def facts(text: str) -> NodeFacts:
    """Return what the probe's output says of a node."""
    printed = Printed.of(text)
    memory = _memory(printed)
    return NodeFacts(
        probed=True,
        linux=True if "proc/sys/kernel/osrelease" in printed.found else None,
        release=printed.first("proc/sys/kernel/osrelease"),
        damon=_damon(printed),
        vaddr=_vaddr(printed),
        holders=_holders(printed),
        memory_bytes=memory.get("MemTotal"),
        swap_total_bytes=memory.get("SwapTotal"),
        swap_free_bytes=memory.get("SwapFree"),
        swap_kinds=_swap_kinds(printed),
        zswap=_switch(printed, "sys/module/zswap/parameters/enabled"),
        zram_limited=_zram_limited(printed),
        reclaim_file=_reclaim_file(printed),
        cgroup_version=_cgroup_version(printed),
        swap_limits=_swap_limits(printed),
        throttled=_throttled(printed),
        page_bytes=_kib(next(iter(printed.found.get("page size", ())), "")),
        transparent_huge=_transparent_huge(printed),
        huge_bytes=memory.get("Hugetlb"),
        mglru=_mglru(printed),
    )


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _kib(line: str) -> int | None:
    """Return the bytes of a line as /proc/meminfo has them: NAME: NUMBER kB."""
    _, _, rest = line.partition(":")
    words = rest.split()
    number = _number(words[0]) if len(words) == 2 and words[1] == "kB" else None
    return None if number is None else number * 1024


def _memory(printed: Printed) -> dict[str, int]:
    sizes = {line.partition(":")[0]: _kib(line) for line in printed.found.get("proc/meminfo", ())}
    return {name: size for name, size in sizes.items() if size is not None}


def _damon(printed: Printed) -> bool | None:
    path = f"{_KDAMONDS}/nr_kdamonds"
    if path in printed.found or path in printed.unreadable:
        return True
    return False if printed.is_absent(path) else None


def _vaddr(printed: Printed) -> bool | None:
    symbols = printed.found.get("symbols", ())
    if not {"_text", "_stext"} & set(symbols):
        return None
    return any(symbol.startswith("damon_va_") for symbol in symbols)


def _switch(printed: Printed, path: str) -> bool | None:
    said = {"Y": True, "1": True, "N": False, "0": False}.get(printed.first(path) or "")
    return False if printed.is_absent(path) else said


def _holders(printed: Printed) -> tuple[Holder, ...] | None:
    """Return who has DAMON, as far as that is known for certain."""
    switches = {m: _switch(printed, f"sys/module/{m}/parameters/enabled") for m in _MODULES}
    holders = [_MODULES[module] for module, on in switches.items() if on]
    number = _number(printed.first(f"{_KDAMONDS}/nr_kdamonds") or "")
    by_sysfs = _by_sysfs(printed, number) if number else None
    holders += [by_sysfs] if by_sysfs else []
    threads = printed.found.get("kdamond threads") if printed.first("proc/1/comm") else None
    if threads and not holders and number == 0 and None not in switches.values():
        name = ", ".join(thread.rpartition("/comm:")[2] for thread in threads[:3])
        holders.append(Holder(Owner.OTHER, f"{name}: started neither by sysfs nor by a module"))
    known = number == 0 and threads is not None and None not in switches.values()
    return tuple(holders) if holders or known else None


def _by_sysfs(printed: Printed, number: int) -> Holder | None:
    """Return whose the kdamonds of sysfs are, None if it is not known."""
    states = [path for path in printed.found if path.startswith(_KDAMONDS) and "/state" in path]
    running = sum(printed.first(path) == "on" for path in states)
    told = f"{number} kdamond{'s' if number > 1 else ''} in sysfs, {running} on"
    marks = ("high", "mid", "low")
    for state in states:
        base = f"{state.removesuffix('/state')}/contexts/0/schemes/0/watermarks"
        if all(
            printed.first(f"{base}/{mark}") == str(value)
            for mark, value in zip(marks, SIGNATURE, strict=True)
        ):
            return Holder(Owner.OURS, f"damon-operator's agent: {told}")
    if len(states) < number or any(path.startswith(_KDAMONDS) for path in printed.unreadable):
        return None
    return Holder(Owner.OTHER, f"{told}, and not damon-operator's: damo, or another tool")


def _swap_kinds(printed: Printed) -> tuple[str, ...] | None:
    head, *lines = printed.found.get("proc/swaps", ()) or ("",)
    if not head.startswith("Filename"):
        return None
    kinds = []
    for name, kind, *_ in (line.split() for line in lines if len(line.split()) > 1):
        kinds.append("zram" if "/zram" in name else "file" if kind == "file" else "disk")
    return tuple(kinds)


def _zram_limited(printed: Printed) -> tuple[str, ...] | None:
    paths = [path for path in printed.found if path.endswith("/mm_stat")]
    if not paths and not any(printed.is_absent(p) for p in printed.absent if "/mm_stat" in p):
        return None
    limits = {path.split("/")[-2]: (printed.first(path) or "").split() for path in paths}
    if any(len(words) < 4 for words in limits.values()):
        return None
    return tuple(name for name, words in limits.items() if words[3] != "0")


def _cgroup_version(printed: Printed) -> int | None:
    unified = "sys/fs/cgroup/cgroup.controllers"
    if unified in printed.found:
        return 2
    is_v1 = "sys/fs/cgroup/memory/notify_on_release" in printed.found
    return 1 if is_v1 and printed.is_absent(unified) else None


def _reclaim_file(printed: Printed) -> bool | None:
    """Say whether there is memory.reclaim; an older probe has not looked."""
    seen = printed.found.get("memory.reclaim")
    return None if seen is None or _cgroup_version(printed) is None else bool(seen)


def _counted(printed: Printed, name: str) -> dict[str, int]:
    """Return how many containers have which value, of lines as `uniq -c` prints them."""
    counts: dict[str, int] = {}
    for words in (line.split() for line in printed.found.get(name, ())):
        number = _number(words[0]) if len(words) == 2 else None
        if number is None:
            return {}
        counts[words[1]] = number
    return counts


def _swap_limits(printed: Printed) -> SwapLimits | None:
    counts = _counted(printed, "memory.swap.max")
    every, nothing = sum(counts.values()), counts.get("0", 0)
    limited = every - nothing - counts.get("max", 0)
    return SwapLimits("containers", every, nothing, limited) if every else None


def _throttled(printed: Printed) -> int | None:
    counts = _counted(printed, "memory.high")
    every = sum(counts.values())
    return every - counts.get("max", 0) if every else None


def _transparent_huge(printed: Printed) -> str | None:
    path = "sys/kernel/mm/transparent_hugepage/enabled"
    chosen = re.search(r"\[(\w+)\]", printed.first(path) or "")
    return "none" if printed.is_absent(path) else chosen and chosen[1]


def _mglru(printed: Printed) -> bool | None:
    path = "sys/kernel/mm/lru_gen/enabled"
    said = re.fullmatch(r"0x[0-9a-f]{1,8}", printed.first(path) or "")
    return False if printed.is_absent(path) else said and int(said[0], 16) != 0
