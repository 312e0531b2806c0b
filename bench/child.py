"""Runs a command and writes what it took into a file: seconds by the clock and of CPU, peak memory in kB, exit status.

    python -I -S bench/child.py FILE COMMAND [ARG ...]

It is small, since the kernel counts a parent's memory as its child's until the child has begun.
"""

import os
import sys
from time import perf_counter

began = perf_counter()
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
took = perf_counter() - began
with open(sys.argv[1], "w") as file:
    print(took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss, os.waitstatus_to_exitcode(status), file=file)
