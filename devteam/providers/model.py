"""What a provider's sealed key is bound to."""

from uuid import UUID


def secret_place(provider_id: UUID) -> str:
    """Table, row and column of the key: authenticated with it, so that it opens nowhere else."""
    return f"model_providers:{provider_id}:sealed_secret"
