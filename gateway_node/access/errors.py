# SPDX-License-Identifier: Apache-2.0
"""Why somebody is not let in, or may not do what they ask for, or nobody can be let in."""

from collections.abc import Sequence
import math

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Role
from gateway_node.executions.entity_lock import EntityLock
from gateway_node.violations import Violation


class NotAuthenticated(Exception):
    """Nobody knows who asks."""

    def __init__(self, reason: str, *, is_refused: bool = False) -> None:
        """`is_refused` where a token was shown."""
        super().__init__(reason)
        self.is_refused = is_refused

    @property
    def headers(self) -> dict[str, str]:
        """What says how to authenticate (RFC 6750, section 3)."""
        refused = ', error="invalid_token"' if self.is_refused else ''
        return {'WWW-Authenticate': f'Bearer realm="gateway_node"{refused}'}


class CredentialUnfit(NotAuthenticated):
    """The token is a right one, and not for here or not for now: that is no guess."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, is_refused=True)


class CredentialExpired(CredentialUnfit):
    """Who asks was known once: the token ran out."""


class TooManyFailures(Exception):
    """So many wrong secrets came from there that none is looked at for a while."""

    def __init__(self, wait_sec: float) -> None:
        whole = math.ceil(wait_sec)
        super().__init__(f'too many wrong credentials came from this address; wait {whole} s')
        self.headers = {'Retry-After': str(whole)}


class RateLimited(Exception):
    """So many requests came from there that this one is not looked at."""

    def __init__(self, wait_sec: float, requests_per_sec: float) -> None:
        whole = math.ceil(wait_sec)
        super().__init__(
            f'more than {requests_per_sec:.10g} requests a second (rate_limit.requests_per_sec); '
            f'wait {whole} s'
        )
        self.headers = {'Retry-After': str(whole)}


class AnonymousAccessUnwanted(Exception):
    """Strangers would reach a gateway that asks nobody who they are."""

    def __init__(self, ways: Sequence[str]) -> None:
        """`ways` say how they would."""
        super().__init__(
            f'{" and ".join(ways)}, and no credentials are configured: whoever reaches it '
            'would execute code as its user; set auth.tokens_file (gateway_token makes one), or '
            'auth.allow_anonymous_access to true where that is wanted'
        )
        self.ways = tuple(ways)


class FileInvalid(Exception):
    """A file that says who is let in cannot be used; the message names it and what is allowed."""


class RoleTooLow(Exception):
    """Who asks is known, and may not."""

    def __init__(self, role: Role, needed: Role) -> None:
        super().__init__(f'the role is {role.value!r}; needed: {needed.value!r}')
        self.role = role
        self.needed = needed


class LockHolderUnnamed(Exception):
    """Nobody could tell who would hold the lock."""

    def __init__(self) -> None:
        super().__init__(
            'a lock needs somebody who holds it; allowed: a credential, or X-Client-Id with a '
            'text that no other client sends'
        )


class LockTooLong(Exception):
    """A lock is wanted for longer than is allowed."""

    def __init__(self, expiration_sec: int, longest_sec: int) -> None:
        reason = f'is {expiration_sec}; allowed: 1 to {longest_sec} (locks.max_expiration_sec)'
        super().__init__(f"'lock_expiration' {reason}")
        self.violations = (Violation(path='/body/lock_expiration', reason=reason),)


class LockNotFound(Exception):
    """The entity has no such lock, or has it no more."""

    def __init__(self, entity: EntityRef, lock_id: str) -> None:
        super().__init__(f'{entity.path} has no lock {lock_id!r}')
        self.entity = entity
        self.lock_id = lock_id


class LockNotHeld(Exception):
    """Somebody else holds the lock."""

    def __init__(self, lock: EntityLock) -> None:
        super().__init__(
            f'lock {lock.id!r} is held by {lock.holder}, who alone may extend and release it'
        )
        self.lock = lock


class LockNotBreakable(Exception):
    """A lock stays until it ends, or its holder gives it back."""

    def __init__(self, entity: EntityRef) -> None:
        super().__init__(f'{entity.path} is locked, and no lock is broken here (locks.breakable)')
        self.entity = entity


class AuditUnavailable(Exception):
    """The audit cannot be written, or read."""

    def __init__(self, reason: str) -> None:
        super().__init__(f'the audit is not available: {reason}')
        self.reason = reason


class AuditTurnedOff(Exception):
    """There is no audit."""

    def __init__(self) -> None:
        super().__init__('the audit is turned off (audit.enabled)')
