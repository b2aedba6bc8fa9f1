"""Signatures of answers, results and decisions: the keys, the signed statements, and their verification.

A signature is a compact JWS over a statement in canonical JSON, which names texts by their hashes only.
"""
