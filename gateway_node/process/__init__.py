# SPDX-License-Identifier: Apache-2.0
"""The only room that starts processes: command lines, environments, supervisors, output.

It fulfils the ports of `executions` and `scripts`. What runs in the processes is in `child`, from
which this room takes the message formats; it knows neither HTTP, SQL nor ROS.
"""
