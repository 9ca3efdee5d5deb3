"""Part I: a transformer in NumPy, the forward and the backward pass of each piece side by side.

Nothing here needs more than NumPy. Every function ``f`` has its ``f_backward`` right under it.
"""
