"""The source of rates that the settings ask for."""

from bridge.fx.chain import PIVOTS, Chain
from bridge.fx.ecb import EcbRates
from bridge.fx.fixed import read_file
from bridge.settings import Settings
from exchange.fx import RateSource


def bank_of(settings: Settings) -> EcbRates:
    """The ECB's reference rates, not yet read."""
    return EcbRates(age_days_max=settings.fx_age_max_days)


def rates_of(settings: Settings, bank: EcbRates | None = None) -> RateSource:
    """The bank's rates, and before them the fixed rates of the settings' file. Raises `InvalidFxFile`.

    The file is read here, so that a mistake in it stops the start and not a quote; the bank's rates when first asked,
    or when `bank` is told to load them.
    """
    bank = bank or bank_of(settings)
    if settings.fx_file is None:
        return bank
    fixed = read_file(settings.fx_file)
    return Chain((fixed, bank), (*PIVOTS, *fixed.currencies))
