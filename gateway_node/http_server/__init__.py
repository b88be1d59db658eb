# SPDX-License-Identifier: Apache-2.0
"""The HTTP API: routes, one file a resource, one error table. Only here aiohttp.web is imported.

Handlers parse, make one call into the inner rooms, and serialise. The contract is docs/api.md.
"""
