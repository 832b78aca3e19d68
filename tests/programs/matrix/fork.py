"""The process forks: a child, and a child of that one."""

import os
import sys

from judge import begin, drop, forget, leave_behind, look, make, tell

import heapsight

begin()
make("inherited")
pid = os.fork()
if pid == 0:
    leave_behind()
    look("in the child")
    drop("inherited", kept=5)
    make("of_the_child")
    grandchild = os.fork()
    if grandchild == 0:
        leave_behind()
        make("of_the_grandchild")
        drop("of_the_child")
        tell("in the grandchild")
        sys.exit()
    os.waitpid(grandchild, 0)
    heapsight.clear_traces()
    forget()
    make("cleared")
    tell("in the child")
    sys.exit()
make("of_the_parent")
if os.waitpid(pid, 0)[1] != 0:
    sys.exit("the child failed")
drop("inherited", kept=3)
tell("at the end")
