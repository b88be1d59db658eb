# SPDX-License-Identifier: Apache-2.0
"""What can be executed: scripts as values, the library on disk, parameters against a schema.

The room imports `entities` only. It knows files; it starts no process and speaks no HTTP.
"""
