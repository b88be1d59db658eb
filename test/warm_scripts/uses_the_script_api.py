# SPDX-License-Identifier: Apache-2.0
"""Takes parameters, tells progress, gives a result."""

from gateway_node.script import check, metric, parameters, progress, result

given = parameters()
progress(50, 'half')
check('voltage', 'PASS', value=12.1)
metric('voltage', 12.1)
result({'given': dict(given)})
print(sorted(given))
