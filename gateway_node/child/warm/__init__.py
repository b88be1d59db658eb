# SPDX-License-Identifier: Apache-2.0
"""The warm interpreter: a spawner with modules loaded, whose scripts begin without an exec.

`trial` finds out whether that can be done here and what is to be loaded; `warm_spawner` loads it
and serves as the other spawner does; `script_process` makes the process of a script,
`main_module` makes of it what a new interpreter is, and `exit` sees to its end.
"""
