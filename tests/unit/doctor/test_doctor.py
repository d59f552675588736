"""The doctor's verdicts: tables of what was seen, and what it says to that."""

from __future__ import annotations

import dataclasses
import json

import pytest

from snakemake_executor_plugin_daskmpi.doctor import (
    doctor,
    judgement,
    listing,
    node_checks,
    rank_view,
    site_checks,
    world_checks,
)
from snakemake_executor_plugin_daskmpi.doctor.facts import Facts, MpiFacts, RankFacts, Requirement, WorldFacts
from snakemake_executor_plugin_daskmpi.doctor.probe import MARK, answer_of, write_answer
from snakemake_executor_plugin_daskmpi.doctor.verdict import Verdict, worst
from snakemake_executor_plugin_daskmpi.rank.roles import Allocation

OK, WARN, FAIL, SKIPPED = Verdict.OK, Verdict.WARN, Verdict.FAIL, Verdict.SKIPPED


def rank(number: int, **changed) -> RankFacts:
    """Return a healthy rank of a hetjob of 2 + 3 tasks on n1 and n2 to n4."""
    node = max(1, number)
    facts = {
        "name": f"rank {number}",
        "host": f"n{node}",
        "component": 0 if number < 2 else 1,
        "cores": 0 if number < 2 else 4,
        "mem_mb": 0 if number < 2 else 12288,
        "cwd": "/nesi/work",
        "token": "secret",
        "has_written": True,
        "prefix": "/opt/env",
        "versions": {"python": "3.11.7", "dask": "2026.8.0"},
        "clock_error_s": 0.001,
        "file_offset_s": -0.002,
        "address": "" if number == 1 else f"tcp://10.0.0.{node}:{4000 + number}",
        "n_tried": 3 if number != 1 else 4,
        "scratch": "/local",
        "scratch_free_mb": 50_000,
        "scratch_type": "xfs",
    }
    return RankFacts(**{**facts, **changed})


def world(*changed: RankFacts, **other) -> WorldFacts:
    """Return a healthy world of five ranks, some of them replaced."""
    ranks = {r.name: r for r in (*map(rank, range(5)), *changed)}
    facts = {
        "n_asked": 5,
        "token": "secret",
        "scheduler_address": "tcp://10.0.0.1:4000",
        "ranks": tuple(ranks.values()),
        "dask_result": 5,
        "local_result": 5,
    }
    return WorldFacts("srun", **{**facts, **other})


MPICH = MpiFacts("mpich", "MPICH 5.0.2", pmi_types=("none", "pmi2"), pmi="pmi2")
HETJOB = Allocation("81", (2, 3), (1, 4), is_here=True)
FACTS = Facts(
    host="n1",
    program="snakemake-daskmpi doctor",
    python="3.11.7",
    wants_python=">=3.11",
    python_is_met=True,
    prefix="/opt/env",
    requirements=(Requirement("snakemake", ">=9.27,<10", "9.27.1", True),),  # noqa: FBT003 - as in the table
    mpi=MPICH,
    world=world(),
    slurm="22.05.8",
    allocation=HETJOB,
)


def test_a_healthy_hetjob_has_nothing_to_fail_and_the_encryption_to_look_at():
    checks = judgement.checks_of(FACTS)
    assert {check.name for check in checks if check.verdict is WARN} == {"encryption"}
    assert worst(checks) is WARN
    assert all(check.remedy for check in checks if check.verdict in (WARN, FAIL)), "each says what to do"


# -- site ------------------------------------------------------------------------------------------


def test_a_package_that_is_missing_or_too_old_is_named_with_what_to_install():
    requirements = (
        Requirement("snakemake", ">=9.27,<10", "9.6.0", is_met=False),
        Requirement("dask-mpi", ">=2022.4", None, is_met=False),
        Requirement("psutil", ">=5.9", "7.0", is_met=True),
    )
    check = site_checks.packages_check(requirements)
    assert check.verdict is FAIL
    assert check.seen == "snakemake 9.6.0 (needs >=9.27,<10), dask-mpi is missing (needs >=2022.4)"
    assert check.remedy == "pip install 'snakemake>=9.27,<10' 'dask-mpi>=2022.4'"


def test_a_python_that_is_too_old_is_named():
    check = site_checks.python_check(dataclasses.replace(FACTS, python="3.9.1", python_is_met=False))
    assert (check.verdict, ">=3.11" in check.remedy) == (FAIL, True)


@pytest.mark.parametrize(("in_slurm", "verdict"), [(False, WARN), (True, FAIL)])
def test_no_mpi_library_matters_in_an_allocation(in_slurm, verdict):
    check = site_checks.mpi_library_check(MpiFacts(library="cannot load MPI library"), in_slurm=in_slurm)
    assert check.verdict is verdict
    assert "[mpich]" in check.remedy


def test_a_library_that_is_not_known_is_loaded_all_the_same():
    check = site_checks.mpi_library_check(MpiFacts("other", "CRAY MPICH version 8.1"), in_slurm=True)
    assert (check.verdict, check.seen) == (OK, "mpi4py loads CRAY MPICH version 8.1")


@pytest.mark.parametrize(
    ("kind", "offered", "pmi", "slurm", "verdict", "remedy"),
    [
        ("mpich", ("none", "pmi2"), "pmi2", "22.05", OK, ""),
        ("intel", ("none", "pmi2"), "pmi2", "22.05", OK, ""),
        ("openmpi", ("pmi2", "pmix", "pmix_v4"), "pmix", "22.05", OK, ""),
        ("openmpi", ("none", "pmi2"), "pmix", "22.05", FAIL, "daskmpi[mpich]"),
        ("mpich", ("none", "pmix"), "pmi2", "22.05", FAIL, "daskmpi[openmpi]"),
        ("mpich", ("none", "pmi2", "pmix"), "pmix", "22.05", WARN, "--daskmpi-pmi pmi2, or leave it out."),
        ("intel", ("none", "pmix_v4"), "pmix", "22.05", WARN, "the check 'world'"),
        ("mpich", ("none", "pmi2"), "pmix", "22.05", FAIL, "--daskmpi-pmi pmi2, which MPICH speaks"),
        ("openmpi", ("none", "pmix_v4"), "pmix", "22.05", OK, ""),
        ("other", ("none", "pmi2"), "pmi2", "22.05", SKIPPED, "--daskmpi-pmi with the one"),
        ("", ("none", "pmi2"), "pmi2", "22.05", SKIPPED, ""),
        ("mpich", (), "pmi2", "", SKIPPED, ""),
    ],
)
def test_srun_has_to_speak_what_the_mpi_library_speaks(kind, offered, pmi, slurm, verdict, remedy):  # noqa: PLR0913, PLR0917
    check = site_checks.pmi_check(MpiFacts(kind, pmi_types=offered, pmi=pmi), slurm=slurm)
    assert check.verdict is verdict
    assert remedy in check.remedy


@pytest.mark.parametrize(
    ("kind", "library", "slurm", "verdict"),
    [
        ("intel", "/opt/slurm/lib64/libpmi2.so", "22.05", OK),
        ("intel", "", "22.05", FAIL),
        ("intel", "", "", SKIPPED),
        ("mpich", "", "22.05", SKIPPED),
    ],
)
def test_intel_mpi_needs_slurms_pmi_library(kind, library, slurm, verdict):
    check = site_checks.pmi_library_check(MpiFacts(kind, pmi_library=library), slurm=slurm)
    assert check.verdict is verdict
    assert ("--daskmpi-pmi-library " in check.remedy) == (verdict is FAIL)


@pytest.mark.parametrize(
    ("kind", "theirs", "slurm", "verdict"),
    [
        ("mpich", "mpich", "", OK),
        ("mpich", "", "", OK),
        ("mpich", "openmpi", "", FAIL),
        ("mpich", "openmpi", "22.05", WARN),
        ("mpich", "intel", "", WARN),
        ("", "mpich", "", OK),
        ("other", "mpich", "", OK),
    ],
)
def test_an_mpiexec_of_another_mpi_is_found_out_and_matters_less_where_srun_starts_ranks(kind, theirs, slurm, verdict):
    mpi = MpiFacts(kind, mpiexec="/usr/bin/mpiexec", mpiexec_kind=theirs)
    check = site_checks.mpiexec_check(mpi, slurm=slurm)
    assert check.verdict is verdict
    assert ("--daskmpi-mpiexec" in check.remedy) == (verdict in (WARN, FAIL))


def test_no_mpiexec_is_no_fault():
    assert site_checks.mpiexec_check(MpiFacts("mpich"), slurm="22.05").verdict is SKIPPED
    assert "[mpich]" in site_checks.mpiexec_check(MpiFacts("mpich"), slurm="").remedy


# -- world -----------------------------------------------------------------------------------------


def test_the_world_says_how_many_workers_its_ranks_give():
    check = world_checks.world_check(world())
    assert check.verdict is OK
    seen = "5 ranks on 4 hosts: scheduler, client and 5 - 2 = 3 workers with 12 cores, 36864 MB together (srun)"
    assert check.seen == seen


def test_a_world_that_did_not_form_says_why_how_and_what_to_do_and_skips_the_rest():
    error = "MPI sees 1 rank where 5 were started.\n  Seen: srun started 5.\n  Next: srun --mpi=pmi2 …"
    broken = WorldFacts("srun", "srun --mpi=none python", error=error, said="srun: error: n1\nlast words")
    checks = judgement.checks_of(dataclasses.replace(FACTS, world=broken))
    (check,) = (check for check in checks if check.name == "world")
    assert (check.verdict, check.remedy) == (FAIL, "srun --mpi=pmi2 …")
    assert check.seen.splitlines() == [
        "MPI sees 1 rank where 5 were started.",
        "Seen: srun started 5.",
        "it was started as: srun --mpi=none python",
        "| srun: error: n1",
        "| last words",
    ]
    assert {c.name for c in checks if c.verdict is SKIPPED} >= {"components", "ports", "test program", "clocks"}


@pytest.mark.parametrize(
    ("allocation", "ranks", "verdict", "words"),
    [
        (HETJOB, range(5), OK, "0: ranks 0-1 on n1; 1: ranks 2-4 on n2, n3, n4 with 4 cores, 12288 MB"),
        (HETJOB, (2, 3, 4), FAIL, "srun --het-group=0-1 …"),
        (Allocation("7", (5,), (1,), is_here=True), range(5), OK, "job 7 has 1 component of 5 tasks"),
        (Allocation("7", (6,), (1,), is_here=True), range(5), FAIL, "start it over all tasks: srun …"),
    ],
)
def test_the_world_has_to_span_all_tasks_of_all_components(allocation, ranks, verdict, words):
    seen = dataclasses.replace(world(), ranks=tuple(map(rank, ranks)))
    check = world_checks.components_check(seen, allocation, slurm="22.05", program="doctor")
    assert check.verdict is verdict
    assert words in (check.remedy or check.seen)


def test_outside_of_an_allocation_it_says_how_to_check_inside_of_one():
    check = world_checks.components_check(world(), None, slurm="22.05", program="/opt/bin/snakemake-daskmpi doctor")
    assert check.verdict is SKIPPED
    typed = check.remedy.splitlines()[1:]
    assert [line.split()[0] for line in typed] == ["salloc", "sbatch"]
    assert all("/opt/bin/snakemake-daskmpi doctor" in line for line in typed)
    assert not world_checks.components_check(world(), None, slurm="", program="doctor").remedy


def test_a_port_that_is_closed_is_named_with_both_ends():
    closed = rank(3, unreachable={"tcp://10.0.0.2:4002": "no answer in 5 s"})
    check = world_checks.ports_check(world(closed))
    assert check.verdict is FAIL
    assert check.seen == "rank 3 on n3 cannot connect to rank 2 on n2 at tcp://10.0.0.2:4002: no answer in 5 s"
    assert world_checks.ports_check(world()).seen == "16 connections between ranks, all open"


def test_of_many_closed_ports_some_are_named():
    shut = {f"tcp://10.0.0.{n}:{4000 + n}": "Connection refused" for n in (2, 3)}
    check = world_checks.ports_check(world(*(rank(n, unreachable=shut) for n in (0, 1, 4))))
    assert check.seen.splitlines()[-1] == "and 2 more"


@pytest.mark.parametrize(
    ("address", "verdict"),
    [("tcp://10.0.0.1:4000", WARN), ("tls://10.0.0.1:4000", OK), ("tcp://127.0.0.1:4000", OK)],
)
def test_connections_that_are_not_encrypted_are_pointed_out_where_others_may_listen(address, verdict):
    check = world_checks.encryption_check(world(scheduler_address=address))
    assert (check.verdict, address in check.seen) == (verdict, True)


@pytest.mark.parametrize(
    ("results", "verdict", "seen"),
    [
        ({}, OK, "Dask result: 5, Local result: 5"),
        ({"dask_result": 4}, FAIL, "Dask result: 4, Local result: 5"),
        ({"dask_result": None, "test_error": "TimeoutError: "}, FAIL, "TimeoutError: "),
    ],
)
def test_the_centres_program_has_to_come_to_the_same_result_on_the_workers(results, verdict, seen):
    check = world_checks.program_check(world(**results))
    assert (check.verdict, check.seen) == (verdict, seen)


# -- nodes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "verdict", "seen", "remedy"),
    [
        ({}, OK, "/nesi/work: all ranks see and write the same", ""),
        ({"cwd": "/home", "token": ""}, FAIL, "rank 3 on n3 (in /home) cannot see a file", "cd /nesi/work before srun"),
        ({"token": "another"}, FAIL, "cannot see a file that rank 1 has just written", "--daskmpi-srun-args=--chdir="),
        (
            {"has_written": False, "write_error": "Read-only file system: /nesi/work"},
            FAIL,
            "rank 3 on n3 cannot write in it: Read-only file system",
            "mount it for writing",
        ),
        ({"has_written": False}, FAIL, "was not seen by rank 1", "mount it"),
        ({"token_after_s": 7.2}, WARN, "rank 3 on n3 sees new files only after 7 s", "--latency-wait 16"),
    ],
)
def test_ranks_have_to_share_the_working_directory(changed, verdict, seen, remedy):
    check = node_checks.folder_check(world(rank(3, **changed)))
    assert check.verdict is verdict
    assert seen in check.seen
    assert remedy in check.remedy


def test_a_folder_that_rank_1_may_not_write_to_is_named():
    check = node_checks.folder_check(world(token="", folder_error="Permission denied: /usr"))
    assert (check.verdict, check.seen) == (FAIL, "Permission denied: /usr")


@pytest.mark.parametrize(
    ("changed", "verdict", "words"),
    [
        ({}, OK, "all ranks run /opt/env"),
        ({"versions": {"python": "3.11.7", "dask": "2025.1.0"}}, FAIL, "rank 2 on n2 has dask 2025.1.0"),
        ({"versions": {"python": "3.11.7"}}, FAIL, "rank 2 on n2 has dask none"),
        ({"prefix": "/home/ada/env"}, WARN, "rank 2 on n2 runs /home/ada/env"),
    ],
)
def test_ranks_have_to_run_equal_packages(changed, verdict, words):
    check = node_checks.environment_check(world(rank(2, **changed)))
    assert check.verdict is verdict
    assert words in check.seen


@pytest.mark.parametrize(
    ("offsets", "error_s", "verdict"),
    [
        ((0.0, 0.0), 0.001, OK),
        ((0.3, 0.0), 0.001, WARN),
        ((-1.5, 0.0), 0.001, FAIL),
        ((0.7, -0.7), 0.001, FAIL),  # from each other, not only from rank 1
        ((1.5, 0.0), 0.8, OK),  # it may be the network
    ],
)
def test_clocks_have_to_agree_within_what_the_measurement_allows(offsets, error_s, verdict):
    ranks = [rank(2 + n, clock_offset_s=offset, clock_error_s=error_s) for n, offset in enumerate(offsets)]
    ranks = [*ranks, rank(1, clock_error_s=error_s), rank(0, clock_error_s=error_s), rank(4, clock_error_s=error_s)]
    assert node_checks.clock_check(world(*ranks)).verdict is verdict


def test_a_clock_that_is_wrong_is_named():
    check = node_checks.clock_check(world(rank(4, clock_offset_s=2.5)))
    assert check.seen.startswith("rank 4 on n4 is 2.500 ± 0.002 s ahead of rank ")


def test_a_file_server_with_a_clock_of_its_own_is_pointed_out():
    check = node_checks.clock_check(world(rank(4, file_offset_s=-3.0)))
    assert (check.verdict, "-3.000 s off" in check.seen) == (WARN, True)


@pytest.mark.parametrize(
    ("changed", "verdict", "words"),
    [
        ({}, OK, "/local (xfs), at least 50000 MB free"),
        ({"scratch_type": "tmpfs"}, OK, "tmpfs, in memory"),
        ({"scratch_type": "nfs4"}, WARN, "on rank 2 on n2 over the network"),
        ({"scratch_type": "lustre"}, WARN, "over the network"),
        ({"scratch_free_mb": 10}, WARN, "at least 10 MB free, on rank 2 on n2"),
        ({"scratch_error": "/scratch cannot be written to"}, FAIL, "rank 2 on n2: /scratch cannot be written to"),
    ],
)
def test_scratch_space_has_to_be_there_and_better_is_local(changed, verdict, words):
    check = node_checks.scratch_check(world(rank(2, **changed)))
    assert check.verdict is verdict
    assert words in check.seen


@pytest.mark.parametrize(
    ("two", "three", "verdict", "words"),
    [
        ({}, {}, SKIPPED, "no rank sees any"),
        ({"gpus": ("0",)}, {"gpus": ("0",)}, OK, "rank 2 on n2 offers 0; rank 3 on n3 offers 0"),
        ({"gpus": ("0",)}, {"gpus": ("0",), "host": "n2"}, FAIL, "rank 2 on n2, rank 3 on n2 both offer GPU 0"),
        ({"gpu_devices": 2}, {}, WARN, "rank 2 on n2 sees 2 GPU devices and offers none"),
    ],
)
def test_gpus_are_offered_once_and_not_left_idle(two, three, verdict, words):
    check = node_checks.gpu_check(world(rank(2, **two), rank(3, **three)))
    assert check.verdict is verdict
    assert words in check.seen


# -- report ----------------------------------------------------------------------------------------


def test_the_text_has_a_line_per_check_aligned_and_remedies_below():
    checks = judgement.checks_of(FACTS)
    text = listing.render_text(FACTS, checks)
    lines = text.splitlines()
    assert lines[0] == "snakemake-daskmpi doctor on n1, in Slurm job 81: 5 tasks in 2 components"
    column = lines[2].index("3.11.7")
    assert all(line[column - 1] == " " for line in lines[2:-2])
    assert "\033" not in text
    index = next(i for i, line in enumerate(lines) if line.startswith("warn"))
    assert lines[index + 1].startswith(" " * column + "Next: ")
    assert lines[-1] == "12 ok, 1 to look at, 4 skipped."


def test_long_lines_are_wrapped_for_a_terminal_and_what_can_be_typed_is_not():
    requirements = tuple(Requirement(f"package-{n}", ">=1", None, is_met=False) for n in range(12))
    facts = dataclasses.replace(FACTS, requirements=requirements)
    text = listing.render_text(facts, judgement.checks_of(facts), width=100, colour=True)
    assert "\033[1;31mFAIL" in text
    assert "pip install " + " ".join(f"'package-{n}>=1'" for n in range(12)) in text
    assert all(len(line) <= 110 for line in text.splitlines() if "Next" not in line)


def test_the_json_has_the_verdicts_and_all_facts():
    document = json.loads(listing.render_json(FACTS, judgement.checks_of(FACTS)))
    assert document["verdict"] == "warn"
    assert {"name", "verdict", "seen", "remedy"} == set(document["checks"][0])
    assert document["facts"]["world"]["dask_result"] == 5


def test_the_probes_answer_is_found_between_what_mpi_libraries_print(capsys):
    write_answer(world())
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(MARK) and len(line) < 500 for line in lines)
    noisy = "\n".join(part for line in lines for part in ("MPI startup(): warning", line))
    assert answer_of(noisy) == world()
    assert answer_of("MPI startup()\n") is None
    assert answer_of("\n".join(lines[:-3])) is None, "a part is no answer"


@pytest.mark.parametrize(
    ("asked", "mpi", "allocation", "launcher"),
    [
        ("auto", MPICH, HETJOB, "srun"),
        ("auto", MpiFacts("mpich", mpiexec="mpiexec", mpiexec_kind="mpich"), None, "mpiexec"),
        ("auto", MpiFacts("mpich", mpiexec="mpiexec", mpiexec_kind="openmpi"), None, "local"),
        ("auto", MpiFacts("mpich"), None, "local"),
        ("auto", MpiFacts("", mpiexec="mpiexec"), None, "local"),
        ("local", MPICH, HETJOB, "local"),
    ],
)
def test_the_doctor_forms_its_world_in_the_best_way_there_is(asked, mpi, allocation, launcher):
    assert doctor.launcher_of(asked, mpi, allocation) == launcher


def test_an_allocation_that_is_too_small_is_refused_before_anything_is_started():
    from snakemake_executor_plugin_daskmpi.settings.flags import Settings

    seen = doctor.world_of(Settings(), MPICH, {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2"})
    check = world_checks.world_check(seen)
    assert check.verdict is FAIL
    assert check.seen.startswith("The allocation has 2 tasks; a world needs 3")
    assert check.remedy.startswith("salloc --ntasks=4")


def test_scratch_is_judged_by_the_folder_that_is_there_already(tmp_path, monkeypatch):
    monkeypatch.setenv("NODE_DISK", str(tmp_path))
    seen = rank_view.scratch_space("$NODE_DISK/not/yet")
    assert seen["scratch"] == f"{tmp_path}/not/yet"
    assert seen["scratch_free_mb"] > 0
    assert seen["scratch_type"]
    assert "scratch_error" not in seen
    assert not (tmp_path / "not").exists(), "looking makes nothing"
