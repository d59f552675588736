"""Small workflows, each made from a seed alone: state at the top of the Snakefile, bodies of all kinds and endings.

Runs on: the machine of the tests.
Called by: campaign, compare, test_differential.

States and bodies are dealt like cards, so that each of them comes once in about fifteen seeds, in ever new company.
"""

from __future__ import annotations

import random
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import bodies
import states
from bodies import Body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from states import State

_T = TypeVar("_T")

#: Folders that all workflows find in their root.
FOLDERS = ("side", "unordered", "late", "segments", "relations", "work")
#: Where the workflow lives if it has ``workdir:``.
WORKDIR = "work"
#: Arbitrary: how likely a job looks at a state, and has some directive.
_PART_OF_STATES = 0.7
_SELDOM = 0.12


@dataclass(frozen=True, slots=True)
class Structure:
    """Rules that belong together, with what they need at the top."""

    name: str
    text: str
    targets: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """A workflow as a seed has it, and what may differ in it."""

    seed: int
    files: dict[str, str]
    arguments: list[str]
    #: Outputs whose params differ from run to run.
    unstable: list[str]
    #: Times that a local executor parses the Snakefile for a job that has no ``run:`` body.
    n_parses_for_shadows: int
    #: What it is made of, for reports.
    elements: list[str]
    #: The rules that fail, of those that run.
    failing: list[str]
    #: Those that fail once.
    stumbling: list[str]

    def __str__(self) -> str:
        """Return it in a line."""
        return f"seed {self.seed}: {', '.join(self.elements)}"


STRUCTURES = [
    Structure(
        "checkpoint",
        """
def parts(wildcards):
    folder = checkpoints.split.get().output[0]
    return sorted(f"{folder}/{name}" for name in os.listdir(folder) if not name.startswith("."))


checkpoint split:
    output: directory("out/parts")
    shell: "mkdir -p {output}; for i in 1 2 3; do echo $i > {output}/$i; done"

rule of_parts:
    input: parts
    output: "out/of_parts"
    params: n=lambda wildcards, input: len(input)
    run:
        with open(output[0], "w") as file:
            file.write(f"{len(input)} {params.n} {parts(wildcards)}")

rule beside_parts:
    input: parts
    output: "out/beside_parts"
    run:
        with open(output[0], "w") as file:
            file.write(checkpoints.split.get().output[0] + " " + rules.of_parts.output[0])
""",
        ("out/of_parts", "out/beside_parts"),
    ),
    Structure(
        "module",
        """
module other:
    snakefile: "other/Snakefile"
    config: config

use rule * from other as other_*

use rule command from other as own_command with:
    output: "out/own_command"
""",
        ("out/other_body", "out/other_command", "out/own_command"),
        {
            "other/Snakefile": """
            import os
            import random

            OWN_STATE = []
            OWN_STATE.append(len(OWN_STATE))
            OTHER = random.Random(8)

            rule body:
                output: "out/other_body"
                run:
                    OWN_STATE.append("body")
                    with open(output[0], "w") as file:
                        file.write(f"{OWN_STATE} {OTHER.random()} {rule}")

            rule command:
                output: "out/other_command"
                shell: "echo {rule} > {output}"
            """
        },
    ),
    Structure(
        "include",
        """
include: "more/more.smk"
""",
        ("out/included_body", "out/included_command"),
        {
            "more/more.smk": """
            INCLUDED = itertools.count(10)
            INCLUDED_FIRST = next(INCLUDED)
            included_handle = open(f"{ROOT}/unordered/included", "a")

            rule included_body:
                output: "out/included_body"
                run:
                    included_handle.write("of a body\\n")
                    with open(output[0], "w") as file:
                        file.write(f"{INCLUDED_FIRST} {next(INCLUDED)}")

            rule included_command:
                input: "out/included_body"
                output: "out/included_command"
                shell: "echo {INCLUDED_FIRST} > {output}"
            """
        },
    ),
    Structure(
        "made_module",
        """
sys.path.append("made")

rule make_module:
    output: "made/made_by_a_rule.py"
    shell: "echo 'VALUE = 42' > {output}"

rule use_module:
    input: "made/made_by_a_rule.py"
    output: "out/use_module"
    run:
        import made_by_a_rule

        with open(output[0], "w") as file:
            file.write(str(made_by_a_rule.VALUE))
""",
        ("out/use_module",),
    ),
    Structure(
        "settings_file",
        """
SETTING = open(f"{ROOT}/side/setting").read() if os.path.exists(f"{ROOT}/side/setting") else "none"

rule before_setting:
    output: "out/before_setting"
    run:
        with open(output[0], "w") as file:
            file.write(SETTING)

rule change_setting:
    input: "out/before_setting"
    output: "out/change_setting"
    shell: "echo -n changed > $DIFFERENTIAL_ROOT/side/setting; echo {SETTING} > {output}"

rule after_setting:
    input: "out/change_setting"
    output: "out/after_setting"
    run:
        with open(output[0], "w") as file:
            file.write(SETTING)

rule command_after_setting:
    input: "out/change_setting"
    output: "out/command_after_setting"
    shell: "echo {SETTING} > {output}"
""",
        ("out/after_setting", "out/command_after_setting"),
    ),
    Structure(
        "wildcards",
        """
import random
DRAWS = random.Random()
TURN = itertools.count()

rule drawn:
    output: "out/drawn-{which}"
    run:
        relation("drawn", wildcards.which, DRAWS.random())
        with open(output[0], "w") as file:
            file.write(f"{wildcards.which} {next(TURN)}")
""",
        ("out/drawn-a", "out/drawn-b", "out/drawn-c"),
    ),
]


def dealt(cards: Sequence[_T], seed: int, count: int, name: str) -> list[_T]:
    """Return the cards of a seed: all are dealt before one comes again.

    >>> sorted(dealt("abcdef", 0, 2, "x") + dealt("abcdef", 1, 2, "x") + dealt("abcdef", 2, 2, "x"))
    ['a', 'b', 'c', 'd', 'e', 'f']
    """
    chosen = []
    for number in range(seed * count, (seed + 1) * count):
        deck = list(cards)
        random.Random(f"{name} {number // len(deck)}").shuffle(deck)
        chosen.append(deck[number % len(deck)])
    return chosen


def plan_of(seed: int, *, quick: bool = False) -> Plan:
    """Return the workflow of a seed; a quick one has fewer jobs, and imports nothing that takes its time."""
    return _Maker(seed, quick=quick).plan()


@dataclass(slots=True)
class _Job:
    """A rule while it is written."""

    name: str
    body: Body
    inputs: list[str]
    shadow: str
    states: list[State] = field(default_factory=list)
    #: Its directives but for the inputs and the body.
    lines: list[str] = field(default_factory=list)

    def has(self, directive: str) -> bool:
        """Say whether it has a directive."""
        return any(line.startswith(directive) for line in self.lines + list(self.body.directives))

    def filled(self, parts: list[str]) -> str:
        """Return parts of a body one below the other, with the job's name."""
        return "\n".join(part.strip("\n") for part in parts if part.strip()).replace("@JOB@", self.name)


class _Maker:
    """Puts a workflow together."""

    def __init__(self, seed: int, *, quick: bool) -> None:
        self.seed, self.quick = seed, quick
        self.rng = random.Random(seed)
        # Every fourth one is without failures, and may have groups.
        self.may_fail = seed % 4 != 3
        found = self._usable(states.STATES, 4 if quick else 6, "states")
        excluded = {name for state in found for name in state.excludes}
        self.states = [state for state in found if state.name not in excluded]
        every = 4 if quick else 2
        self.structures = dealt(STRUCTURES, seed // every, 1, "structures") if seed % every == 0 else []
        # A body in Python is a start of Snakemake, under the local executor.
        self.bodies = self._usable(bodies.RUNS, 3 if not quick else 1 if self.structures else 2, "run")
        self.bodies += self._usable(bodies.SHELLS, 3, "shell")
        self.bodies += self._usable([*bodies.SCRIPTS, *bodies.BASHES, *bodies.TEMPLATES], 1, "others")
        self.has_workdir = self.rng.random() < 0.15
        self.has_groups = not self.may_fail and self.rng.random() < 0.6
        self.rng.shuffle(self.bodies)
        self.unstable: list[str] = []
        self.n_parses = 0
        self.files: dict[str, str] = {}
        self.elements: list[str] = []
        self.failing: list[str] = []
        self.stumbling: list[str] = []

    def _usable(self, cards: Sequence[_T], count: int, name: str) -> list[_T]:
        found: list[_T] = []
        for card in dealt(cards, self.seed, count, name):
            usable = card.can_be and not (self.quick and card.is_slow)
            usable = usable and (self.may_fail or not getattr(card, "fails", False))
            if usable and card not in found:
                found.append(card)
        return found

    def plan(self) -> Plan:
        """Return the workflow."""
        rules, temporary, all_outputs = self._rules()
        parts = [f'workdir: "{WORKDIR}"' if self.has_workdir else "", states.HEADER]
        parts += [state.top for state in self.states]
        onstart = [state.onstart for state in self.states if state.onstart]
        parts += ["onstart:\n" + textwrap.indent("\n".join(onstart), "    ")] if onstart else []
        targets = [name for name in all_outputs if name not in temporary]
        targets += [target for structure in self.structures for target in structure.targets]
        parts += ["rule all:\n    input:\n" + "".join(f'        "{target}",\n' for target in targets)]
        parts += rules + [structure.text for structure in self.structures]
        files = {**self.files, **{k: v for state in self.states for k, v in state.files.items()}}
        if self.has_workdir:
            files |= {f"{WORKDIR}/{name}": text for name, text in files.items()}
        files |= {k: textwrap.dedent(v) for s in self.structures for k, v in s.files.items()}
        files["Snakefile"] = "\n\n".join(part.strip("\n") for part in parts if part) + "\n"
        self.elements += [structure.name for structure in self.structures] + ["workdir"] * self.has_workdir
        self.elements += ["states " + " ".join(state.name for state in self.states)]
        return Plan(
            self.seed,
            files,
            self._arguments(),
            self.unstable,
            self.n_parses,
            self.elements,
            self.failing,
            self.stumbling,
        )

    def _arguments(self) -> list[str]:
        arguments = ["--latency-wait", "1"]
        if any(body.fails for body in self.bodies) or self.rng.random() < 0.3:
            arguments.append("--keep-going")
        if self.rng.random() < 0.3:
            arguments += ["--config", "level=3"]
        if self.rng.random() < 0.5:
            arguments += ["--scheduler", "greedy"]
        return arguments

    def _rules(self) -> tuple[list[str], set[str], list[str]]:
        """Return the rules, the outputs that are temporary, and all outputs."""
        rules, temporary, outputs = [], set(), []
        readable: list[str] = []
        #: Jobs that fail, or do not run as those do.
        stuck: set[str] = set()
        for number, body in enumerate(self.bodies):
            job = f"j{number}"
            may_read = body.kind not in ("jinja2", "yte")
            inputs = (
                [] if not may_read else self.rng.sample(readable, k=min(len(readable), self.rng.choice([0, 0, 1, 2])))
            )
            rules.append((job, body, inputs))
            if stuck & set(inputs):
                stuck.add(f"out/{job}")
            elif body.fails:
                stuck.add(f"out/{job}")
                self.failing.append(job)
            elif body.name == "second_try":
                self.stumbling.append(job)
            outputs.append(f"out/{job}")
            if body.whole and (not body.fails or self.rng.random() < 0.3):
                readable.append(f"out/{job}")
        read = {name for _, _, inputs in rules for name in inputs}
        temporary = {name for name in sorted(read) if self.rng.random() < 0.2}
        return [self._rule(job, body, inputs, temporary) for job, body, inputs in rules], temporary, outputs

    def _rule(self, name: str, body: Body, inputs: list[str], temporary: set[str]) -> str:
        job = _Job(name, body, [f'"{path}"' for path in inputs], self._shadow(body))
        job.states = [state for state in self.states if self.rng.random() < _PART_OF_STATES]
        if job.shadow:
            # It puts a folder on the path that is not in a shadow.
            job.states = [state for state in job.states if state.name != "sys_path"]
        output = f'"out/{name}"'
        if f"out/{name}" in temporary:
            output = f"temp({output})"
        elif body.whole and not body.fails and self.rng.random() < _SELDOM:
            output = f"protected({output})"
        job.lines = [f"output: {output}", *(line.replace("@JOB@", name) for line in body.directives)]
        job.lines += self._further(job)
        self.elements.append(f"{name}={body.kind}:{body.name}" + " in a shadow" * bool(job.shadow))
        text = getattr(self, f"_{body.kind}")(job)
        head = [f"input: {', '.join(job.inputs)}"] if job.inputs else []
        # The text of a command is not indented: a shell's here-document would be, too.
        return f"rule {name}:\n" + textwrap.indent("\n".join([*head, *job.lines]), "    ") + "\n" + text

    def _further(self, job: _Job) -> list[str]:
        lines = [f'shadow: "{job.shadow}"'] if job.shadow else []
        if self.rng.random() < 3 * _SELDOM:
            lines.append("threads: 2")
        if self.rng.random() < _SELDOM:
            lines.append(f'benchmark: "bench/{job.name}.tsv"')
        if self.rng.random() < _SELDOM:
            lines.append(f"priority: {self.rng.randrange(5)}")
        if not job.has("resources") and self.rng.random() < 2 * _SELDOM:
            # Of the members of a group, Snakemake wants the same words.
            word = "" if self.has_groups else ", word='x'"
            lines.append(f"resources: mem_mb=lambda wildcards, attempt: 50 * attempt{word}")
        may_retry = job.body.fails and job.body.kind != "run" and not job.shadow and not job.has("retries")
        if may_retry and self.rng.random() < 2 * _SELDOM:
            lines.append("retries: 1")
        may_join = self.has_groups and job.body.kind in ("run", "shell") and not job.has("retries")
        if may_join and self.rng.random() < _PART_OF_STATES:
            lines.append('group: "together"')
        return lines

    def _shadow(self, body: Body) -> str:
        if body.kind not in ("run", "shell") or not body.whole or self.rng.random() > _SELDOM:
            return ""
        # Logs of a shadow are links, and what is written there later is lost. Retries: see compare.DIFFERENCES.
        if any(line.startswith(("log", "retries")) for line in body.directives):
            return ""
        return self.rng.choice(["minimal", "shallow", "full", "copy-minimal"])

    # -- bodies by kind ------------------------------------------------------------------------

    def _params(self, job: _Job) -> None:
        params = [state.params for state in job.states if state.params]
        if params:
            job.lines.append("params: " + " ".join(params))
        if params or any("relations" in state.shell for state in job.states):
            self.unstable.append(f"out/{job.name}")

    def _run(self, job: _Job) -> str:
        self._params(job)
        parts = ["facts = []", job.body.before, *(state.probe for state in job.states)]
        parts += ["facts.append([len(open(name).read()) for name in input])"]
        parts += ['with open(output[0], "w") as file:\n    file.write("\\n".join(map(str, facts)) + "\\n")']
        return "    run:\n" + textwrap.indent(job.filled([*parts, job.body.text]), " " * 8)

    def _shell(self, job: _Job) -> str:
        if job.shadow:
            # Snakemake's executor formats these commands in a process of their own.
            job.states = []
            self.n_parses += 1 + job.has("retries")
        self._params(job)
        parts = ["echo {rule} > {output[0]}", *(state.shell for state in job.states), job.body.text]
        return f'    shell:\n        r"""\n{job.filled(parts)}\n"""'

    def _script(self, job: _Job) -> str:
        self.files[f"scripts/{job.name}.py"] = job.filled([bodies.SCRIPT, job.body.text]) + "\n"
        job.lines.append("params: word='w', number=lambda wildcards, threads: threads")
        return f'    script: "scripts/{job.name}.py"'

    def _bash(self, job: _Job) -> str:
        self.files[f"scripts/{job.name}.sh"] = job.filled([bodies.BASH, job.body.text]) + "\n"
        return f'    script: "scripts/{job.name}.sh"'

    def _jinja2(self, job: _Job) -> str:
        self.files[f"templates/{job.name}.j2"] = bodies.JINJA2
        job.inputs = [f'"templates/{job.name}.j2"']
        return '    template_engine: "jinja2"'

    def _yte(self, job: _Job) -> str:
        self.files[f"templates/{job.name}.yaml"] = bodies.YTE
        job.inputs = [f'"templates/{job.name}.yaml"']
        return '    template_engine: "yte"'
