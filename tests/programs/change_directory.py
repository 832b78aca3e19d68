"""Go to another directory and delete the one that it was started in."""

import os
import shutil

start = os.getcwd()
os.chdir("/")
shutil.rmtree(start)
print(os.path.exists(start))
