"""What the Slurm site offers, asked of Slurm: a pair of functions for each question, command and parser.

Runs on: the login node. All but ``ask_site`` and ``ask_accounts`` are pure.

Written for Slurm 22.05 to 25. ``scontrol -o`` is read by key, since its fields change from version to version.
"""

from __future__ import annotations

import getpass
import re
from collections import Counter
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import LaunchError
from snakemake_executor_plugin_daskmpi.settings.durations import minutes_of
from snakemake_executor_plugin_daskmpi.slurm.controller import PATIENCE_S, answer_of, ask
from snakemake_executor_plugin_daskmpi.slurm.site import NodeType, Partition, Site

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Words in a node's state with which it takes no jobs, now or soon. NOT_RESPONDING is not among them: either it
#: passes, or the node goes DOWN.
_UNUSABLE = frozenset({"DOWN", "DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING", "ERROR", "FUTURE", "UNKNOWN"})
_RESERVED = frozenset({"MAINT", "MAINTENANCE"})
#: AccountingStorageEnforce with any of these makes Slurm refuse accounts that a user has not.
_ENFORCES_ACCOUNTS = frozenset({"associations", "limits", "qos", "safe", "wckeys", "all"})
_NO_LIMIT = frozenset({"", "UNLIMITED", "INFINITE", "NONE", "N/A", "(null)", "NOT_SET", "Partition_Limit"})


def ask_site(patience_s: float = PATIENCE_S) -> Site:
    """Ask Slurm what there is.

    Raises
    ------
    LaunchError
        If there is no Slurm, or slurmctld stays away for so long.
    """
    config = parse_config(ask(config_command(), patience_s=patience_s))
    nodes = ask(nodes_command(), patience_s=patience_s)
    partitions = ask(partitions_command(), patience_s=patience_s)
    accounts, qos = ask_accounts(config)
    return Site(
        cluster=config.get("ClusterName", ""),
        version=config.get("SLURM_VERSION", ""),
        partitions=parse_partitions(partitions, nodes, config),
        mpi_types=mpi_types(),
        accounts=accounts,
        qos=qos,
        binds_cpus="task/affinity" in config.get("TaskPlugin", ""),
        config=config,
    )


def ask_accounts(config: dict[str, str]) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """Return the user's accounts and the qualities of service that exist; None for what Slurm does not enforce."""
    enforced = set(config.get("AccountingStorageEnforce", "").lower().split(","))
    if "slurmdbd" not in config.get("AccountingStorageType", "") or not enforced & _ENFORCES_ACCOUNTS:
        return None, None
    accounts = answer_of(accounts_command(getpass.getuser()))
    qos = answer_of(qos_command()) if enforced & {"qos", "all"} else None
    return (
        # Administrators may use accounts that they have no association with, and see none here.
        parse_names(accounts.out) or None if accounts.code == 0 else None,
        parse_names(qos.out) or None if qos and qos.code == 0 else None,
    )


def mpi_types() -> frozenset[str]:
    """Ask for the types that ``srun --mpi`` takes; none where nobody answers."""
    try:
        answer = answer_of(mpi_types_command())
    except LaunchError:
        return frozenset()
    # Some versions print the list to stderr.
    return _parse_mpi_types(answer.out + answer.err) if answer.code == 0 else frozenset()


# -- questions and answers ---------------------------------------------------------------------------


def config_command() -> list[str]:
    """Return the question for the cluster's settings."""
    return ["scontrol", "show", "config"]


def parse_config(text: str) -> dict[str, str]:
    r"""Return the settings by name.

    >>> parse_config("Configuration data as of now\nSelectType              = select/linear\nX = (null)\n")
    {'SelectType': 'select/linear', 'X': ''}
    """
    pairs = re.findall(r"^(\S+)\s+=[ \t]*(.*?)\s*$", text, re.MULTILINE)
    return {name: "" if value == "(null)" else value for name, value in pairs}


def nodes_command() -> list[str]:
    """Return the question for all nodes, one per line."""
    return ["scontrol", "--oneliner", "show", "node"]


def partitions_command() -> list[str]:
    """Return the question for all partitions that the user sees, one per line."""
    return ["scontrol", "--oneliner", "show", "partition"]


def parse_partitions(text: str, nodes: str, config: dict[str, str]) -> tuple[Partition, ...]:
    """Return the partitions with the kinds of nodes that are up in each.

    Parameters
    ----------
    text, nodes
        What the commands for partitions and nodes print.
    config
        The cluster's settings, which hold where a partition says nothing else.
    """
    fields = list(map(_fields, nodes.splitlines()))
    return tuple(_partition({**config, **p}, fields) for p in map(_fields, text.splitlines()) if p)


def _partition(says: dict[str, str], nodes: list[dict[str, str]]) -> Partition:
    name = says["PartitionName"]
    own = (node for node in nodes if name in node.get("Partitions", "").split(","))
    return Partition(
        name=name,
        nodes=tuple(_node_types(own, _number(says.get("MaxCPUsPerNode")), _number(says.get("MaxMemPerNode")))),
        max_minutes=limit_of(says.get("MaxTime", "")),
        is_default=says.get("Default") == "YES",
        is_up=says.get("State", "UP") == "UP",
        whole_nodes=says.get("OverSubscribe") == "EXCLUSIVE" or "select/linear" in says.get("SelectType", ""),
        max_nodes=_number(says.get("MaxNodes")),
        max_mem_per_cpu_mb=_number(says.get("MaxMemPerCPU")),
        accounts=_allowed(says.get("AllowAccounts", "ALL")),
        qos=_allowed(says.get("AllowQos", "ALL")),
    )


def _node_types(nodes: Iterable[dict[str, str]], max_cpus: int | None, max_mem_mb: int | None) -> Iterator[NodeType]:
    """Yield the kinds of nodes that are up, the most frequent first."""
    kinds = Counter(_kind(node, max_cpus, max_mem_mb) for node in nodes if is_usable(node.get("State", "UNKNOWN")))
    for (cpus, mem_mb, threads, features, gpus), count in kinds.most_common():
        yield NodeType(count, cpus, mem_mb, threads, features, gpus)


def _kind(
    node: dict[str, str], max_cpus: int | None, max_mem_mb: int | None
) -> tuple[int, int, int, frozenset[str], tuple[tuple[str, int], ...]]:
    """Return all that makes a node different from others."""
    # CPUEfctv leaves out cores that are set aside for the system.
    cpus = _number(node.get("CPUEfctv")) or _number(node.get("CPUTot")) or 1
    mem_mb = (_number(node.get("RealMemory")) or 0) - (_number(node.get("MemSpecLimit")) or 0)
    features = node.get("AvailableFeatures", "(null)")
    return (
        min(cpus, max_cpus or cpus),
        min(mem_mb, max_mem_mb or mem_mb),
        _number(node.get("ThreadsPerCore")) or 1,
        frozenset() if features == "(null)" else frozenset(features.split(",")),
        parse_gpus(node.get("Gres", "")),
    )


def is_usable(state: str) -> bool:
    """Say whether a node of such a state takes jobs, now or when others end.

    Busy, powered-down and rebooting nodes do. ``scontrol`` writes flags in words, ``sinfo`` as a last character.

    >>> [is_usable(s) for s in ("MIXED", "IDLE+CLOUD+POWERED_DOWN", "idle~", "ALLOCATED+DRAIN", "DOWN*", "idle$")]
    [True, True, True, False, False, False]
    """
    words = {word.rstrip("*~#!%$@^-") for word in state.upper().split("+")}
    return not words & (_UNUSABLE | _RESERVED) and not state.endswith("$")


def parse_gpus(gres: str) -> tuple[tuple[str, int], ...]:
    """Return the number of GPUs of a node by model, from its generic resources.

    >>> parse_gpus("gpu:a100:4(S:0,2-3),gpu:1,shard:8,gpu:a100:no_consume:2")
    (('', 1), ('a100', 6))
    """
    models: Counter[str] = Counter()
    for entry in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *details = entry.strip().split(":")
        if name != "gpu":
            continue
        counts = [int(part) for part in details if part.isdigit()]
        model = next((part for part in details if not part.isdigit() and part != "no_consume"), "")
        models[model] += counts[-1] if counts else 1
    return tuple(sorted(models.items()))


def limit_of(text: str) -> int | None:
    """Return one of Slurm's limits in whole minutes, rounded down; None where there is none.

    >>> [limit_of(t) for t in ("7-00:00:00", "2-12", "01:30:00", "90:30", "45", "UNLIMITED", "1-00:30")]
    [10080, 3600, 90, 90, 45, None, 1470]
    """
    return None if text in _NO_LIMIT else int(minutes_of(text))


def mpi_types_command() -> list[str]:
    """Return the question for the types that ``srun --mpi`` takes."""
    return ["srun", "--mpi=list"]


def _parse_mpi_types(text: str) -> frozenset[str]:
    r"""Return the types that ``srun --mpi`` takes.

    >>> sorted(_parse_mpi_types("MPI plugin types are...\n\tnone\nspecific pmix plugin versions available: pmix_v4"))
    ['none', 'pmix_v4']
    >>> sorted(_parse_mpi_types("srun: MPI types are...\nsrun: none\nsrun: pmi2\n"))
    ['none', 'pmi2']
    """
    types: set[str] = set()
    for line in text.splitlines():
        words = line.removeprefix("srun:").strip()
        if words.startswith("specific"):
            words = words.rpartition(":")[2]
        elif "types are" in words:
            continue
        types |= set(re.split(r"[,\s]+", words)) - {""}
    return frozenset(types)


def accounts_command(user: str) -> list[str]:
    """Return the question for a user's accounts."""
    return ["sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={user}", "format=account"]


def qos_command() -> list[str]:
    """Return the question for all qualities of service."""
    return ["sacctmgr", "--noheader", "--parsable2", "show", "qos", "format=name"]


def parse_names(text: str) -> frozenset[str]:
    """Return the names that stand on lines of their own."""
    return frozenset(line.strip() for line in text.splitlines() if line.strip())


# -- words and numbers --------------------------------------------------------------------------------


def _fields(line: str) -> dict[str, str]:
    """Return the ``Key=value`` pairs of a line; the first one of a key counts, since free text stands last."""
    fields: dict[str, str] = {}
    for name, value in re.findall(r"(?:^|\s)([A-Za-z]\w*)=(\S*)", line):
        fields.setdefault(name, value)
    return fields


def _number(text: str | None) -> int | None:
    """Return a number, None where Slurm writes that there is no limit."""
    return int(text) if text is not None and text.isdigit() else None


def _allowed(text: str) -> frozenset[str] | None:
    return None if text in {"ALL", "(null)", ""} else frozenset(text.split(","))
