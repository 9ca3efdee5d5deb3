"""Everything the doctor runs, in order."""

from groundup.doctor import course_probes as course
from groundup.doctor import machine_probes as machine
from groundup.doctor import numpy_probes, torch_probes
from groundup.doctor.flash_package import judge_flash_package, measure_flash_package
from groundup.doctor.machine_probe import MachineProbe

_MACHINE, _NUMPY, _TORCH, _COURSE = "This machine", "NumPy", "PyTorch", "The course"
_AGAIN = "pip install --force-reinstall -c constraints.txt"
_LOOPBACK = (
    "let processes of this machine reach each other: export GLOO_SOCKET_IFNAME=lo "
    "(macOS: lo0), and allow 127.0.0.1 in the firewall"
)
_ULIMIT = "raise the limit on processes (ulimit -u) or allow this container more"
_WRITE = "keep runs where you may write: export GROUNDUP_RUNS=/path"

PROBES = (
    MachineProbe(
        "text",
        _MACHINE,
        machine.measure_text,
        machine.judge_text,
        mend="export PYTHONUTF8=1 (Windows: set PYTHONUTF8=1)",
    ),
    MachineProbe(
        "cores",
        _MACHINE,
        machine.measure_cores,
        machine.judge_cores,
        mend="set the number yourself: export OMP_NUM_THREADS=2",
    ),
    MachineProbe(
        "memory",
        _MACHINE,
        machine.measure_memory,
        machine.judge_memory,
        mend="the tour needs 4 GB: look whether they are free",
    ),
    MachineProbe("disk", _MACHINE, machine.measure_disk, machine.judge_disk, mend=_WRITE),
    MachineProbe(
        "forked process", _MACHINE, machine.measure_fork, machine.judge_fork, mend=_ULIMIT
    ),
    MachineProbe(
        "numpy",
        _NUMPY,
        numpy_probes.measure_numpy,
        numpy_probes.judge_numpy,
        mend=f"{_AGAIN} numpy",
    ),
    MachineProbe(
        "torch",
        _TORCH,
        torch_probes.measure_import,
        torch_probes.judge_import,
        mend=f"{_AGAIN} torch",
        package="torch",
        extra="embed",
        seconds=120,
    ),
    MachineProbe(
        "training step",
        _TORCH,
        torch_probes.measure_training_step,
        torch_probes.judge_training_step,
        mend=f"{_AGAIN} torch",
        needs=("torch",),
    ),
    MachineProbe(
        "tiny NeoBERT",
        _TORCH,
        torch_probes.measure_neobert,
        torch_probes.judge_neobert,
        mend=f"{_AGAIN} torch transformers",
        package="transformers",
        extra="embed",
        needs=("torch",),
        seconds=120,
    ),
    MachineProbe(
        "GPU",
        _TORCH,
        torch_probes.measure_gpu,
        torch_probes.judge_gpu,
        mend="work on the CPU until it is mended: export CUDA_VISIBLE_DEVICES=''",
        package="transformers",
        extra="embed",
        needs=("torch",),
        seconds=120,
    ),
    MachineProbe(
        "flash-attn package",
        _TORCH,
        measure_flash_package,
        judge_flash_package,
        mend="remove it, since nothing in the course needs it: pip uninstall flash-attn",
        needs=("torch",),
        seconds=120,
    ),
    MachineProbe(
        "two processes, gloo",
        _TORCH,
        torch_probes.measure_processes,
        torch_probes.judge_processes,
        mend=_LOOPBACK,
        needs=("torch",),
        seconds=90,
    ),
    MachineProbe(
        "packages of Part III",
        _COURSE,
        course.measure_packages,
        course.judge_packages,
        mend="pip install -c constraints.txt -e . in the clone",
        package="packaging",
        extra="embed",
    ),
    MachineProbe(
        "figure",
        _COURSE,
        course.measure_figure,
        course.judge_figure,
        mend=f"{_AGAIN} matplotlib",
        package="matplotlib",
        extra="plot",
        seconds=120,
    ),
    MachineProbe(
        "exercises",
        _COURSE,
        course.measure_exercises,
        course.judge_exercises,
        mend="git diff exercises lib shows what was changed",
    ),
)
