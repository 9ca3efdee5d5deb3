"""The name of this machine's processor."""

import platform
from pathlib import Path


def processor_name() -> str:
    """As the kernel says it on Linux, else as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()
