# SPDX-License-Identifier: Apache-2.0
"""Keys by which a client names a request that makes something, so that it is made once."""

from dataclasses import dataclass

KEPT_FOR_SEC = 86_400.0
"""Time up for which a key is kept at least, and as long as the execution is open that it names."""
MAX_KEYS = 100_000
"""Beyond these the oldest go earlier: more than one a second for a day."""


@dataclass(frozen=True, kw_only=True)
class IdempotencyKey:
    """The name that a client gave one request."""

    scope: str
    """Within which names are told apart: whose request it is, and of what."""
    name: str
    fingerprint: str
    """What was asked for, as a hash that tells nothing to who does not know the secret in it."""
    earlier_fingerprint: str | None = None
    """As earlier versions made it, without a secret."""

    @property
    def fingerprints(self) -> tuple[str | None, ...]:
        """All that may be kept of the same wish."""
        return self.fingerprint, self.earlier_fingerprint


@dataclass(frozen=True, kw_only=True)
class KeptKey:
    """What is known of a key that was used before."""

    fingerprint: str
    resource_id: str
    """Of the execution or the script; of an instance its name."""
    made: bool
    """False where the id was given, and nobody noted since that there is such a script."""
