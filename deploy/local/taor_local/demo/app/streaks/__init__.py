"""Streaks: small habits, one square a day."""
