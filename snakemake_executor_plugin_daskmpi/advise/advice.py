"""What a rule should ask for, from what its jobs used.

Runs on: the login node, or a laptop. Pure.

Advice errs towards too much. What was measured too seldom is left as it is, threads are never raised, and each value
comes with the sentence that says what it was made of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.advise.usage import MEASURABLE_S, quantile
from snakemake_executor_plugin_daskmpi.settings.durations import duration_text

if TYPE_CHECKING:
    from snakemake_executor_plugin_daskmpi.advise.usage import RuleUsage
    from snakemake_executor_plugin_daskmpi.resources import JobResources

#: On top of the largest peak, and of the longest time.
MARGIN = 1.2
#: Measured jobs from which a single run is enough; in several runs, one each does.
ENOUGH_JOBS = 3
#: Jobs from which their upper five per cent are some of them, not just the last one.
_TAIL_JOBS = 20
#: From so many times the value that 95 % do not exceed on, the largest one is far out.
_FAR_OUT = 1.5
#: The least to ask for, in MB: below this, what a job shares with others of its worker is most of it.
LEAST_MEM_MB = 50
#: Less to gain is not worth a line.
_WORTH = 0.9
#: Cores beyond a whole number that are taken for what starting and reading costs.
_SLIGHTLY = 0.25
#: The part of the cores asked for from which they count as all in use.
_SATURATED = 0.9
#: Minutes below which a stated runtime would be mostly rounding.
_SHORT_MIN = 0.5


@dataclass(frozen=True, slots=True)
class Value:
    """What to ask of one resource."""

    #: What a first attempt gets.
    amount: int
    #: What it is made of.
    why: str
    #: What to write instead, where later attempts get more.
    expression: str = ""

    @property
    def written(self) -> int | str:
        """What stands in a profile."""
        return self.expression or self.amount


@dataclass(frozen=True, slots=True)
class Advice:
    """What a rule should ask for; None is what it asks for already."""

    rule: str
    mem_mb: Value | None = None
    runtime_min: Value | None = None
    threads: Value | None = None
    #: Further attempts that the memory of its largest jobs needs.
    retries: int = 0
    #: Why something is left as it is, and what else is to be seen.
    remarks: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return self.mem_mb is None and self.runtime_min is None and self.threads is None

    def applied(self, asked: JobResources) -> JobResources:
        """Return what a job's first attempt will ask for."""
        return replace(
            asked,
            mem_mb=self.mem_mb.amount if self.mem_mb else asked.mem_mb,
            runtime_min=self.runtime_min.amount if self.runtime_min else asked.runtime_min,
            cores=self.threads.amount if self.threads else asked.cores,
        )


def advice_for(usage: RuleUsage) -> Advice:
    """Return what a rule should ask for."""
    if usage.is_group:
        return Advice(usage.rule, remarks=("a group of jobs: what each of its members used is not known",))
    if not usage.n_done:
        failed = f"; {usage.n_failed} failed" if usage.n_failed else ""
        return Advice(usage.rule, remarks=(f"none of its jobs is done{failed}",))
    if usage.has_tasks:
        return Advice(usage.rule, remarks=("MPI programs of several tasks, which are measured on one node only",))
    mem_mb, retries, of_memory = _memory(usage)
    threads, of_threads = _threads(usage)
    runtime_min, of_runtime = _runtime(usage)
    remarks = tuple(remark for remark in (of_memory, of_threads, of_runtime) if remark)
    return Advice(usage.rule, mem_mb, runtime_min, threads, retries, remarks)


def tidy(amount: float) -> int:
    """Return a number that is no less, with two digits that count.

    >>> [tidy(amount) for amount in (7.2, 60, 61.5, 974.4, 1001, 12_345)]
    [8, 60, 62, 980, 1100, 13000]
    """
    # 1.2 * 50 is a little more than 60 in floating point.
    whole = math.ceil(round(amount, 6))
    step = int(10 ** max(0, len(str(whole)) - 2))
    return -(-whole // step) * step


def _is_few(usage: RuleUsage, number: int) -> bool:
    return number < min(ENOUGH_JOBS, len(usage.runs) if len(usage.runs) > 1 else ENOUGH_JOBS)


def _jobs(number: int) -> str:
    return f"{number} job{'s' * (number != 1)}"


# -- memory --------------------------------------------------------------------------------------------


def _memory(usage: RuleUsage) -> tuple[Value | None, int, str]:
    """Return what memory to ask for, how many retries that needs, and what else there is to say."""
    of_done = usage.peaks_mb
    peaks = [*of_done, *usage.cut_at_mb]
    if not of_done:
        return None, 0, "memory: its jobs were too short to be measured (0.1 s)"
    largest = max(peaks)
    if _is_few(usage, len(of_done)):
        seen = f"largest {usage.kind_of_peaks} {largest:.0f} MB"
        return None, 0, f"memory: only {_jobs(len(of_done))} of one run measured, {seen}; a second run would do"
    if len(usage.asked_mem_mb) > 1:
        asked = f"{min(usage.asked_mem_mb)} to {max(usage.asked_mem_mb)} MB"
        return None, 0, f"memory: asked for differs from job to job ({asked}); largest peak {largest:.0f} MB"
    (asked_mb,) = usage.asked_mem_mb or {0}
    # Jobs whose memory was cut short may have wanted any amount: no tail to be told from them.
    common = quantile(peaks, 0.95)
    is_spread = len(peaks) >= _TAIL_JOBS and largest > _FAR_OUT * common and not usage.cut_at_mb
    first_mb = max(LEAST_MEM_MB, tidy(MARGIN * (common if is_spread else largest)))
    said = f"asked {asked_mb} MB" if asked_mb else "asked for none"
    used = f"largest of {len(peaks)} peaks {largest:.0f} MB ({usage.kind_of_peaks})"
    if usage.cut_at_mb:
        used += f", {_jobs(len(usage.cut_at_mb))} ended for it"
    # They may have been granted less than they asked for, and nobody knows what they would have used of that.
    is_cut_short = bool(usage.cut_at_mb) and asked_mb >= first_mb
    if is_cut_short or (asked_mb >= largest and first_mb > _WORTH * asked_mb):
        why = "no less is advised" if is_cut_short or first_mb == LEAST_MEM_MB else "as it should be"
        return None, 0, f"memory: {said}, {used}: {why}"
    if asked_mb and asked_mb < largest:
        used += ": more than asked"
    if not is_spread:
        return Value(first_mb, f"{said}; {used}, + {MARGIN - 1:.0%}"), 0, ""
    retries = math.ceil(math.log2(max(1.0, MARGIN * largest / first_mb)))
    why = f"{said}; {used}, but 95 % of them below {common:.0f} MB, + {MARGIN - 1:.0%}; doubled by each retry"
    return Value(first_mb, why, f"{first_mb} * 2 ** (attempt - 1)"), retries, ""


# -- threads -------------------------------------------------------------------------------------------


def _threads(usage: RuleUsage) -> tuple[Value | None, str]:
    """Return how many threads to ask for, and what else there is to say."""
    if not usage.busy_cores or len(usage.asked_cores) > 1 or len(usage.granted_cores) > 1:
        return None, _why_unknown(usage)
    (asked,), (granted,) = usage.asked_cores or {1}, usage.granted_cores or {1}
    busy = quantile(usage.busy_cores, 0.95)
    wanted = max(1, math.ceil(busy - _SLIGHTLY))
    if granted <= 1 or wanted >= granted or busy >= _SATURATED * granted:
        return None, _saturation(asked, granted, busy)
    if _is_few(usage, len(usage.busy_cores)):
        return None, f"threads: only {_jobs(len(usage.busy_cores))} of one run measured, {busy:.1f} cores busy"
    why = (
        f"{_asked_text(asked, granted)}; {_jobs(len(usage.busy_cores))} kept {quantile(usage.busy_cores, 0.5):.1f} "
        f"cores busy in the mean of their time, 95 % of them no more than {busy:.1f}"
    )
    return Value(wanted, why), ""


def _why_unknown(usage: RuleUsage) -> str:
    if usage.asked_cores <= {0, 1}:
        return ""
    if len(usage.asked_cores) > 1:
        return "threads: asked for differs from job to job"
    if len(usage.granted_cores) > 1:
        return f"threads: what its jobs were granted of the {max(usage.asked_cores)} asked for differs from job to job"
    return f"threads: its jobs took less than {MEASURABLE_S:g} s, too short to tell"


def _asked_text(asked: int, granted: int) -> str:
    return f"asked {asked}" + (f", was granted {granted}" if granted < asked else "")


def _saturation(asked: int, granted: int, busy: float) -> str:
    """Return what there is to say of jobs that use all cores that they were granted, or more; "" of others."""
    said = _asked_text(asked, granted)
    if busy > max(granted, 1) + _SLIGHTLY:
        advice = "" if granted < asked else "; the rule should say so"
        return f"threads: {said}, and kept {busy:.1f} cores busy, some of them others'{advice}"
    if asked > 1 and busy >= _SATURATED * granted:
        all_of_it = f"{said}, all of which" if granted < asked else f"all {asked}"
        return f"threads: {all_of_it} are in use; more may make its jobs shorter"
    return ""


# -- runtime -------------------------------------------------------------------------------------------


def _runtime(usage: RuleUsage) -> tuple[Value | None, str]:
    """Return what runtime to state, and what else there is to say."""
    longest = max([*usage.seconds, *usage.cut_at_s]) / 60
    if len(usage.asked_runtime_min) > 1:
        return None, f"runtime: asked for differs from job to job; the longest took {_took(longest)}"
    (asked,) = usage.asked_runtime_min or {0}
    if not asked and longest < _SHORT_MIN:
        return None, ""  # the plan takes the mean from the record, which is finer than minutes
    if _is_few(usage, len(usage.seconds)):
        return None, f"runtime: only {_jobs(len(usage.seconds))} of one run, {_took(longest)}; a second run would do"
    common = quantile([*usage.seconds, *usage.cut_at_s], 0.95) / 60
    is_spread = len(usage.seconds) >= _TAIL_JOBS and longest > _FAR_OUT * common and not usage.cut_at_s
    wanted = max(1, math.ceil(round(MARGIN * (common if is_spread else longest), 6)))
    if asked and longest <= asked and wanted > _WORTH * asked:
        return None, ""
    said = f"asked {duration_text(asked)}" if asked else "did not say"
    used = f"the longest of {_jobs(len(usage.seconds))} took {_took(longest)}"
    used += f", but 95 % of them no more than {_took(common)}" if is_spread else ""
    return Value(wanted, f"{said}; {used}, + {MARGIN - 1:.0%}"), ""


def _took(minutes: float) -> str:
    return duration_text(minutes) if minutes >= 1 else f"{minutes * 60:.1f} s"
