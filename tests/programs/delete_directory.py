"""Delete the current directory and stay in it."""

import os

os.rmdir(os.getcwd())
try:
    os.getcwd()
except FileNotFoundError as error:
    print(error)
