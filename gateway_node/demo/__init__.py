# SPDX-License-Identifier: Apache-2.0
"""A small node to try the gateway with, and the program that starts both (`make run`)."""
