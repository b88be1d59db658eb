# SPDX-License-Identifier: Apache-2.0
"""Scripts that come with the package: diagnostics that every robot can have.

They run in processes of their own as any script does, and know nothing of the gateway but the
script API.
"""
