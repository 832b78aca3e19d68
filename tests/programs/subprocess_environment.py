"""A child started in each way sees no trace of the tracing."""

import os
import subprocess
import sys

code = "import os, sys; print(sorted(n for n in os.environ if 'HEAPSIGHT' in n), sorted(m for m in sys.modules if 'heapsight' in m))"
print(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True).stdout)
print(subprocess.run("env | grep -c HEAPSIGHT", shell=True, stdout=subprocess.PIPE, text=True).stdout)
print(subprocess.run([sys.executable, "-c", code], preexec_fn=os.getpid, stdout=subprocess.PIPE, text=True).stdout)
sys.stdout.flush()
os.system(f'{sys.executable} -c "{code}"')
pid = os.fork()
if pid == 0:
    os.execv(sys.executable, [sys.executable, "-c", code])
os.waitpid(pid, 0)
