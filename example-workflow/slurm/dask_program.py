"""A first program for Dask on MPI ranks: ``inc`` and ``add`` as futures, computed by the workers and then here.

Runs on: every rank. Called by: case1.sl and case2.sl, through srun.
"""

import os

from dask.distributed import Client
from dask_mpi import initialize


def inc(x):
    return x + 1


def add(x, y):
    return x + y


# Here the ranks part: rank 0 becomes Dask's scheduler, ranks 2 and above become its workers and
# do not return. Rank 1 alone goes on. So there have to be 3 ranks at least.
initialize(
    # Where workers put what does not fit into memory. The working directory is what all ranks
    # surely have; a fast disk of the node's own is better, if there is one.
    local_directory=os.getcwd(),
    # Threads of a worker; one, unless told. In a heterogeneous job each component has a variable
    # of its own, and the workers are component 1.
    nthreads=int(os.environ.get("SLURM_CPUS_PER_TASK_HET_GROUP_1") or os.environ.get("SLURM_CPUS_PER_TASK") or 1),
    # Any free port: two schedulers on one node would both want the usual one.
    dashboard_address=":0",
)

with Client() as client:
    one_more = client.submit(inc, 1)
    two_more = client.submit(inc, 2)
    # Futures as arguments: the sum is computed where they are, and only it travels.
    total = client.submit(add, one_more, two_more)
    print("Dask result:", total.result(), flush=True)

print("Local result:", add(inc(1), inc(2)), flush=True)
