"""Every rank inside an image: what stands between ``srun`` and the program.

Runs on: the login node, or the batch script's node. Pure, but for ``Container.of``, which looks at the image.

The ranks' variables (``PMI_*``, ``PMI_FD`` with its open file, ``SLURM_*``) pass through all three runtimes
as they are. Nothing in the image needs Slurm's own commands.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from snakemake_executor_plugin_daskmpi.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from snakemake_executor_plugin_daskmpi.settings.slurm_flags import SlurmSettings

#: Where each runtime reads which folders of the host an image sees; ch-run has arguments for that.
BIND_VARIABLES = {"apptainer": "APPTAINER_BIND", "singularity": "SINGULARITY_BIND"}

#: Folders that belong to the whole system: the image has its own, which must not be hidden.
_SYSTEM_FOLDER = re.compile(r"(/usr(/local)?)?/lib(32|64|x32)?(/[a-z0-9_]+-linux-gnu\w*)?")

#: Options of Python that take the next argument as their value.
_PYTHON_OPTIONS_WITH_VALUE = frozenset({"-W", "-X", "--check-hash-based-pycs"})


@dataclass(frozen=True, slots=True)
class Container:
    """An image, what runs it, and what of the host it sees."""

    #: One of CONTAINER_RUNTIMES.
    runtime: str
    #: A file, a folder, or whatever else the runtime takes for an image.
    image: str
    workdir: str
    #: What the user adds: 'FOLDER' or 'OUTSIDE:INSIDE'.
    extra_binds: tuple[str, ...] = ()
    #: Slurm's PMI-2 library on the host, for Intel MPI in the image.
    pmi_library: str | None = None
    #: Whether it is bound into the image: ch-run cannot where the image lacks the place for it.
    binds_pmi_library: bool = True
    #: Whether the image brings variables of its own in a file that only ch-run has to be told of.
    has_environment: bool = False

    @classmethod
    def of(
        cls, settings: SlurmSettings, workdir: str, pmi_library: str | None = None, folders: Sequence[str] = ()
    ) -> Container | None:
        """Return the container that the settings ask for, None if they ask for none.

        Parameters
        ----------
        workdir
            Where ranks start.
        folders
            What they need to see besides, for instance Snakemake's ``--directory``.

        Raises
        ------
        SettingsError
            If the image is not there, or a folder cannot be bound into it.
        """
        if not settings.container:
            return None
        runtime = settings.container_runtime
        asked = (part.strip() for part in (settings.container_bind or "").split(","))
        extra = (*folders, *filter(None, asked))
        image = Path(workdir, Path(settings.container).expanduser())
        if not image.exists() and _is_path(settings.container):
            raise SettingsError(
                f"There is no image {settings.container}.",
                seen=f"nothing is at {image}.",
                next_step="--daskmpi-container with the path of an image that exists.",
            )
        is_folder = runtime == "ch-run" and image.is_dir()
        container = cls(
            runtime=runtime,
            # ch-run takes a name without a slash for one in its storage.
            image=str(image) if image.exists() else settings.container,
            workdir=workdir,
            extra_binds=extra,
            pmi_library=pmi_library,
            binds_pmi_library=not is_folder
            or pmi_library is None
            or _inside(image, library_bind(pmi_library)).exists(),
            has_environment=is_folder and (image / "ch/environment").exists(),
        )
        container.check(image if is_folder else None)
        return container

    @property
    def binds(self) -> tuple[str, ...]:
        """What of the host the image sees, as APPTAINER_BIND writes it."""
        library = [library_bind(self.pmi_library)] if self.pmi_library and self.binds_pmi_library else []
        return tuple(dict.fromkeys([*library, self.workdir, *self.extra_binds]))

    def check(self, image_folder: Path | None) -> None:
        """Raise a SettingsError for what the runtime would misread, or could not do.

        Parameters
        ----------
        image_folder
            The image, if it is a folder that ch-run mounts read-only.
        """
        separators = ":" if self.runtime == "ch-run" else ":,\\"
        if any(separator in self.workdir for separator in separators):
            raise SettingsError(
                f"{self.runtime} cannot bind a working directory with one of {' '.join(separators)} in its name.",
                seen=f"it is {self.workdir!r}.",
                next_step="mv it to a name without, and run the same command there.",
            )
        for bind in self.binds if image_folder else ():
            inside = _inside(image_folder or Path(), bind)
            if not inside.exists() and not _comes_by_itself(bind):
                raise SettingsError(
                    f"ch-run cannot bind {bind}: the image has no such folder to bind it to.",
                    seen=f"there is no {inside}.",
                    next_step=shlex.join(["mkdir", "-p", str(inside)]),
                )


def container_command(container: Container, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs the image's Python with some arguments.

    The image's run script is ``python "$@"`` for Apptainer and Singularity, as in ``data/container.def``.

    >>> container_command(Container("apptainer", "image.sif", "/work"), ["-m", "snakemake"])
    ['apptainer', 'run', 'image.sif', '-m', 'snakemake']
    """
    if container.runtime != "ch-run":
        return [container.runtime, "run", container.image, *arguments]
    return [
        "ch-run",
        # As Apptainer does by itself: Snakemake's profiles and cache are there.
        "--home",
        *(f"--bind={bind}" for bind in container.binds),
        f"--cd={container.workdir}",
        *["--set-env"][: container.has_environment],
        # ch-run shows the host's TMPDIR as /tmp.
        "--set-env=TMPDIR=/tmp",
        container.image,
        "--",
        "python3",
        *arguments,
    ]


def container_environ(container: Container, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the command needs in addition, whoever runs it.

    >>> container_environ(Container("apptainer", "image.sif", "/work"), {"APPTAINER_BIND": "/data"})
    {'APPTAINER_BIND': '/data,/work'}
    """
    found = {}
    if container.runtime in BIND_VARIABLES:
        name = BIND_VARIABLES[container.runtime]
        # Modules of the runtime often set it for their site.
        found[name] = ",".join([*filter(None, [environ.get(name)]), *container.binds])
    elif not environ.get("USER"):
        found["USER"] = environ.get("LOGNAME", "user")  # ch-run refuses to start without
    if container.pmi_library:
        found["I_MPI_PMI_LIBRARY"] = container.pmi_library
    return found


def library_bind(pmi_library: str) -> str:
    """Return what to bind of the host for a library of Slurm's: its folder, or it alone in a system folder.

    >>> library_bind("/opt/slurm/lib64/libpmi2.so")
    '/opt/slurm/lib64'
    >>> library_bind("/usr/lib/x86_64-linux-gnu/libpmi2.so.0")
    '/usr/lib/x86_64-linux-gnu/libpmi2.so.0'
    """
    folder = str(PurePosixPath(pmi_library).parent)
    return pmi_library if _SYSTEM_FOLDER.fullmatch(folder) else folder


def python_arguments(command: Sequence[str]) -> list[str]:
    """Return what follows ``python`` in a command, in a form that is right for another Python.

    >>> python_arguments(["/venv/bin/python", "/venv/bin/snakemake", "--cores", "2"])
    ['-m', 'snakemake', '--cores', '2']
    """
    arguments = list(command[1:])
    at = 0
    while at < len(arguments) and arguments[at].startswith("-") and arguments[at] != "-m":
        at += 2 if arguments[at] in _PYTHON_OPTIONS_WITH_VALUE else 1
    if at < len(arguments) and PurePosixPath(arguments[at]).name == "snakemake":
        return [*arguments[:at], "-m", "snakemake", *arguments[at + 1 :]]
    return arguments


def _is_path(image: str) -> bool:
    """Whether an image is named by path, not as something to pull or in a runtime's storage.

    >>> [_is_path(image) for image in ("image.sif", "img/", "docker://python:3.12", "python")]
    [True, True, False, False]
    """
    return "://" not in image and ("/" in image or image.endswith((".sif", ".sqfs", ".img")))


def _comes_by_itself(bind: str) -> bool:
    """Whether ch-run has a place for a folder anyway: below /tmp, or the user's home where it has its usual name."""
    place, home = _inside(Path("/"), bind), Path.home()
    return place.is_relative_to("/tmp") or (home.parent == Path("/home") and place.is_relative_to(home))  # noqa: S108


def _inside(image: Path, bind: str) -> Path:
    """Return where in an image's folder a bind ends up."""
    return image / bind.rpartition(":")[2].lstrip("/")
