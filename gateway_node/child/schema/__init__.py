# SPDX-License-Identifier: Apache-2.0
"""The program that checks JSON Schemas from outside; the only one here that needs `jsonschema`."""
