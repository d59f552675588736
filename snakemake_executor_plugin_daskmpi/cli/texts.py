"""What ``--help`` of ``snakemake-daskmpi`` and of its verbs says.

Runs on: the login node, in a batch script, or on a laptop. Nothing but text.
"""

from __future__ import annotations

from typing import NamedTuple

DESCRIPTION = """\
Run a whole Snakemake workflow inside one Slurm job, or on one machine.

  plan     show the job that a workflow would get, and start nothing
  submit   submit that job and follow it
  follow   follow a job that was submitted
  status   show what a run does now
  watch    show it for as long as it goes on
  explain  say why a job waits, or what became of it
  report   make a page of what a run has done with its cores
  advise   turn the record of a run into the profile of the next one
  grow     have a run that goes on joined by a further Slurm job
  shrink   end a further Slurm job of a run
  doctor   check this site: MPI, Slurm, file systems, clocks, ports
  profile  write a starter profile for this site
"""
EPILOG = """\
Start here:
  snakemake-daskmpi doctor
  snakemake-daskmpi profile --output profiles/default
  snakemake-daskmpi plan
  snakemake-daskmpi submit

Once that profile is there, plain 'snakemake' does what 'submit' does; without Slurm, it runs here.
'snakemake-daskmpi VERB --help' tells more; 'snakemake --help' lists all --daskmpi-* settings.
"""


class VerbText(NamedTuple):
    """The help of one verb."""

    usage: str
    description: str
    examples: str


VERBS = {
    "plan": VerbText(
        "[--script] [ARGUMENTS OF snakemake ...]",
        """\
Show the one Slurm job that a workflow would get: the shapes of its jobs, components, walltime,
predicted makespan and utilisation, and why.

Without Slurm: how long the workflow would take on this machine, or on workers of a size that
--daskmpi-workers, --daskmpi-cores and --daskmpi-mem-mb name.

Takes the arguments of snakemake and builds the DAG as 'snakemake -n' does. Nothing is
started or submitted, and a run that is going on in the same folder is not disturbed.
""",
        """\
Examples:
  snakemake-daskmpi plan                              the default target, with your profile
  snakemake-daskmpi plan results/figure.png           some other target
  snakemake-daskmpi plan --daskmpi-max-workers 4      what would fewer workers cost?
  snakemake-daskmpi plan --script > job.sl            the batch script, to read or to keep
""",
    ),
    "submit": VerbText(
        "[ARGUMENTS OF snakemake ...]",
        """\
Plan the one Slurm job of a workflow, submit it and follow it: its place in the queue, then
the run's own output, and its exit code in the end. Ctrl-C asks once, then cancels.

The same as 'snakemake --executor daskmpi --daskmpi-launcher sbatch', whose arguments it takes.
""",
        """\
Examples:
  snakemake-daskmpi submit --jobs unlimited
  snakemake-daskmpi submit --profile hpc --daskmpi-account proj001
  snakemake-daskmpi submit --daskmpi-detach           return with the job's id at once
  snakemake-daskmpi submit -n                         a dry-run: nothing is submitted
""",
    ),
    "follow": VerbText(
        "[--directory DIR]",
        """\
Follow the Slurm job of the workflow in this folder: its place in the queue, then its output.
Ends with the run's exit code.
""",
        """\
Example:
  snakemake-daskmpi submit --daskmpi-detach && snakemake-daskmpi follow
""",
    ),
    "status": VerbText(
        "[RUN] [--directory DIR]",
        """\
Show what a run does now, or what became of it: jobs by rule, what of cores, memory and GPUs is
taken, who runs where, why jobs wait, and which have failed. It reads a file and disturbs nobody,
so it works on any node that sees the workflow's folder.

Without RUN it is the newest one of the folder. Jobs that Snakemake runs itself (localrules) are
not among those that are counted.
""",
        """\
Examples:
  snakemake-daskmpi status
  snakemake-daskmpi status T0930 -d ../other          a run by part of its id, in another folder
""",
    ),
    "watch": VerbText(
        "[RUN] [--directory DIR]",
        """\
Show what 'status' shows on the whole terminal, for as long as the run goes on. q or Ctrl-C
leaves it, and does nothing to the run. If Snakemake has only just started here, it waits for its run.
""",
        """\
Example:
  snakemake-daskmpi watch
""",
    ),
    "explain": VerbText(
        "JOB|RULE|FILE [--run RUN] [--directory DIR]",
        """\
Say why a job waits and what would let it start, or what became of it: where it ran and for how
long, what it asked for and used, why it failed, and the end of its log. Of a rule: how many of its
jobs are in which state, and why.

It takes a job's id, as Snakemake prints it (jobid: 17), a rule, or a file that a job makes; of
the newest run, or an earlier one with --run.
""",
        """\
Examples:
  snakemake-daskmpi explain 17
  snakemake-daskmpi explain align
  snakemake-daskmpi explain results/A.bam --run T0930
""",
    ),
    "report": VerbText(
        "[--directory DIR] [RUN ...] [--output FILE] [--json FILE] [--csv FILE]",
        """\
Make one HTML page, which needs no network, of what a run has done with its cores: a timeline
of all jobs, utilisation, the queue, the longest chain, what rules asked for and used, why cores
idled, what failed. Several runs go on one page.

Without RUN it is the newest one, with those that Slurm jobs went on from to come to it, requeued or
submitted by each other (--daskmpi-resubmit). RUN names one of them alone.

A run that goes on, or broke off, is told as far as it came. The page needs Bokeh
(pip install 'snakemake-executor-plugin-daskmpi[report]'), JSON and CSV do not.
""",
        """\
Examples:
  snakemake-daskmpi report                                  the newest run or chain, as daskmpi-report.html
  snakemake-daskmpi report --json - | jq '.runs[].key'      its key figures
  snakemake-daskmpi report --csv jobs.csv -o run.html       for a spreadsheet, and the page
""",
    ),
    "advise": VerbText(
        "[--directory DIR] [RUN ...] [--output DIR [--force]]",
        """\
Say what the rules of a workflow should ask for, from what their jobs used in one or more runs:
memory, threads and runtime, as a profile with a reason for each line. What was measured too
seldom stays as it is. Then how long the same jobs would take on fewer and on more workers.

Without RUN it is the newest one, with those that Slurm jobs went on from to come to it.
""",
        """\
Examples:
  snakemake-daskmpi advise                            to read
  snakemake-daskmpi advise --output profiles/sized && snakemake --profile profiles/sized
  snakemake-daskmpi advise 2026-11-27 2026-11-28      from two runs, which tell more than one
""",
    ),
    "grow": VerbText(
        "[RUN] [--workers N] [--cores N] [--mem-mb N] [--gpus N] [--partition NAME] [...]",
        """\
Have a run that goes on joined by a further Slurm job, whose ranks are workers for it. It does not
matter how the run was started: by 'submit', in a batch script of your own, by mpiexec, or as
plain 'snakemake' where Slurm can be reached. The job is submitted by the run, and is planned from
what waits in it unless its size is given.

It ends with the run, at the end of its walltime, when its workers have had nothing to do for
--daskmpi-shrink minutes, or by 'snakemake-daskmpi shrink'.
""",
        """\
Examples:
  snakemake-daskmpi grow                                  as what waits calls for
  snakemake-daskmpi grow --workers 4 --cores 8 --walltime 2h
  snakemake-daskmpi grow --partition gpu --gpus 1
""",
    ),
    "shrink": VerbText(
        "JOBID [--run RUN] [--directory DIR]",
        """\
End a further Slurm job of a run that goes on: its workers take no jobs any more, and leave when
those that run have ended. One that still waits in the queue is cancelled.
""",
        """\
Example:
  snakemake-daskmpi shrink 4711
""",
    ),
    "doctor": VerbText(
        "[--json] [--timeout SECONDS] [--join[=SRUN_OPTIONS]] [settings]",
        """\
Check all that a run stands on, and say what to do where something is wrong: versions, the MPI
library and whether srun or mpiexec speaks to it, that one world of ranks spans all components,
that ranks share folder, packages and clock, ports, encryption, scratch space, GPUs, and the
little Dask program (inc, add) with which users try their set-up.

On a login node it looks at that node alone. In a batch script or under salloc it starts srun
over all tasks: that is the check that counts. The exit code is 1 if any check fails.
""",
        """\
Examples:
  snakemake-daskmpi doctor
  salloc --ntasks=4 --mem-per-cpu=1G --time=00:05:00 snakemake-daskmpi doctor
  snakemake-daskmpi doctor --json | jq '.checks[] | select(.verdict == "fail")'
  snakemake-daskmpi doctor --join='--account=me'      whether a run here could grow
  mpiexec -n 4 snakemake-daskmpi doctor               in a world of your own making
""",
    ),
    "profile": VerbText(
        "[--output DIR [--force]] | [--container-definition] | [--conda-environment]",
        """\
Write a starter profile for this site, with a reason for each line, from what is found here:
Slurm's partitions, limits and accounts, the MPI library, modules and environments in use.
""",
        """\
Examples:
  snakemake-daskmpi profile                                      to read
  snakemake-daskmpi profile --output profiles/default            where snakemake looks for it
  snakemake-daskmpi profile --container-definition > image.def   to build a container image from
  snakemake-daskmpi profile --conda-environment > daskmpi.yml    mpi4py from Intel's channel, in the right order
""",
    ),
}

#: What is said of the argument that names a run.
RUN = "the run: its id, or a part of it that no other has (default: the newest)"

#: What ``doctor --help`` says of the settings that it shares with a run.
DOCTOR_SETTINGS = {
    "workers": "workers on this machine, outside of an allocation (default: 2)",
    "cores": "cores that each worker offers",
    "mem_mb": "memory that each worker offers",
    "gpus": "GPUs that each worker offers, '0,1'",
    "mpiexec": "the mpiexec to use, with its options",
    "pmi": "the type of srun --mpi",
    "pmi_library": "Slurm's PMI-2 library, for Intel MPI",
    "srun_args": "further arguments of srun",
    "scratch": "folder for temporary files on each node",
    "container": "image in which the ranks run",
    "container_runtime": "what runs the image",
    "container_bind": "folders that the image sees",
}
