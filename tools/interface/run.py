"""Asks a running node whatever its OpenAPI description allows and forbids, and compares the answers with it.

Usage: run.py URL OPERATOR=VALUE ...   such as  run.py http://127.0.0.1:7101 Statement=4071... Height=1

The values are things that the node has, by the names of the description's parameters: without them every answer about a
digest is that there is none. Schemathesis makes the requests; objects may have no field that the description lacks.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request

# Per operation and phase; some thousand requests in all.
EXAMPLES = 25
SEED = 7
# What is compared. Not that every well-formed request succeeds: most transactions and proofs are none.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
# It does not end.
ENDLESS = "/v1/events"


def close(schema):
    """Objects have the fields that are described, and no other."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            close(value)
    elif isinstance(schema, list):
        for value in schema:
            close(value)


def described(url, known):
    """The node's description, closed, with examples of what it has."""
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=10) as answer:
        document = json.load(answer)
    close(document["components"]["schemas"])
    for name, value in known.items():
        document["components"]["parameters"][name]["examples"] = {"known": {"value": value}}
    return document


def main(url, *words):
    known = {}
    for word in words:
        name, value = word.split("=", 1)
        known[name] = int(value) if value.isdecimal() and len(value) < 16 else value
    document = described(url, known)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "openapi.json"), "w", encoding="utf-8") as file:
            json.dump(document, file)
        command = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", url]
        command += ["--exclude-path", ENDLESS, "--checks", ",".join(CHECKS)]
        command += ["--max-examples", str(EXAMPLES), "--seed", str(SEED), "--continue-on-failure"]
        command += ["--request-timeout", "30", "--suppress-health-check", "all", "--warnings", "off"]
        return subprocess.run(command, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
