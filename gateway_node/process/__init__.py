# SPDX-License-Identifier: Apache-2.0
"""The only room that starts processes: command lines, environments, supervisors, output.

It fulfils the ports of `executions` and `scripts`; it knows neither HTTP, SQL nor ROS. What runs
in the processes is in `child`, from which this room takes only what both sides of the fork use.

`runner` makes supervisor orders of executions: `command_line` and `environment` say what is
executed and what it finds. `supervisors` has the order carried out by a supervisor that the
`spawner_client` got, and sees the `supervised_process` to its end; `outcomes` says how that was.
What an earlier gateway left is in the `journal`, and `recovery` ends it.
"""
