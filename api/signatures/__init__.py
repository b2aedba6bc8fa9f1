"""Signatures: public keys, signing, verification and exports."""
