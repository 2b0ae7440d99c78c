"""Conformance: one script, played on a real kernel and on the emulator, gives one transcript.

A script (`scripts/*.txt`) is a list of cases; each starts from a reset tree::

    == A slot keeps the regions and ages of who was in it before
    needs memory, tried_regions
    kdamonds 1
    start a
    targets $a.pid
    state 0 on
    wait until max(scheme/tried_regions/*/age) > 5 within 60 s asking update_schemes_tried_regions
    …

`language` says what every step means. Paths are below kdamonds/, or start with `context/` (that
of kdamond 0), `scheme/` (its scheme 0) or `module/`. A result is a value, "ok", or the name of an
errno; what differs from run to run (pids, addresses, counters) never is: scripts ask conditions
about it. What differs from kernel to kernel is in the transcripts only: scripts know no versions.
"""
