"""The main job on one machine: `damon-mock demo`.

Operator and agents are separate processes that talk HTTP to an embedded API; containers are real
processes; DAMON is the emulator. What stands in the kernel after each step is compared with an
expectation that shares no code with operator or agent.
"""
