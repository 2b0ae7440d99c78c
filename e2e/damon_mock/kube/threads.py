"""The server in a thread with its own loop, for tests of synchronous clients."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from damon_mock.kube.server import ApiServer

P = ParamSpec("P")
T = TypeVar("T")


class ApiThread:
    """`with ApiThread() as api:` serves until the block ends.

    Everything of `api.server` belongs to its loop: `api.call(api.server.cluster.create, manifest)`
    and `api.run(api.server.down())` go there and come back with the result.
    """

    def __init__(self, server: ApiServer | None = None) -> None:
        self.server = server or ApiServer()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="api", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self.server.up())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, coroutine: Coroutine[object, object, T], timeout_s: float = 30) -> T:
        """Run a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the server's loop."""

        async def called() -> T:
            return function(*args, **kwargs)

        return self.run(called())

    async def _close(self) -> None:
        await self.server.down()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
