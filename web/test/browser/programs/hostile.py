"""Names that try to be more than text: in functions, files and threads."""

import threading

NAMES = [
    "</script><script>document.title='taken'</script>",
    "<img src=x onerror=document.title='taken'>",
    "\x1b[31mred\x1b[0m",
    "a\u202etxt.exe",
    "é" * 5_000 + "x" * 5_000,
    "\\\"'`${document.title='taken'}",
    "<!--",
    "__proto__",
    "constructor",
    "\u2028\u2029\u0000",
]
kept = []
code = "def f():\n    kept.append(bytes(100_000))\n"
for name in NAMES:
    scope = {"kept": kept}
    exec(compile(code, f"/srv/{name}.py", "exec"), scope)
    scope["f"].__code__ = scope["f"].__code__.replace(co_name=name)
    if hasattr(scope["f"].__code__, "co_qualname"):
        scope["f"].__code__ = scope["f"].__code__.replace(co_qualname=name)
    thread = threading.Thread(target=scope["f"], name=name.replace("\0", ""))
    thread.start()
    thread.join()
