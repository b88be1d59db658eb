# SPDX-License-Identifier: Apache-2.0
"""What was asked about the end of one execution, and how far that has come."""

from dataclasses import dataclass, replace

from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.values import StopAction, Trigger

RECORD_PATIENCE_SEC = 0.5
"""How long a stop waits for its record before the script hears of it all the same."""


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The ladder of a stop, from the top: nobody asked (`Stop()`); somebody asked (`ask`); that is
    on record, or was waited for long enough (`release`); the script is told (`to_tell`, `tell`).
    A kill that is asked for on top goes the same way. What comes after is the supervisor's.
    """

    trigger: Trigger | None = None
    """Who asked, as the execution tells it: the first who wants it, or else the gateway itself."""
    actor: Actor = GATEWAY
    action: StopAction | None = None
    """The strongest end that was asked for."""
    held: bool = False
    """True while the record is waited for: the script hears of it afterwards."""
    told: StopAction | None = None
    """What the script has heard of."""

    @property
    def is_wanted(self) -> bool:
        """True once a client asked, or a trigger of the instance did."""
        return self.trigger is not None and self.trigger.is_wanted

    def ask(self, action: StopAction, trigger: Trigger, actor: Actor, *, hold: bool) -> 'Stop':
        """Return it with one more wish; `hold` it until `release`."""
        # Of the gateway's own reasons the first is the one.
        is_first = self.trigger is None or (trigger.is_wanted and not self.is_wanted)
        asked = replace(self, trigger=trigger, actor=actor) if is_first else self
        if self.action is StopAction.FORCED_TERMINATION:
            action = self.action
        return replace(asked, action=action, held=hold)

    def release(self) -> 'Stop':
        """Return it as one that the script may hear of."""
        return replace(self, held=False)

    @property
    def to_tell(self) -> StopAction | None:
        """What the script is to hear now; None where that is nothing."""
        return None if self.held or self.action is self.told else self.action

    def tell(self) -> 'Stop':
        """Return it as one that the script has heard of."""
        return replace(self, told=self.action)
