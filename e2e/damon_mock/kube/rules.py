"""CEL rules of CRDs, evaluated with cel-python where that is installed."""

import importlib
import importlib.util
from typing import Any

from damon_mock.kube.validation import RuleCheck


class CelRules:
    """Evaluates rules; compiled ones are kept, for compiling takes most of the time."""

    def __init__(self) -> None:
        # By name: it is slow to import, and installed for tests only.
        self._celpy: Any = importlib.import_module("celpy")
        self._programs: dict[str, Any] = {}

    def __call__(self, rule: str, value: Any, old: Any) -> bool:
        """Return whether a rule holds; one that cannot be evaluated does not."""
        if rule not in self._programs:
            environment = self._celpy.Environment()
            self._programs[rule] = environment.program(environment.compile(rule))
        activation = {"self": self._celpy.json_to_cel(value)}
        if old is not None:
            activation["oldSelf"] = self._celpy.json_to_cel(old)
        try:
            return bool(self._programs[rule].evaluate(activation))
        except self._celpy.CELEvalError:
            return False


def available() -> RuleCheck | None:
    """Return the evaluator, or None without cel-python: then rules are not checked."""
    return CelRules() if importlib.util.find_spec("celpy") else None
