"""Make sub-interpreters in every way there is, one after the other; argv[1:] are the ways. Prints those that this Python has.

Whatever site runs when an interpreter starts, it runs in each of these, too.
"""

import sys

CODE = "exec(compile('kept = [bytes(1000) for _ in range(100)]', 'inside.py', 'exec'))"


def low_level(isolated):
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    if sys.version_info >= (3, 13):
        interpreter = interpreters.create("isolated" if isolated else "legacy")
    else:
        interpreter = interpreters.create(isolated=isolated)
    run = getattr(interpreters, "run_string", None) or interpreters.exec
    assert run(interpreter, CODE) is None
    interpreters.destroy(interpreter)


def legacy():
    low_level(False)


def isolated():
    low_level(True)


def in_c():
    import _testcapi

    assert _testcapi.run_in_subinterp(CODE) == 0


def on_a_thread():
    import threading

    thread = threading.Thread(target=legacy)
    thread.start()
    thread.join()


def site_again():
    import site

    site.main()


def read_again():
    import site

    for folder in site.getsitepackages():
        site.addsitedir(folder)


def forgotten():
    sys.modules.pop("_heapsight_startup", None)
    site_again()


kept = [bytes(1000) for _ in range(3000)]
for way in sys.argv[1:]:
    try:
        globals()[way]()
    except ImportError as error:
        assert "_testcapi" in str(error), error  # noqa: PT017
        print("without", way)
    else:
        print(way)
later = [bytes(1000) for _ in range(2000)]
