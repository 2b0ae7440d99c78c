"""The parts of the `kubernetes` client that the agent uses, imported without the rest.

The package's own `__init__` also loads OAuth, YAML, websockets, informers and a dynamic client:
7 MB on every node of a cluster, for nothing. What is imported here is what `import kubernetes`
would give; whoever imports the whole package later gets it whole.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _without_init(*packages: str) -> Iterator[None]:
    """Let modules of these packages be imported without running the packages' `__init__`."""
    absent = [name for name in packages if name not in sys.modules]
    for name in absent:
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with _without_init("kubernetes", "kubernetes.config", "kubernetes.utils"):
    from kubernetes.client.api_client import ApiClient
    from kubernetes.client.configuration import Configuration
    from kubernetes.client.exceptions import ApiException
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.incluster_config import InClusterConfigLoader

__all__ = [
    "ApiClient",
    "ApiException",
    "ConfigException",
    "Configuration",
    "InClusterConfigLoader",
]
