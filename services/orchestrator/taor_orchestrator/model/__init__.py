"""The model behind a port: what the loop asks, and the adapters that answer."""

from __future__ import annotations

from taor_orchestrator.model.port import Model


def open_model(*, api_key: str, base_url: str) -> Model:
    """The model behind `base_url`, empty for the provider's own server. The SDK's import takes 1.2 s."""
    from taor_orchestrator.model.anthropic import AnthropicModel

    return AnthropicModel(api_key=api_key, base_url=base_url)
