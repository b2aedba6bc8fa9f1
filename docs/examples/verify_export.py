"""Verifies an export with joserfc alone, nothing of Convergio: python verify_export.py EXPORT JWKS."""

import json
import sys
from hashlib import sha256

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

TEXTS = {name: f"{name}_hash" for name in ("message", "content", "comment", "input")} | {"response": "content_hash"}
keys = json.load(open(sys.argv[2]))
revoked = {key["kid"]: key.get("invalid_from") or "9999" for key in keys["keys"]}
digest, answers, line, problems = sha256(), {}, {}, []
for number, raw in enumerate(open(sys.argv[1], "rb"), 1):
    line, before = json.loads(raw), digest.hexdigest()
    digest.update(raw)
    if "signature" not in line and line["kind"] != "end":  # an entry of the audit, which the end alone signs
        continue
    try:
        token = jws.deserialize_compact(line["signature"] or "", KeySet.import_key_set(keys), algorithms=["EdDSA"])
    except (JoseError, ValueError, UnicodeError) as error:
        problems.append(f"line {number}, signature: {error!r}")
        continue
    if (signed := json.loads(token.payload))["at"] and signed["at"] >= revoked[token.headers()["kid"]]:
        problems.append(f"line {number}, signature: its key was revoked")
    problems += [f"line {number}, {name}: not as signed" for name in signed if line.get(name) != signed[name]]
    for text, hashed in TEXTS.items():
        if line.get(text) is not None and sha256(line[text].encode()).hexdigest() != signed[hashed]:
            problems.append(f"line {number}, {text}: not the text that was signed")
    if signed["kind"] == "turn":
        session = signed["session_id"] if "/" in signed["session_id"] else ""
        if signed["previous_turn"] and answers.get((session, signed["previous_turn"])) != signed["previous_hash"]:
            problems.append(f"line {number}, previous_turn: it is missing, or another one")
        answers[session, signed["turn"]] = signed["content_hash"]
    if signed["kind"] == "end" and (signed["lines"], signed["digest"]) != (number - 1, before):
        problems.append(f"line {number}, digest: lines are missing, added or changed")
problems += [] if line.get("kind") == "end" else ["the export has no end"]
print("\n".join(problems) or "verified")
sys.exit(bool(problems))
