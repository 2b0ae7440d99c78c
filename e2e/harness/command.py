"""Commands of this machine, that end a test with their own words when they fail."""

import shlex
import subprocess
import time
from typing import Final

_SET_UP_S: Final = 900.0


def run(
    command: list[str], *, check: bool = True, given: str | None = None, within_s: float = 600
) -> str:
    """Run a command of this machine; AssertionError with its words if it fails or does not end."""
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, input=given, timeout=within_s
        )
    except subprocess.TimeoutExpired as expired:
        raise AssertionError(f"{shlex.join(command)}\nnot done after {within_s:.0f} s") from expired
    if check and done.returncode != 0:
        raise AssertionError(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout if check else done.stdout + done.stderr


def set_up(command: list[str]) -> str:
    """Run a command of the set-up, which may be tried again; return what it prints."""
    for pause_s in (10, 40):
        try:
            return run(command, within_s=_SET_UP_S)
        except AssertionError:
            time.sleep(pause_s)
    return run(command, within_s=_SET_UP_S)
