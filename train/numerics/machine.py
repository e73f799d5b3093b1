"""A short look at the machine: which arithmetic it is good at, and whether it can compile.

What is chosen is printed, recorded in the run folder, and used again on resume and on rebuild, because another
precision or another number of threads gives other bits.
"""

import ctypes
import os
import platform
import shutil
import sysconfig
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from train.records import BadInput

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h


@dataclass(kw_only=True, frozen=True)
class Choices:
    """What a run computes in. `why` says it in words.

    `precision`: float32, bfloat16 (autocast, float32 masters), float8 (the same, and the linear maps of the blocks in
    float8), or float64, which is exact (numerics/rounding.py).
    """

    precision: str
    compile: bool
    threads: int
    device: str
    why: str = ""

    @property
    def exact(self) -> bool:
        """Whether the arithmetic is the one that gives the same bits everywhere."""
        return self.precision == "float64"

    @property
    def mixed(self) -> bool:
        """Whether products have fewer bits than the weights."""
        return self.precision in {"bfloat16", "float8"}

    def record(self) -> dict[str, Any]:
        """As written into the run folder and the release."""
        return asdict(self)


def look_at_machine(precision: str = "auto", compiling: str = "auto", threads: int = 0, processes: int = 1) -> Choices:
    """Choose what the user left at `auto` (or 0 threads), for one of `processes` on this machine.

    Raises BadInput if it is told float8 or to compile, and that cannot be had here.
    """
    reasons = []
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if precision == "float64":
        reasons.append("exact: float64, rounded once a step, the same bits everywhere")
    if precision == "float8":
        check_float8()
    if precision == "auto":
        precision, reason = _gpu_precision() if device == "cuda" else _processor_precision()
        reasons.append(f"{precision}: {reason}")
    able = has_compiler()
    if compiling == "blocks" and not able:
        raise BadInput("run.compile=blocks: there is no C++ compiler, or no Python.h; run.compile=none goes without")
    if compiling == "auto":
        compiling = "blocks" if able else "none"
        reasons.append("blocks compiled" if able else "not compiled: there is no C++ compiler, or no Python.h")
    chosen = threads or _share_of_threads(processes)
    reasons.append(f"{chosen} threads on {device}")
    return Choices(
        precision=precision, compile=compiling == "blocks", threads=chosen, device=device, why="; ".join(reasons)
    )


def settle(choices: Choices) -> None:
    """Bring the process to what was chosen: its threads, and on processors memory that is kept between steps.

    A step frees what it took. glibc would give it back to the system, and the next step would take it again page by
    page: a sixth of a step of `tiny`.
    """
    torch.set_num_threads(choices.threads)
    if choices.device == "cpu" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


@cache
def bfloat16_is_faster() -> bool:
    """Whether matrix products in bfloat16 take less time on this processor than those in float32, by trying.

    On x86 there are instructions for it (AVX512_BF16, AMX), or torch emulates it. With AVX512_BF16 an AMD Zen 4
    multiplies twice as fast as in float32, an Intel Xeon whose AMX is not to be had half as fast.
    """
    if platform.machine().lower() in {"x86_64", "amd64"}:
        instructions = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        if not instructions:
            return False
    seconds: dict[torch.dtype, list[float]] = {torch.bfloat16: [], torch.float32: []}
    for _ in range(12):  # in turns: another program takes its time of both
        for dtype, found in seconds.items():
            found.append(_seconds_of_product(dtype))
    return min(seconds[torch.bfloat16]) < 0.7 * min(seconds[torch.float32])


def _seconds_of_product(dtype: torch.dtype) -> float:
    a = torch.ones(512, 512, dtype=dtype)
    start = perf_counter()
    a @ a
    return perf_counter() - start


def check_float8() -> None:
    """Raises BadInput where products in float8 are not to be had."""
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 9):
        raise BadInput(
            "run.precision=float8 needs a GPU of compute capability 8.9 or more (Ada, Hopper or later); leave it out"
        )
    if find_spec("torchao") is None:
        raise BadInput("run.precision=float8 needs the package torchao: in Fusée's folder, pip install -e '.[float8]'")


def _gpu_precision() -> tuple[str, str]:
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bfloat16", "the GPU has bf16 instructions"
    return "float32", "the GPU has no bf16 instructions"


def _processor_precision() -> tuple[str, str]:
    if bfloat16_is_faster():
        return "bfloat16", "the faster on this processor"
    return "float32", "bfloat16 is no faster on this processor"


def _share_of_threads(processes: int) -> int:
    """Those that torch would take. Where nobody has shared the cores out (SLURM binds each task to its own, torchrun
    sets OMP_NUM_THREADS), the processes of a machine would each take all of them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    bound = "OMP_NUM_THREADS" in os.environ or cores != os.cpu_count()
    return max(1, torch.get_num_threads() // (1 if bound else processes))


def has_compiler() -> bool:
    """Whether torch.compile will find what it needs: a C++ compiler, and Python's own headers (on a GPU, for Triton's
    launchers)."""
    compiler = os.environ.get("CXX") or ("clang++" if platform.system() == "Darwin" else "g++")
    headers = Path(sysconfig.get_paths()["include"], "Python.h")
    return shutil.which(compiler) is not None and headers.is_file()


def describe_machine() -> dict[str, Any]:
    """The machine in the words that a release may hold: no host, no user, no path."""
    return {
        "processor": _processor_name(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(_memory_bytes() / 1e9, 1),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bfloat16_is_faster": bfloat16_is_faster(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def peak_memory_bytes() -> int:
    """The most memory that this program has held. On Linux getrusage would count what its parent held before it began;
    elsewhere it is all there is, in bytes on macOS."""
    status = Path("/proc/self/status")
    if status.is_file():
        lines = dict(line.split(":", 1) for line in status.read_text("utf-8").splitlines() if ":" in line)
        return 1024 * int(lines["VmHWM"].split()[0])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def device_memory_bytes(device: str) -> int:
    """The memory of a device: of one GPU, or of the machine."""
    return torch.cuda.get_device_properties(0).total_memory if device == "cuda" else _memory_bytes()


def free_memory_bytes(device: str) -> int:
    """What is free of a device's memory."""
    return torch.cuda.mem_get_info()[0] if device == "cuda" else _memory_bytes("available")


def _memory_bytes(which: str = "total") -> int:
    import psutil

    return int(getattr(psutil.virtual_memory(), which))


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a kernel file, not a document
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
