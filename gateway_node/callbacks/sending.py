# SPDX-License-Identifier: Apache-2.0
"""One attempt to deliver: a POST to an address that was checked, and what came of it.

Nothing of the receiver's answer is waited for, or kept, but its status and when it wants the next
attempt.
"""

import asyncio
from collections.abc import Mapping
import ipaddress
from pathlib import Path
import re
import socket
import ssl
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractResolver

from gateway_node import __version__
from gateway_node.callbacks.allowed import AllowedDestinations
from gateway_node.callbacks.errors import AddressRefused, SecretInvalid
from gateway_node.callbacks.signing import read_secret, signature
from gateway_node.callbacks.values import Attempt
from gateway_node.clock import Clock
from gateway_node.executions.errors import CallbackRefused
from gateway_node.threads import Threads

if TYPE_CHECKING:
    # As aiohttp 3.9 had no name for it.
    from aiohttp.abc import ResolveResult

TIMEOUT_SEC = 10.0
"""For an attempt, names and TLS included."""
_RESOLVERS = 8
"""Names that are looked up at a time; a lookup can hang for longer than an attempt may take."""
_MAX_ERROR_CHARACTERS = 300
_SECONDS = re.compile('[0-9]{1,9}')


class Sender:
    """Sends messages; each over a connection of its own, to nothing but what is allowed."""

    def __init__(
        self, allowed: AllowedDestinations, clock: Clock, *, secret_file: Path | None = None
    ) -> None:
        """Messages are signed where there is a file with a secret, and only sent signed then."""
        self._allowed = allowed
        self._clock = clock
        self._secret_file = secret_file
        self._secrets = Threads('callback secret', 1)
        self._certificates = Threads('callback certificates', 1)
        self._resolver = _CheckedResolver(allowed)
        self._session: aiohttp.ClientSession | None = None
        self._signing_error: str | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with signing, since it was looked at last."""
        return () if self._signing_error is None else (self._signing_error,)

    async def check(self) -> None:
        """Look whether messages can be signed; `warnings` say so where not."""
        if self._secret_file is not None:
            try:
                async with asyncio.timeout(TIMEOUT_SEC):
                    await self._key(self._secret_file)
            except (SecretInvalid, TimeoutError):
                pass  # told by `warnings`

    async def send(self, url: str, message_id: str, body: bytes) -> Attempt:
        """Make an attempt; never raises for what is wrong outside of the gateway."""
        at = self._clock.now()
        try:
            async with asyncio.timeout(TIMEOUT_SEC):
                self._allowed.check(url)
                headers = await self._headers(message_id, int(at.timestamp()), body)
                status, retry_after_sec = await self._post(url, headers, body)
        except TimeoutError:
            return Attempt(at=at, error=f'no answer within {TIMEOUT_SEC:g} s')
        except (CallbackRefused, SecretInvalid) as error:
            return Attempt(at=at, error=_clipped(str(error)))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Attempt(at=at, error=_clipped(_told(error)))
        if 200 <= status < 300:
            return Attempt(at=at, status=status)
        return Attempt(
            at=at,
            status=status,
            error=f'the receiver answered {status}; a delivery is answered 2xx',
            retry_after_sec=retry_after_sec,
        )

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _headers(self, message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
        headers = {
            'Connection': 'close',
            'Content-Type': 'application/json',
            'User-Agent': f'gateway_node/{__version__}',
            'webhook-id': message_id,
            'webhook-timestamp': str(timestamp),
        }
        if self._secret_file is not None:
            key = await self._key(self._secret_file)
            headers['webhook-signature'] = signature(key, message_id, timestamp, body)
        return headers

    async def _key(self, secret_file: Path) -> bytes:
        """Return the key as its file has it now."""
        try:
            key = await self._secrets.run(read_secret, secret_file)
        except asyncio.CancelledError:
            self._signing_error = f'callbacks.secret_file: {secret_file} does not answer'
            raise
        except SecretInvalid as error:
            self._signing_error = f'callbacks are not sent: {error}'
            raise
        self._signing_error = None
        return key

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, float]:
        """Return the status of the answer, and the seconds of its Retry-After."""
        if self._session is None:
            tls = await self._certificates.run(_tls)
            # Another message may have been faster.
            self._session = self._session or aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=self._resolver,
                    use_dns_cache=False,
                    force_close=True,
                    limit=0,
                    ssl=tls,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                # Neither proxies of the environment nor passwords of .netrc.
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        answer = await self._session.post(url, data=body, headers=headers, allow_redirects=False)
        answer.close()
        retry_after = answer.headers.get('Retry-After', '')
        # A moment would have to be compared with the wall clock of a robot.
        return answer.status, float(retry_after) if _SECONDS.fullmatch(retry_after) else 0.0


class _CheckedResolver(AbstractResolver):
    """Resolves names to those of their addresses that are allowed: what it returns is what is
    connected to."""

    def __init__(self, allowed: AllowedDestinations) -> None:
        self._allowed = allowed
        self._threads = Threads('callback names', _RESOLVERS)

    async def resolve(
        self, host: str, port: int = 0, family: int = socket.AF_UNSPEC
    ) -> 'list[ResolveResult]':
        """Return the addresses of a host; OSError where there are none, or AddressRefused."""
        found = await self._threads.run(_addresses, host, port)
        allowed = [
            each for each in found if self._allowed.permits(ipaddress.ip_address(each[0]), port)
        ]
        if not allowed:
            raise AddressRefused(host, tuple(address for address, _ in found))
        return [
            {
                'hostname': host,
                'host': address,
                'port': port,
                'family': each_family,
                'proto': socket.IPPROTO_TCP,
                'flags': socket.AI_NUMERICHOST,
            }
            for address, each_family in allowed
        ]

    async def close(self) -> None:
        """Nothing is open."""


def _tls() -> ssl.SSLContext:
    """Return what is trusted: whom the host trusts. Blocks, for it reads their certificates."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(['http/1.1'])
    return context


def _addresses(host: str, port: int) -> list[tuple[str, int]]:
    """Return the addresses of a name, each with its family. Blocks."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(str(address[0]), int(family)) for family, _, _, _, address in found]


def _told(error: Exception) -> str:
    """Return what an error says for a person."""
    refused = _refusal_in(error)
    return str(refused) if refused is not None else str(error) or type(error).__name__


def _refusal_in(error: BaseException | None) -> AddressRefused | None:
    while error is not None:
        if isinstance(error, AddressRefused):
            return error
        error = error.__cause__
    return None


def _clipped(text: str) -> str:
    return text if len(text) <= _MAX_ERROR_CHARACTERS else f'{text[: _MAX_ERROR_CHARACTERS - 1]}…'
