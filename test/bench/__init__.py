# SPDX-License-Identifier: Apache-2.0
"""Figures of the gateway's own cost, each against a limit or a peer that is measured beside it.

`make bench`, or `make bench ROWS='start record'`; docs/benchmarks.md tells how to read the table.
Everything happens on the loopback and in a temporary directory that is removed at the end.
"""
