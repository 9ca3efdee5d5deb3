"""What a learner's commands do: begin, check, watch, hint, solution, reset, progress, grade."""
