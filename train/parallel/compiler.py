"""What torch.compile is told, so that its code is right, and a run that is not the first here starts soon."""

import platform
from pathlib import Path

import torch

from train.records import digest_json, write_json

_CAREFUL = "native -fno-tree-slp-vectorize"


def prepare_compiler() -> None:
    """Before anything is compiled; again does nothing."""
    _make_right_code()
    _keep_what_is_found()


def _make_right_code() -> None:
    """GCC looks for no vectors but those written out.

    torch's code has them written out, and tells GCC to look for none in loops. Outside of loops GCC 12 does, for some
    processors (an Intel Xeon with AMX), and makes wrong code of torch's transposition of bfloat16: an XLNet's keys were
    garbage there, its loss no number.
    """
    import torch._inductor.config as inductor
    from torch._inductor.cpp_builder import is_gcc

    if inductor.cpp.march is None and platform.machine().lower() in {"x86_64", "amd64"} and is_gcc():
        inductor.cpp.march = _CAREFUL  # torch puts it behind -march=


def _keep_what_is_found() -> None:
    """Traces are kept beside the code that was made of them, and what this processor's compiler can do beside both.

    Through an autograd function that is not torch's own, traces are kept only if torch is told to; forward and backward
    are both part of their key.
    """
    import torch._functorch.config as functorch
    import torch._inductor.config as inductor

    functorch.autograd_cache_allow_custom_autograd_functions = True
    if not torch.cuda.is_available() and inductor.cpp.vec_isa_ok is None and _vectors_compile():
        inductor.cpp.vec_isa_ok = True


def _vectors_compile() -> bool:
    """Whether the compiler makes code for all the vector instructions that the processor has.

    torch asks by making a library for each kind and opening it in a Python of its own, in every process anew: nearly
    two seconds of a start. The answer is kept for this torch, compiler and processor, if it is yes.
    """
    from torch._inductor.cpp_builder import get_compiler_version_info, get_cpp_compiler
    from torch._inductor.cpu_vec_isa import supported_vec_isa_list, x86_isa_checker
    from torch._inductor.runtime.cache_dir_utils import cache_dir

    has = x86_isa_checker()
    asked = digest_json([torch.__version__, get_compiler_version_info(get_cpp_compiler()), has])
    found = Path(cache_dir(), f"vectors-{asked[:16]}.json")
    if found.is_file():
        return True
    kinds = [kind for kind in supported_vec_isa_list if set(str(kind).split()) <= set(has)]
    if not (kinds and all(kinds)):  # a kind is true if torch's trial of it succeeds
        return False
    found.parent.mkdir(parents=True, exist_ok=True)
    write_json(found, [str(kind) for kind in kinds])
    return True
