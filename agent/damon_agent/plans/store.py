"""The last plan on disk, so that an agent that starts while the API is down goes on with it.

The file's modification time is the moment the API server was last heard of. That is only noted on a
file that holds the plan in force.
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
"""How often a contact is noted, and a write that failed is tried again."""


class PlanStore:
    """`plan.json` in the state directory; replaced atomically, never half written.

    What can't be written is logged once per spell and tried again: the plan in memory counts.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "plan.json"
        self._wanted: Plan | None = None
        """What the file is to hold; None: there is to be no file."""
        self._stands = False
        """Whether the file is known to be as wanted."""
        self._is_told = False
        """Whether it is known what is wanted."""
        self._tried_s = 0.0
        """Wall time of the last attempt to write."""
        self._complaint = ""
        """What can't be written now, as it was logged."""

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
        self._wanted, self._stands, self._is_told = plan, True, True
        return plan, stored_s

    def save(self, plan: Plan, wall_s: float) -> None:
        """Replace the stored plan; a plan that can't be stored leaves none behind."""
        self._wanted, self._is_told = plan, True
        self._replace(plan, wall_s)

    def confirm(self, wall_s: float) -> None:
        """Note that the API server has been heard of; at most every half minute.

        While the file is not as wanted, what failed is tried again instead.
        """
        if not self._is_told or abs(wall_s - self._tried_s) < _TOUCH_EVERY_S:
            return
        self._tried_s = wall_s
        if self._wanted is None:
            if not self._stands:
                self.remove()
        elif self._stands:
            self._touch(self._wanted, wall_s)
        else:
            self._replace(self._wanted, wall_s)

    def remove(self) -> None:
        """Forget the plan: the object is gone."""
        self._wanted, self._is_told = None, True
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._stands = False
            self._complain(
                "there is no plan any more, but the stored one can't be removed: an agent that "
                "starts while the API server is out of reach follows it, until it is "
                f"safety.maxPlanAge old: {error}"
            )
        else:
            self._succeeded()

    def _replace(self, plan: Plan, wall_s: float) -> None:
        self._tried_s = wall_s
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
            self._stands = False
            self._drop_outdated(error)
        else:
            self._succeeded()

    def _drop_outdated(self, cause: OSError) -> None:
        """Remove the plan of before; where the disk is full that still works."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._complain(
                "the plan is not stored, and the one stored before can't be removed: an agent that "
                "starts while the API server is out of reach follows that one, until it is "
                f"safety.maxPlanAge old: {cause}; {error}"
            )
        else:
            self._complain(
                "the plan is not stored, and none is left from before: an agent that starts while "
                f"the API server is out of reach knows no plan: {cause}"
            )

    def _touch(self, plan: Plan, wall_s: float) -> None:
        try:
            os.utime(self._path, (wall_s, wall_s))
        except FileNotFoundError:
            self._replace(plan, wall_s)
        except OSError as error:
            self._complain(
                "the stored plan can't be marked as confirmed, so an agent that starts while the "
                f"API server is out of reach takes it for older than it is: {error}"
            )
        else:
            self._succeeded()

    def _succeeded(self) -> None:
        self._stands = True
        if self._complaint:
            self._complaint = ""
            _LOGGER.info("the stored plan is up to date again")

    def _complain(self, complaint: str) -> None:
        """Log a trouble once, not at each attempt."""
        if complaint != self._complaint:
            self._complaint = complaint
            _LOGGER.warning("%s", complaint)
