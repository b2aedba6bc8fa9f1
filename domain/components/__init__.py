"""Components: the states that programs save here, version by version, as JSON.

A state is content, which can be erased; its events hold hashes.
"""
