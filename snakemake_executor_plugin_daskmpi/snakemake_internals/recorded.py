"""The call that Snakemake made of a rule's directive: evaluated on rank 1, carried out on a worker.

Runs on: rank 1 (:func:`record`) and in a job's process on ranks >= 2 (:meth:`Recorded.function`).

Snakemake compiles each rule into a function. That of ``shell: "sort {input} > {output}"`` is one call of ``shell`` with
this text, which is formatted with what the function and the whole Snakefile know; that of ``script:`` is one call of
``script`` with its path and the configuration. With Snakemake's own local executor all this happens in the main
process, so whatever the Snakefile and its handlers have set there counts. Here, rank 1 runs the compiled function with
recorders in place of ``shell``, ``script`` and the like, and the worker makes the call that was recorded.
"""

from __future__ import annotations

import functools
import importlib
import shlex
import sys
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType

#: What compiled functions of rules call, by their names in a Snakefile: module and name.
CALLED = {
    "shell": ("snakemake.shell", "shell"),
    "script": ("snakemake.script", "script"),
    "notebook": ("snakemake.notebook", "notebook"),
    "wrapper": ("snakemake.wrapper", "wrapper"),
    "render_template": ("snakemake.template_rendering", "render_template"),
}


class NotRecordableError(Exception):
    """A rule's function does what only a process that has parsed the Snakefile can do. Never leaves rank 1."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the compiled function, handed on as it is."""

    name: str


class _Unknown:
    """Stands for the value of a parameter that is known on the worker only: it can be handed on, not looked at."""

    def __init__(self, name: str) -> None:
        self.parameter = Parameter(name)

    def __format__(self, _spec: str) -> str:
        raise NotRecordableError(f"it names {self.parameter.name}, which is known on the worker only")

    def __repr__(self) -> str:
        return format(self)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a rule's function does."""

    #: Its name and parameters.
    name: str
    parameters: tuple[str, ...]
    #: Where the call stands: Snakefile and line.
    file: str
    line: int
    #: A key of :data:`CALLED`; "" if it calls nothing.
    called: str
    #: Arguments and keyword arguments, for each iteration of a benchmark; :class:`Parameter` stands for a parameter.
    calls: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...]
    #: How Snakemake starts shells: the executable, ``shell.prefix()`` and ``shell.suffix()``.
    shell: tuple[str | None, str | None, str]

    def function(self, on_node: Mapping[str, Any]) -> Callable[..., None]:
        """Return a function with the same parameters that makes the recorded calls, with shells as rank 1 starts them.

        It seems to stand in the Snakefile, so that error messages name its line.

        Parameters
        ----------
        on_node
            The values of what rank 1 left :func:`open_text` for.
        """
        from snakemake.shell import shell

        executable, shell._process_prefix, shell._process_suffix = self.shell  # noqa: SLF001
        shell._process_args = {"executable": executable} if executable else {}  # noqa: SLF001
        signature = ", ".join(self.parameters)
        source = f"def {self.name}({signature}, __is_snakemake_rule_func=True): "
        namespace: dict[str, Any] = {}
        if not self.called:
            source += "pass"
        else:
            (arguments, keywords), *_ = self.calls
            given = [
                *(_source_of(value, f"[0][{n}]") for n, value in enumerate(arguments)),
                *(f"{name}={_source_of(value, f'[1][{name!r}]')}" for name, value in keywords.items()),
            ]
            source += f"__daskmpi_called({', '.join(given)})"
            module, name = CALLED[self.called]
            namespace["__daskmpi_called"] = getattr(importlib.import_module(module), name)
            namespace["__daskmpi_calls"] = [(_filled(args, on_node), kwargs) for args, kwargs in self.calls]
        exec(_code_of(source, self.file, self.line), namespace)  # noqa: S102 - made of names alone
        made: Callable[..., None] = namespace[self.name]
        return made


def record(
    function: Any, known: Mapping[str, Any], linemaps: Mapping[str, Mapping[int, int]], n_times: int
) -> Recorded:
    """Find out what a rule's function does; rank 1.

    Parameters
    ----------
    function
        As Snakemake compiled it.
    known
        The values of those of its parameters that are known here.
    linemaps
        For each Snakefile, the lines from which those of the compiled code come.
    n_times
        How many times it runs: ``bench_iteration`` is 0, 1, … then; 0 if it is no benchmark.

    Raises
    ------
    Exception
        Whatever the function raises, for instance for a name in its command that there is not.
    """
    from snakemake.shell import shell

    code = function.__code__
    names, unknown = _parameters_of(code, len(function.__defaults__ or ()))
    values = {name: known.get(name, unknown[name]) for name in names if name != "bench_iteration"}
    made: list[tuple[str, int, tuple[Any, ...], dict[str, Any]]] = []
    theirs = function.__globals__
    recorders = {name: _recorder(name, made) if _is_snakemakes(name, theirs) else _refuse for name in CALLED}
    run = FunctionType(code, theirs | recorders, code.co_name, function.__defaults__, function.__closure__)
    for iteration in range(n_times) if n_times else (None,):
        run(**values, bench_iteration=iteration)
    if len(made) not in (0, n_times or 1):
        raise NotRecordableError("it does more than one thing")
    # By identity: other objects may be equal to them.
    parameters = {id(v): unknown[n].parameter for n, v in values.items() if not isinstance(v, (str, int, type(None)))}
    calls = tuple(
        (
            tuple(parameters.get(id(value), value) for value in arguments),
            {name: parameters.get(id(value), value) for name, value in keywords.items()},
        )
        for _, _, arguments, keywords in made
    )
    called, line = made[0][:2] if made else ("", code.co_firstlineno)
    file = code.co_filename
    line = linemaps.get(file, {}).get(line, line)
    shells = (shell.get_executable(), shell._process_prefix, shell._process_suffix)  # noqa: SLF001
    return Recorded(code.co_name, names, file, line, called, calls, shells)


@functools.lru_cache(maxsize=1000)
def _parameters_of(code: CodeType, n_defaults: int) -> tuple[tuple[str, ...], dict[str, _Unknown]]:
    """Return the parameters of a rule's function, and what stands for the value of each where it is not known."""
    names = code.co_varnames[: code.co_argcount - n_defaults]
    return names, {name: _Unknown(name) for name in names}


def open_text(name: str) -> str:
    """Return what stands in a command for the value of a resource that the worker's node decides on.

    Its blanks make it one that Snakemake quotes where the command says so.
    """
    return f"<daskmpi: {name} of the node>"


def _recorder(called: str, made: list[tuple[str, int, tuple[Any, ...], dict[str, Any]]]) -> Callable[..., None]:
    """Return what notes a call in place of the function that would carry it out."""

    def recorder(*arguments: Any, **keywords: Any) -> None:
        if called == "shell":
            from snakemake.utils import format as formatted

            command, *rest = arguments
            # As the function itself does, with the names of its caller and of the Snakefile.
            text = formatted(command, *rest, stepout=2, **keywords)
            # It will be formatted once more.
            arguments = (text.replace("{", "{{").replace("}", "}}"),)
        made.append((called, sys._getframe(1).f_lineno, arguments, keywords))  # noqa: SLF001 - the way to the caller

    return recorder


def _is_snakemakes(called: str, names: Mapping[str, Any]) -> bool:
    """Say whether a name means Snakemake's function, and nothing that the Snakefile has put in its place."""
    module, attribute = CALLED[called]
    return names.get(called) is getattr(importlib.import_module(module), attribute)


def _refuse(*_: Any, **__: Any) -> None:
    raise NotRecordableError("the Snakefile has a function of its own by the name of Snakemake's")


@functools.lru_cache
def _code_of(source: str, file: str, line: int) -> CodeType:
    return compile("\n" * (line - 1) + source, file, "exec")


def _source_of(value: Any, place: str) -> str:
    if isinstance(value, Parameter):
        return value.name
    return f"__daskmpi_calls[bench_iteration or 0]{place}"


def _filled(arguments: tuple[Any, ...], on_node: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return arguments with the values of what :func:`open_text` stands for."""
    filled = []
    for argument in arguments:
        text = argument
        if isinstance(argument, str) and "<daskmpi: " in argument:
            for name, value in on_node.items():
                plain = str(value).replace("{", "{{").replace("}", "}}")
                text = text.replace(shlex.quote(open_text(name)), shlex.quote(plain)).replace(open_text(name), plain)
        filled.append(text)
    return tuple(filled)
