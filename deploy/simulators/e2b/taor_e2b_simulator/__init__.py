"""A server that speaks E2B's wire, built on the stubs of the e2b SDK; its sandboxes are folders and real processes."""
