"""Superset without its web server, in its own environment; SUPERSET_HOME is the folder of its database.

`python run.py init` makes that, with a user. `python run.py ask` reads HTTP requests from standard input, as a list of
[method, path, body] in JSON, and prints the status and the body of each answer as its last line.
"""

import json
import sys

from superset.app import create_app
from superset.cli.main import superset

USER = {"username": "admin", "password": "admin"}


def init() -> None:
    runner = create_app().test_cli_runner()
    admin = ["fab", "create-admin", "--firstname", "A", "--lastname", "B", "--email", "a@example.com"]
    for command in (["db", "upgrade"], [*admin, *(f"--{key}={value}" for key, value in USER.items())], ["init"]):
        done = runner.invoke(superset, command)
        if done.exit_code:
            sys.exit(f"{command}: {done.output} {done.exception}")


def ask() -> None:
    app = create_app()
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    token = client.post("/api/v1/security/login", json={**USER, "provider": "db"}).json["access_token"]
    found = []
    for method, path, body in json.load(sys.stdin):
        answer = client.open(path, method=method, json=body, headers={"Authorization": f"Bearer {token}"})
        found.append([answer.status_code, answer.get_data(as_text=True)])
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    {"init": init, "ask": ask}[sys.argv[1]]()
