"""Part I: a transformer in NumPy, the forward and the backward pass of each piece side by side.

Its modules are its interface: ``from groundup.scratch.attention import attention``. They need NumPy
alone. Every function ``f`` has its ``f_backward`` right under it.
"""
