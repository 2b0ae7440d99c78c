"""The last plan on disk, so that an agent that starts while the API is down goes on with it.

The file's modification time is the moment the API server was last heard of.
"""

import json
import logging
import os
from pathlib import Path
from typing import Final

from damon_agent.plans.plan import Plan, read
from damon_contract import names

_LOGGER: Final = logging.getLogger(__name__)
_TOUCH_EVERY_S: Final = 30.0


class PlanStore:
    """`plan.json` in the state directory; replaced atomically, never half written.

    An unwritable directory is logged once per spell: the plan in memory is what counts.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "plan.json"
        self._touched_s = 0.0
        self._failing = False

    def load(self) -> tuple[Plan, float] | None:
        """Return the stored plan and the wall time of its last confirmation, if there is one."""
        try:
            stored_s = self._path.stat().st_mtime
            item = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            _LOGGER.warning("the stored plan is not usable: %s", error)
            return None
        plan = read(item)
        if not isinstance(plan, Plan):
            _LOGGER.warning("the stored plan is not usable: %s", plan)
            return None
        return plan, stored_s

    def save(self, plan: Plan, wall_s: float) -> None:
        """Replace the stored plan."""
        item = {
            "apiVersion": names.API_VERSION,
            "kind": names.NODE_KIND,
            "metadata": {"uid": plan.uid, "generation": plan.generation},
            "spec": plan.spec.model_dump(by_alias=True, mode="json", exclude_none=True),
        }
        temporary = self._path.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(item, separators=(",", ":")), encoding="utf-8")
            os.utime(temporary, (wall_s, wall_s))
            temporary.replace(self._path)
        except OSError as error:
            self._failed(error)
        else:
            self._touched_s = wall_s
            self._failing = False

    def confirm(self, wall_s: float) -> None:
        """Note that the API server has been heard of; at most every half minute."""
        if abs(wall_s - self._touched_s) < _TOUCH_EVERY_S:
            return
        try:
            os.utime(self._path, (wall_s, wall_s))
        except FileNotFoundError:
            return
        except OSError as error:
            self._failed(error)
        else:
            self._touched_s = wall_s

    def remove(self) -> None:
        """Forget the plan: the object is gone."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            _LOGGER.warning("the plan is not stored, a restart would not know it: %s", error)
