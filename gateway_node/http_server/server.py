"""The server: listening on an address and letting go of it."""

from aiohttp import web

HANDLERS_END_SEC = 2.0
"""Seconds that requests under way get to end at the close."""


class ListenFailed(Exception):
    """The address of the server cannot be had."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on server.host '{host}', server.port {port}: {reason}")
        self.host = host
        self.port = port


class Server:
    """Serves one application on one address."""

    def __init__(self, application: web.Application) -> None:
        self._runner = web.AppRunner(
            application,
            handle_signals=False,
            access_log=None,
            shutdown_timeout=HANDLERS_END_SEC,
        )

    async def listen(self, host: str, port: int) -> int:
        """Serve; return the port, which port 0 leaves to the kernel. ListenFailed."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            raise ListenFailed(host, port, error.strerror or str(error)) from error
        return int(self._runner.addresses[0][1])

    async def stop_accepting(self) -> None:
        """Release the port; connections that exist are served on."""
        for site in self._runner.sites:
            await site.stop()

    async def close(self) -> None:
        """Let requests under way end, then close every connection."""
        await self._runner.cleanup()
