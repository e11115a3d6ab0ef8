"""The application: every resource, and what surrounds them."""

import importlib.metadata
from typing import Any

from fastapi import FastAPI

from bridge.api import (
    accounts,
    adjustments,
    audit,
    board,
    breaker,
    earns,
    events,
    expirations,
    health,
    holder_calls,
    holds,
    lanes,
    links,
    members,
    operations,
    powers,
    problems,
    programs,
    quotes,
    redemptions,
    releases,
    reversals,
    routes,
    swaps,
    terms,
    wallets,
)
from bridge.api.context import Service
from bridge.api.envelope import Envelope
from bridge.api.problems import Problem
from bridge.api.shapes import REFUSED

RESOURCES = (
    programs,
    powers,
    members,
    expirations,
    links,
    earns,
    redemptions,
    reversals,
    holds,
    adjustments,
    accounts,
    wallets,
    releases,
    holder_calls,
    terms,
    board,
    routes,
    quotes,
    swaps,
    operations,
    audit,
    events,
    breaker,
    lanes,
    health,
)


def create_app(service: Service | None) -> FastAPI:
    """The API on a running service; without one only its description can be asked for."""
    app = FastAPI(
        title="Sarraf",
        version=importlib.metadata.version("sarraf"),
        summary="A blockchain-backed, interoperable exchange for loyalty points.",
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    for resource in RESOURCES:
        app.include_router(resource.router)
    problems.install(app)
    _describe_problems(app)
    if service is not None:
        app.state.service = service
        app.add_middleware(Envelope, metrics=service.metrics)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Say in the OpenAPI document what FastAPI cannot know: that every refusal is a problem document."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = plain()
            shapes = schema["components"]["schemas"]
            for unused in ("HTTPValidationError", "ValidationError"):
                shapes.pop(unused, None)
            shapes["Problem"] = Problem.model_json_schema()
            for operations in schema["paths"].values():
                for method, operation in operations.items():
                    _describe_refusals(method, operation)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _describe_refusals(method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if method != "get":  # the ledger's writer may have too much to do
        responses["503"] = REFUSED
    if "requestBody" in operation:  # may be no JSON, or too long
        responses.update({"400": REFUSED, "413": REFUSED})
    if "422" in responses:
        responses["422"] = REFUSED
