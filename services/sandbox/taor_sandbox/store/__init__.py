"""Every SQL statement of the service, by table."""
