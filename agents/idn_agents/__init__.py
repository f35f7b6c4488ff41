"""Reference agents for idn_gym.

What an agent is says `agent`. What only agents compute fast is compiled in modules named ``*_kernel``, beside the plain
code that says what comes of it.
"""
