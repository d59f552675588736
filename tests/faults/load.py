"""A workflow of 300 short jobs of many kinds, and what it has to give.

Runs on: the machine of the tests.
Called by: campaign, test_faults, through scene.

Each body notes its start in a file of its own, so that executions can be counted, and writes its output in two steps,
so that half of one is told from the whole.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

#: Outputs lie in ``out/``, which a fault may fill or make read-only; what counts executions lies elsewhere.
SNAKEFILE = """
    import hashlib

    LETTERS, WORDS, SLOW, USED, PAIRS, LINES = map(int, config["sizes"].split("-"))

    onstart:
        os.makedirs("ran", exist_ok=True)

    def note(name):
        with open(f"ran/{name}", "a") as file:
            print("ran", file=file)

    rule all:
        input: "out/total", "out/hog"

    rule letter:
        output: "out/letter.{n}"
        shell: "echo ran >> ran/letter.{wildcards.n}; echo letter {wildcards.n} > {output}; echo done >> {output}"

    rule word:
        input: "out/letter.{n}", lambda w: f"out/letter.{(int(w.n) + 1) % LETTERS}"
        output: "out/word.{n}"
        run:
            note(f"word.{wildcards.n}")
            with open(output[0], "w") as file:
                for name in input:
                    file.write(open(name).readline().upper())
                file.write("done\\n")

    rule slow:
        input: "out/word.{n}"
        output: "out/slow.{n}"
        params: seconds=lambda w: float(config["slow_s"]) + int(w.n) % 5 * 0.1
        priority: 1
        shell:
            "echo ran >> ran/slow.{wildcards.n}; head -n 1 {input} > {output}; sleep {params.seconds}; "
            "echo done >> {output}"

    rule passing:
        output: temp("out/passing.{n}")
        shell: "echo ran >> ran/passing.{wildcards.n}; seq {wildcards.n} > {output}; echo done >> {output}"

    rule used:
        input: "out/passing.{n}"
        output: "out/used.{n}"
        shell: "echo ran >> ran/used.{wildcards.n}; wc -l < {input} > {output}; echo done >> {output}"

    rule first:
        output: "out/first.{n}"
        group: "pair"
        shell: "echo ran >> ran/first.{wildcards.n}; echo first {wildcards.n} > {output}; echo done >> {output}"

    rule second:
        input: "out/first.{n}"
        output: "out/second.{n}"
        group: "pair"
        run:
            note(f"second.{wildcards.n}")
            with open(output[0], "w") as file:
                file.write("second after " + open(input[0]).readline() + "done\\n")

    rule hog:
        input: expand("out/letter.{n}", n=range(LETTERS // 3))
        output: "out/hog"
        resources: mem_mb=100
        shell:
            "echo ran >> ran/hog; echo hog > {output}; "
            "python -c 'x = bytearray({config[hog_mb]} << 20); x[::4096] = x[::4096]'; echo done >> {output}"

    rule line:
        input:
            lambda w: f"out/slow.{int(w.n) % SLOW}",
            lambda w: f"out/used.{int(w.n) % USED}",
            lambda w: f"out/second.{int(w.n) % PAIRS}",
        output: "out/line.{n}"
        shell:
            "echo ran >> ran/line.{wildcards.n}; head -qn 1 {input} > {output}; echo done >> {output}"

    rule total:
        input: expand("out/line.{n}", n=range(LINES)), expand("out/word.{n}", n=range(WORDS)),
               expand("out/used.{n}", n=range(USED))
        output: "out/total"
        run:
            note("total")
            content = "".join(open(name).read() for name in input)
            with open(output[0], "w") as file:
                print(hashlib.sha256(content.encode()).hexdigest(), "done", sep="\\n", file=file)
"""


@dataclass(frozen=True, slots=True)
class Load:
    """How many jobs there are of each kind."""

    letters: int = 80
    words: int = 80
    slow: int = 20
    used: int = 30
    pairs: int = 10
    lines: int = 37
    #: Seconds that a slow job takes, at least.
    slow_s: float = 0.1

    @property
    def config(self) -> list[str]:
        """The arguments by which Snakemake gets to know it."""
        sizes = (self.letters, self.words, self.slow, self.used, self.pairs, self.lines)
        return ["--config", f"sizes={'-'.join(map(str, sizes))}", f"slow_s={self.slow_s}"]

    @property
    def n_jobs(self) -> int:
        """How many jobs there are, rule ``all`` and the hog included."""
        return self.letters + self.words + self.slow + 2 * self.used + 2 * self.pairs + self.lines + 3

    def outputs(self) -> dict[str, str]:
        """Return all outputs that stay, by their names in ``out/``, with what is in them."""
        letters = [f"letter {n}\n" for n in range(self.letters)]
        words = [(letters[n] + letters[(n + 1) % self.letters]).upper() for n in range(self.words)]
        slow = [f"LETTER {n}\n" for n in range(self.slow)]
        used = [f"{n + 1}\n" for n in range(self.used)]
        second = [f"second after first {n}\n" for n in range(self.pairs)]
        lines = [slow[n % self.slow] + used[n % self.used] + second[n % self.pairs] for n in range(self.lines)]
        found = {
            **{f"letter.{n}": text for n, text in enumerate(letters)},
            **{f"word.{n}": text for n, text in enumerate(words)},
            **{f"slow.{n}": text for n, text in enumerate(slow)},
            **{f"used.{n}": text for n, text in enumerate(used)},
            **{f"first.{n}": f"first {n}\n" for n in range(self.pairs)},
            **{f"second.{n}": text for n, text in enumerate(second)},
            **{f"line.{n}": text for n, text in enumerate(lines)},
            "hog": "hog\n",
        }
        content = "".join(f"{text}done\n" for text in (*lines, *words, *used))
        found["total"] = hashlib.sha256(content.encode()).hexdigest() + "\n"
        return {name: f"{text}done\n" for name, text in found.items()}


#: 300 jobs; and fewer, for the tests of every day. Each letter is in a word, and each slow job in a line.
FULL = Load()
QUICK = Load(letters=14, words=14, slow=9, used=7, pairs=3, lines=9)
#: A minute of work for one core: worth a further worker.
GROWING = Load(letters=40, words=40, slow=40, used=7, pairs=3, lines=40, slow_s=1.5)
