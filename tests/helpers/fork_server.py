"""Run by fixtures of conftest.py: has imported torch and transformers, and forks processes.

Every such process would spend seconds on these imports. groundup is not among them. A line of input
is a list of [script, its arguments, variables, output, errors] of processes to run at once, the
last two the files for what each prints; it is answered by the list of their exit codes.
"""

import json
import os
import runpy
import signal
import sys
import traceback

import accelerate  # noqa: F401
import peft  # noqa: F401
import torch
import torch._dynamo
import transformers.generation
import transformers.modeling_utils  # noqa: F401


def run(
    script: str, arguments: list[str], variables: dict[str, str], output: str, errors: str
) -> int:
    """Run a script as the main program of this process, and give its exit code."""
    signal.alarm(110)  # ends a process that waits for another in vain
    for number, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.update(variables)
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(script)
    try:
        runpy.run_path(script, run_name="__main__")
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


torch.set_num_threads(1)
assert "groundup" not in sys.modules
for line in sys.stdin:
    children = []
    for job in json.loads(line):
        if (child := os.fork()) == 0:
            code = run(*job)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(json.dumps(codes), flush=True)
