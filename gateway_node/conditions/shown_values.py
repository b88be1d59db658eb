# SPDX-License-Identifier: Apache-2.0
"""Values that were read, as they are shown and kept: JSON, and never long."""

import json
import math
from typing import Any

from gateway_node.strict_json import clip

MAX_LENGTH = 500
"""Characters of the JSON of one value."""


def shown_value(value: Any) -> Any:
    """Return a value that JSON can say: the text `NaN` for what is no number, `Infinity`, and
    what is long as the beginning and the end of its JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        return 'NaN' if math.isnan(value) else 'Infinity' if value > 0 else '-Infinity'
    if isinstance(value, str):
        return clip(value, MAX_LENGTH)
    if isinstance(value, (list, dict)):
        text = json.dumps(value)
        if len(text) > MAX_LENGTH:
            return clip(text, MAX_LENGTH)
        if isinstance(value, list):
            return [shown_value(each) for each in value]
        return {name: shown_value(each) for name, each in value.items()}
    return value
