"""The end of a run: everything that was accepted becomes final."""

from tests.end_to_end.running import until
from tests.soak.town import Town

#: How long what was accepted may take to become final once nothing goes wrong any more.
REST_S_MAX = 600.0


def rest(town: Town) -> None:
    """Returns when nothing is on its way to the chain any more."""

    def quiet() -> bool:
        with town.service.client() as operator:
            posting = operator.status()["posting"]
        assert posting["breaker"] is None, posting["breaker"]
        return posting["accepted_waiting"] == 0 and posting["batches_in_flight"] == 0

    until(quiet, f"everything accepted is final; the log ends:\n{town.service.log_end()}", REST_S_MAX)
