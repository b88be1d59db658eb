# SPDX-License-Identifier: Apache-2.0
"""What runs inside a script's own process: the script API, and the runner of launch fragments.

It runs in the script's Python, which may be another one than the gateway's; `rclpy` and `launch`
are imported only where they are used.
"""
