"""The flash-attn package: installed, importable, and how to install it where it is not."""

import shutil
from importlib import import_module, metadata
from importlib.util import find_spec

from groundup.doctor.machine_probe import Judgement, Numbers, ProbeVerdict

# Its build imports torch and must see the one that is installed, not a fresh one in isolation.
_INSTALL = "pip install --no-build-isolation -c constraints.txt"
_MEND = f"pip install -c constraints.txt ninja packaging wheel, then {_INSTALL} flash-attn"
_AGAIN = f"{_INSTALL} --no-cache-dir --no-deps --force-reinstall flash-attn"


def measure_flash_package() -> Numbers:
    """Import the package, where there is an NVIDIA GPU to use it.

    Returns:
        ``gpu`` (a name or None), ``cuda`` (the version that torch was built with), ``compiler``
        (whether nvcc is found), ``version`` of the package (None: not installed), ``error`` of its
        import ("" if it worked).
    """
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    version, error = None, ""
    if find_spec("flash_attn") is not None:
        try:
            version = metadata.version("flash-attn")
        except metadata.PackageNotFoundError:  # a folder without metadata, on sys.path
            version = "of unknown version"
        if gpu is not None:
            try:
                import_module("flash_attn")
            except (ImportError, OSError) as cause:  # OSError: a library that does not load
                error = " ".join(str(cause).split())[:200] or type(cause).__name__
    return {
        "gpu": gpu,
        "cuda": torch.version.cuda,
        "compiler": shutil.which("nvcc") is not None,
        "version": version,
        "error": error,
    }


def judge_flash_package(numbers: Numbers) -> Judgement:
    """It is an extra: without it attention runs on PyTorch's own kernels."""
    if numbers["gpu"] is None:
        return Judgement(
            ProbeVerdict.ABSENT, "of use on an NVIDIA GPU alone; the course runs without"
        )
    if numbers["version"] is None:
        first = (
            ""
            if numbers["compiler"]
            else f"install the CUDA toolkit {numbers['cuda']} (nvcc is not on PATH), then "
        )
        measured = "not installed; attention runs on PyTorch's own kernels"
        return Judgement(ProbeVerdict.ABSENT, measured, f"{first}{_MEND}")
    if numbers["error"]:
        measured = f"{numbers['version']} does not import: {numbers['error']}"
        mend = f"it was built for another PyTorch or CUDA; build it again: {_AGAIN}"
        return Judgement(ProbeVerdict.FAIL, measured, mend)
    return Judgement(ProbeVerdict.OK, f"{numbers['version']} imports")
