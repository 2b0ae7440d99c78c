"""The steps about processes and memory, and the names of processes in results."""

from . import language as lang
from .machine import MachineError
from .scope import Scope


class Processes:
    """The processes of one case by name."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._machine = scope.machine
        self._names: list[str] = []

    def named(self, path: str, text: str) -> str:
        """Return a value with a process's number replaced by its name, where pids stand."""
        if path.endswith("/pid_target"):
            for name in reversed(self._names):
                if text == str(self._scope.values[f"{name}.pid"]):
                    return f"${name}.pid"
        return text

    def do(self, step: lang.Step) -> str:
        """Obey one step."""
        match step:
            case lang.Start(name, namespace, number_of):
                self._start(name, namespace, number_of)
            case lang.End(how, name):
                self._machine.end(name, how)
            case lang.Touch(name, size_bytes, steadily):
                self._machine.touch(name, size_bytes, steadily=steadily)
            case lang.Squeeze(permille):
                self._machine.squeeze(self._scope.number(permille))
            case lang.Release():
                self._machine.release()
            case lang.Namespace(name):
                self._machine.make_namespace(name)
            case other:
                raise MachineError(f"nobody obeys {other}")
        return "done"

    def _start(self, name: str, namespace: str | None, number_of: str | None) -> None:
        pid = None if number_of is None else self._scope.value(f"{number_of}.pid")
        numbers = self._machine.start(name, namespace, pid)
        self._names.append(name)
        for kind, number in numbers.items():
            self._scope.values[f"{name}.{kind}"] = number
