"""An OpenID provider on this machine."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm


class Provider:
    """An OpenID provider with one RSA key and one of another kind, and a count of the requests for them."""

    def __init__(self) -> None:
        self._rsa = rsa.generate_private_key(65537, 2048)
        self._ec = ec.generate_private_key(ec.SECP256R1())
        self.requests = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.requests += 1
                found = provider.discovery() if "openid-configuration" in self.path else provider.jwks()
                body = json.dumps(found).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def discovery(self) -> dict[str, Any]:
        return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}

    def jwks(self) -> dict[str, Any]:
        public = {
            "rsa": RSAAlgorithm.to_jwk(self._rsa.public_key(), as_dict=True),
            "ec": ECAlgorithm.to_jwk(self._ec.public_key(), as_dict=True),
        }
        return {"keys": [{**key, "kid": kid, "use": "sig"} for kid, key in public.items()]}

    def token(self, kid: str = "rsa", algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        now = int(time.time())
        all_claims = {"iss": self.issuer, "aud": "federation", "sub": "ada", "iat": now, "exp": now + 60, **claims}
        kept = {name: value for name, value in all_claims.items() if value is not None}
        return jwt.encode(kept, key or (self._rsa if kid == "rsa" else self._ec), algorithm, {"kid": kid})

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
