/* Initialises Python three times in one process, and traces each time: see tests/python/test_hooks.py. */

#include <Python.h>

static const char program[] =
    "import heapsight\n"
    "print(heapsight.is_enabled(), heapsight.get_traced_memory())\n"
    "heapsight.enable()\n"
    "kept = bytearray(1_000_000)\n"
    "fired = []\n"
    "heapsight.start_timer(0.01, fired.append, (1,))\n"
    "while not fired: pass\n"
    "print(heapsight.is_enabled(), heapsight.get_traced_memory() >= 1_000_000, flush=True)\n";

int main(void)
{
    for (int turn = 0; turn < 3; turn++) {
        Py_Initialize();
        if (PyRun_SimpleString(program) != 0 || Py_FinalizeEx() != 0)
            return 1;
    }
    return 0;
}
