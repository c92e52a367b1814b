"""The OpenAPI document: what FastAPI finds in the code, and who may ask, which the middleware checks."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from federation.http.auth import OPEN
from federation.http.problems import MEDIA_TYPE

FAILURES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What failed, as RFC 9457 problem details.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API token, or one of an OpenID provider"},
    "basic": {"type": "http", "scheme": "basic", "description": "a user of the catalog file"},
}
# None at all, where nothing is set up to ask for.
ALTERNATIVES: list[dict[str, list[str]]] = [{}, {"bearer": []}, {"basic": []}]


def document(app: FastAPI) -> dict[str, Any]:
    """Made once."""
    if not app.openapi_schema:
        made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        made["components"]["securitySchemes"] = SCHEMES
        for path, operations in made["paths"].items():
            for operation in operations.values() if not path.startswith(OPEN) else ():
                operation["security"] = ALTERNATIVES
        app.openapi_schema = made
    return app.openapi_schema
