"""Wallets: which terms may be open to holders who swap on the chain by themselves."""

from exchange.errors import InvalidTerms
from exchange.terms import Terms


def require_rules_of_wallets(terms: Terms) -> None:
    """Raises `InvalidTerms` where holders of wallets could pass by rules that everybody else keeps."""
    unbound = terms.rules.bound_only_here
    if terms.wallet_cap and unbound:
        raise InvalidTerms(
            f"holders of wallets swap by the contract alone, which cannot hold them to {', '.join(unbound)}",
            field="wallet_cap",
            limit=0,
            nearest=0,
        )
