"""Where names of a script lead: paths, variables, and the value of an expression."""

import operator
import re
from collections.abc import Callable
from typing import Final

from . import language as lang
from .machine import Machine, MachineError, error_name
from .parsing import expression

_SHORT: Final = {"context": "0/contexts/0", "scheme": "0/contexts/0/schemes/0"}
"""How paths may start, besides what lies below kdamonds/ and `module`."""

_COMPARE: Final[dict[str, Callable[[int, int], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_COMBINE: Final[dict[str, Callable[[list[int]], int]]] = {
    "max": lambda found: max(found, default=0),
    "sum": sum,
    "count": len,
}
_NAME: Final = re.compile(r"\$(\w+(?:\.\w+)?)")
_BRACES: Final = re.compile(r"\{([^}]*)\}")


def full(path: str) -> str:
    """Return the path a machine understands."""
    head, slash, rest = path.partition("/")
    return f"{_SHORT.get(head, head)}{slash}{rest}"


class Scope:
    """The variables of one case, and its machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.values: dict[str, int] = {}

    def value(self, name: str) -> int:
        """Return a variable; MachineError if the script never set it."""
        if name not in self.values:
            raise MachineError(f"${name} is not known here")
        return self.values[name]

    def filled(self, template: str) -> str:
        """Return text with `$name` and `{expression}` replaced by their numbers."""
        text = _BRACES.sub(lambda found: str(self.number(expression(found[1]))), template)
        return _NAME.sub(lambda found: str(self.value(found[1])), text)

    def text(self, path: str) -> str:
        """Return a file's content without its last newline; OSError."""
        content = self.machine.read(full(path)).decode("latin-1")
        return content.removesuffix("\n")

    def number(self, wanted: lang.Expression) -> int:
        """Return the value of an expression; OSError of what it reads."""
        match wanted:
            case lang.Number():
                number = wanted.value
            case lang.Variable():
                number = self.value(wanted.name)
            case lang.Free():
                number = self.machine.free_permille()
            case lang.Reading():
                number = self._read(wanted)
            case lang.Sum():
                number = sum(sign * self.number(term) for sign, term in wanted.terms)
            case lang.Text():
                number = int(self.filled(wanted.template))
        return number

    def _read(self, wanted: lang.Reading) -> int:
        match wanted.function:
            case None:
                return int(self.text(wanted.path))
            case "swapped":
                return self.machine.swapped_mib(wanted.path)
            case function:
                found = [int(self.text(path)) for path in self.expand(wanted.path)]
                return _COMBINE[function](found)

    def expand(self, pattern: str) -> list[str]:
        """Return the paths that a pattern with `*` for numbered directories names."""
        before, star, after = full(pattern).partition("*")
        if not star:
            return [before]
        names = self.machine.entries(before.rstrip("/"))
        return [
            path
            for name in sorted(filter(str.isdecimal, names), key=int)
            for path in self.expand(f"{before}{name}{after}")
        ]

    def holds(self, condition: lang.Condition) -> str:
        """Return "true", "false", or the errno met while looking."""
        try:
            if condition.operator == "is":
                left, right = condition.left, condition.right
                assert isinstance(left, lang.Reading)
                assert isinstance(right, lang.Text)
                same = self.text(left.path) == self.filled(right.template)
            else:
                compare = _COMPARE[condition.operator]
                same = compare(self.number(condition.left), self.number(condition.right))
        except OSError as error:
            return error_name(error)
        return "true" if same else "false"
