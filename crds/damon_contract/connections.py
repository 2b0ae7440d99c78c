"""Connections to the API server over urllib3, for the agent and the command line."""

from typing import Any
from urllib.parse import urlsplit

import urllib3

from damon_contract.access import Access


def pool(access: Access, most: int) -> urllib3.PoolManager:
    """Return a pool of at most so many connections, by an access as it is now: TLS and proxy.

    Raise AccessError when the authorities could never be read.
    """
    options: dict[str, Any] = {"maxsize": most}
    if access.server.startswith("https:"):
        options["ssl_context"] = access.context()
    if access.server_name is not None:
        options |= {"server_hostname": access.server_name, "assert_hostname": access.server_name}
    elif not access.verify:
        options["assert_hostname"] = False
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # it was asked for
    if access.proxy is None:
        return urllib3.PoolManager(**options)
    user = urlsplit(access.proxy)
    authorization = f"{user.username}:{user.password or ''}" if user.username else None
    headers = urllib3.make_headers(proxy_basic_auth=authorization) if authorization else None
    return urllib3.ProxyManager(access.proxy, proxy_headers=headers, **options)
