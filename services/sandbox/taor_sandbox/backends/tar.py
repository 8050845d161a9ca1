"""The tar commands that run inside every sandbox: links and odd names resolve there, modes come out as they were."""

CREATE = ("tar", "--create", "--format=pax", "--numeric-owner", "--file=-")
EXTRACT = ("tar", "--extract", "--no-same-owner", "--preserve-permissions", "--delay-directory-restore", "--file=-")
