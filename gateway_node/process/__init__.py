# SPDX-License-Identifier: Apache-2.0
"""The only room that starts processes: command lines, environments, supervisors, output.

It fulfils the ports of `executions` and `scripts`; it knows neither HTTP, SQL nor ROS. What runs
in the processes is in `child`, from which this room takes only what both sides of the fork use.

`runner` is the way in. `supervisor_orders` says what is to be executed and what it finds, with
`command_line`, `environment` and their like. `supervisors` has that done by a supervisor, which
comes from the `spawner_client`, and sees each `supervised_process` to its end; `outcomes` says how
that was. What an earlier gateway left is in the `journal`, and `recovery` ends it.
"""
