"""What runs inside an E2B sandbox besides the agent: a bridge, started by exec, that carries one request to it.

Only the standard library, and nothing of the service but `taor_sandbox.agent`: the two are laid into each sandbox.
"""
