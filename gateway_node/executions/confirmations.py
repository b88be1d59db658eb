# SPDX-License-Identifier: Apache-2.0
"""What has to be confirmed before a script is executed, where its metadata say so."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway_node.executions.runner_ports import StartOrder
from gateway_node.masking import masked

Confirmed = bool | str
"""What is said of it: True, whatever it is; or the text that was read, and that alone."""


def is_confirmed(text: str | None, confirmed: Confirmed) -> bool:
    """Tell whether what a script says, if anything, is confirmed."""
    return text is None or confirmed is True or confirmed == text


def together(texts: Iterable[str]) -> str:
    """Return what several scripts say, each text once."""
    return '\n\n'.join(dict.fromkeys(texts))


class ConfirmationNeeded(Exception):
    """A script says what has to be confirmed first, and the start does not confirm it: the text is
    in `parameters`, with what the script would be given."""

    def __init__(
        self,
        texts: Mapping[str, str],
        *,
        parameters: Mapping[str, Any],
        arguments: Sequence[str],
        secrets: Sequence[str] = (),
    ) -> None:
        """`texts` are what the scripts say, by the paths of their entities; `secrets` where in the
        parameters MASK stands, JSON Pointers."""
        text = together(texts.values())
        super().__init__(f'to be confirmed with "confirmed": true: {text}')
        self.texts = texts
        self.parameters = parameters
        self.arguments = arguments
        self.secrets = secrets
        self.told: Mapping[str, Any] = {
            'confirmation': text,
            'entities': list(texts),
            'input_parameters': dict(parameters),
            'arguments': list(arguments),
        }

    @classmethod
    def of(cls, order: StartOrder) -> 'ConfirmationNeeded':
        """Return the refusal of a start whose script says so."""
        return cls(
            {order.entity.path: order.script.confirmation or ''},
            parameters=order.shown_parameters,
            arguments=order.arguments,
            secrets=order.secrets,
        )

    @classmethod
    def of_all(
        cls, refusals: Sequence['ConfirmationNeeded'], secrets: Sequence[str] = ()
    ) -> 'ConfirmationNeeded':
        """Return one refusal for starts on several entities, which are given the same; hidden is
        what is secret to one of them, and what is to others, the `secrets`."""
        first = refusals[0]
        texts = {path: text for each in refusals for path, text in each.texts.items()}
        hidden = (*secrets, *(place for each in refusals for place in each.secrets))
        return cls(
            texts,
            parameters=masked(first.parameters, hidden),
            arguments=first.arguments,
            secrets=hidden,
        )
