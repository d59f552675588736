"""The ``--daskmpi-*`` settings of the one Slurm job: what the batch script asks for, and sets up.

Runs on: every rank, which all parse the same command line, and on the login node.

The same two traps shape this file as flags.py: real types in annotations, booleans that
default to False.
"""

from dataclasses import dataclass, field
from typing import Optional

from snakemake_interface_executor_plugins.settings import ExecutorSettingsBase

from snakemake_executor_plugin_daskmpi.settings.choices import choice

CONTAINER_RUNTIMES = ("apptainer", "singularity", "ch-run")
PMI_TYPES = ("auto", "pmi2", "pmix")
#: Idleness after which a further Slurm job is ended; arbitrary. Getting another one takes longer, mostly.
SHRINK = "5m"


@dataclass
class SlurmSettings(ExecutorSettingsBase):
    """What steers the launchers ``srun`` and ``sbatch``."""

    account: Optional[str] = field(
        default=None,
        metadata={"help": "Account that the Slurm job is charged to (sbatch --account).", "metavar": "NAME"},
    )
    partition: Optional[str] = field(
        default=None,
        metadata={
            "help": "Partition of all components whose rules name none (sbatch --partition). Default: the site's.",
            "metavar": "NAME",
        },
    )
    qos: Optional[str] = field(
        default=None,
        metadata={"help": "Quality of service of the Slurm job (sbatch --qos).", "metavar": "NAME"},
    )
    walltime: Optional[str] = field(
        default=None,
        metadata={
            "help": "Walltime of the Slurm job: minutes, or as sbatch --time writes it ('1-12:00:00'), or in words "
            "('90m', '2h'). Default: planned from the runtime of the rules and the longest chain of jobs.",
            "metavar": "TIME",
        },
    )
    constraint: Optional[str] = field(
        default=None,
        metadata={"help": "Node features that all workers need (sbatch --constraint).", "metavar": "FEATURES"},
    )
    mail_user: Optional[str] = field(
        default=None,
        metadata={"help": "Where Slurm sends mail about the job (sbatch --mail-user).", "metavar": "ADDRESS"},
    )
    mail_type: Optional[str] = field(
        default=None,
        metadata={
            "help": "When Slurm sends mail (sbatch --mail-type), for instance 'END,FAIL'.",
            "metavar": "EVENTS",
        },
    )
    modules: Optional[str] = field(
        default=None,
        metadata={
            "help": "Environment modules that the batch script loads after 'module purge', separated by spaces.",
            "metavar": "NAMES",
        },
    )
    conda_env: Optional[str] = field(
        default=None,
        metadata={
            "help": "Conda environment that the batch script activates: a name or a path. "
            "Default: the Python that plans is the Python that runs.",
            "metavar": "ENV",
        },
    )
    setup: Optional[str] = field(
        default=None,
        metadata={"help": "Further lines of shell for the batch script, run before srun.", "metavar": "LINES"},
    )
    sbatch_args: Optional[str] = field(
        default=None,
        metadata={
            "help": "Further arguments of sbatch for every component, for instance '--reservation=course'. "
            "'NAME: ARGS' on lines of its own gives them to the component of that name alone.",
            "metavar": "ARGS",
        },
    )
    srun_args: Optional[str] = field(
        default=None,
        metadata={"help": "Further arguments of the srun that starts the ranks.", "metavar": "ARGS"},
    )
    pmi: str = field(
        default="auto",
        metadata={
            "help": "How ranks meet under srun (srun --mpi): 'auto' finds out which MPI library mpi4py loads, and "
            "takes 'pmi2' for MPICH and Intel MPI, 'pmix' for Open MPI.",
            "metavar": "{" + ",".join(PMI_TYPES) + "}",
            "parse_func": choice("--daskmpi-pmi", PMI_TYPES),
            "unparse_func": str,
        },
    )
    pmi_library: Optional[str] = field(
        default=None,
        metadata={
            "help": "Slurm's PMI-2 library, which Intel MPI needs (I_MPI_PMI_LIBRARY). Default: looked for beside "
            "Slurm and in the system's library folders.",
            "metavar": "FILE",
        },
    )
    hyperthread: bool = field(
        default=False,
        metadata={
            "help": "Put ranks 0 and 1, which do little, on the two hyperthreads of one physical core. Compare a short "
            "run with and without: it must not slow the workers.",
        },
    )
    scratch: Optional[str] = field(
        default=None,
        metadata={
            "help": "Node-local folder for temporary files of ranks and jobs, created where it is missing; "
            "may hold variables of the node, such as '/scratch/$SLURM_JOB_ID'. Default: TMPDIR.",
            "metavar": "FOLDER",
        },
    )
    max_components: int = field(
        default=4,
        metadata={
            "help": "Most components of the heterogeneous job that sbatch plans, the one of ranks 0 and 1 included.",
            "metavar": "N",
        },
    )
    max_workers: int = field(
        default=16,
        metadata={"help": "Most workers that sbatch plans, over all components.", "metavar": "N"},
    )
    max_cores: Optional[int] = field(
        default=None,
        metadata={"help": "Most cores of all workers together that sbatch plans. Default: no limit.", "metavar": "N"},
    )
    components: Optional[str] = field(
        default=None,
        metadata={
            "help": "What the components of the allocation are for, in Slurm's order and separated by commas: names "
            "that rules ask for with daskmpi_component, several joined by '+'. The launcher sbatch "
            "writes it; give it by hand in a batch script of your own.",
            "metavar": "NAMES",
        },
    )
    detach: bool = field(
        default=False,
        metadata={"help": "Return with the job's id once it is submitted, instead of following it."},
    )
    resubmit: bool = field(
        default=False,
        metadata={
            "help": "With the launcher sbatch: when the time of the Slurm job is over and jobs are left, plan and "
            "submit the next one from what is left, until the workflow is done or a job made no progress.",
        },
    )
    grow: int = field(
        default=0,
        metadata={
            "help": "How many further Slurm jobs a run may have at a time. Each brings workers for jobs that wait, if "
            "it is forecast to be worth its wait in the queue, and joins the run when it starts. Default: none.",
            "metavar": "N",
        },
    )
    grow_walltime: Optional[str] = field(
        default=None,
        metadata={
            "help": "Walltime of each further Slurm job, written as for --daskmpi-walltime. Its workers take no job "
            "that would not end in it, and leave before. Default: planned from what waits.",
            "metavar": "TIME",
        },
    )
    shrink: str = field(
        default=SHRINK,
        metadata={
            "help": "How long all workers of a further Slurm job have to be idle until it is ended: minutes, or in "
            "words ('90s', '1h').",
            "metavar": "TIME",
            "parse_func": str,
            "unparse_func": str,
        },
    )
    container: Optional[str] = field(
        default=None,
        metadata={
            "help": "Image in which every rank runs: a file or folder that --daskmpi-container-runtime can run.",
            "metavar": "IMAGE",
        },
    )
    container_runtime: str = field(
        default="apptainer",
        metadata={
            "help": "What runs the image.",
            "metavar": "{" + ",".join(CONTAINER_RUNTIMES) + "}",
            "parse_func": choice("--daskmpi-container-runtime", CONTAINER_RUNTIMES),
            "unparse_func": str,
        },
    )
    container_bind: Optional[str] = field(
        default=None,
        metadata={
            "help": "Folders that the container sees besides the working directory and Slurm's libraries, "
            "as in APPTAINER_BIND: separated by commas, each 'FOLDER' or 'OUTSIDE:INSIDE'.",
            "metavar": "FOLDERS",
        },
    )
