"""The workloads: which pyperformance scripts are run, with which arguments.

Chosen to run on CPython 3.9 to 3.15 without a network, in one process, and to cover what real
programs do: heavy allocation, deep calls, coroutines, parsers, templates, serialisers, numbers.
Left out: scripts that start other processes (2to3, python_startup, concurrent_imap), that need
servers or large packages (fastapi, dask, sphinx), and that need a second or more per loop while
another one covers the same ground (bpe_tokeniser, networkx, base64). pickle's pure Python variant
refuses to run under memray, which loads the C one first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parent / "programs"


@dataclass(frozen=True)
class Workload:
    """One script with its arguments.

    ``script`` names a ``bm_*`` folder of pyperformance or, in the group "deep", a file of our own
    written in the same style (programs that run once, from start to end, are in `whole`). ``task``
    picks one task of a script that has several; empty: all of them.
    ``group`` says in which table the workload counts: only "pyperformance" is in the geometric mean.
    """

    name: str
    script: str
    arguments: tuple[str, ...] = ()
    task: str = ""
    group: str = "pyperformance"
    quick: bool = False

    def path(self, pyperformance: Path) -> Path:
        """The script to run; ``pyperformance`` is the folder that holds the ``bm_*`` folders."""
        if self.group == "deep":
            return PROGRAMS / self.script
        return pyperformance / f"bm_{self.script}" / "run_benchmark.py"


def _plain(*names: str) -> list[Workload]:
    return [Workload(name, name) for name in names]


PYPERFORMANCE = sorted(
    [
        *_plain("async_generators", "asyncio_tcp", "chameleon", "chaos", "coroutines", "crypto_pyaes"),
        *_plain("deltablue", "django_template", "docutils", "dulwich_log", "fannkuch", "float", "gc_collect"),
        *_plain("gc_traversal", "generators", "hexiom", "html5lib", "json_dumps", "logging", "mako", "mdp"),
        *_plain("nbody", "nqueens", "pathlib", "pidigits", "pyflate", "regex_dna", "regex_effbot", "regex_v8"),
        *_plain("richards", "spectral_norm", "sqlalchemy_declarative", "telco", "tomli_loads", "tornado_http"),
        *_plain("typing_runtime_protocols", "yaml"),
        Workload("argparse", "argparse", ("many_optionals",)),
        Workload("async_tree", "async_tree", ("none",), quick=True),
        Workload("deepcopy", "deepcopy", quick=True),
        Workload("genshi_xml", "genshi", ("xml",)),
        Workload("go", "go", quick=True),
        Workload("json_loads", "json_loads", quick=True),
        Workload("pickle", "pickle", ("pickle",)),
        Workload("pprint", "pprint", task="pprint_safe_repr"),
        Workload("raytrace", "raytrace", quick=True),
        Workload("regex_compile", "regex_compile", quick=True),
        Workload("scimark_fft", "scimark", ("fft",)),
        Workload("sqlglot_parse", "sqlglot_v2", ("parse",), quick=True),
        Workload("sympy_str", "sympy", ("str",)),
        # Not both kinds in turn: the interpreter would specialise anew at each change, a fixed cost per sample.
        Workload("unpack_sequence", "unpack_sequence", ("tuple",)),
        Workload("unpickle", "pickle", ("unpickle",)),
        Workload("unpickle_list", "pickle", ("unpickle_list",)),
        Workload("xml_etree", "xml_etree", quick=True),
    ],
    key=lambda workload: workload.name,
)

DEEP = [
    Workload(f"deep_{case}", "deep_stack.py", (case,), group="deep", quick=True)
    for case in ("loop", "descent", "evaluator", "tree")
]


def select(group: str, *, quick: bool, only: list[str]) -> list[Workload]:
    """The workloads of a group; ``only`` names some, and wins over ``quick``."""
    known = {"pyperformance": PYPERFORMANCE, "deep": DEEP}[group]
    if only:
        return [workload for workload in known if workload.name in only]
    return [workload for workload in known if workload.quick or not quick]


def names() -> list[str]:
    """Every workload's name."""
    return [workload.name for workload in (*PYPERFORMANCE, *DEEP)]
