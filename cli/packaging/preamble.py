"""Runs before anything else of the .pyz, and says so where that cannot run.

Written for any Python, even an old one. shiv hands in `site_packages`, where it has unpacked.
"""

import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES

version = sys.version.split()[0]
if sys.version_info < (3, 11):
    sys.exit("error: kubectl damon needs Python 3.11 or later, this is " + version)

core = os.path.join(str(globals()["site_packages"]), "pydantic_core", "_pydantic_core")
if not any(os.path.exists(core + suffix) for suffix in EXTENSION_SUFFIXES):
    sys.exit(
        "error: this file has nothing for Python " + version + " on this platform\n"
        "  -> pip install 'damon-operator[cli]'"
    )
