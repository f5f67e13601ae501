"""The stages of a run, each a function of what earlier ones made and of the workspace; `pipeline` has their order.

No stage imports another. Beside them lie what uses a finished run (`fuse`, `gallery`) and what measures one (`profile`).
"""
