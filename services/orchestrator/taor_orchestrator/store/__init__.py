"""The orchestrator's own database: every statement of the service stands in here."""
