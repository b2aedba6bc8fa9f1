"""Knowledge: documents that are split, embedded and searched.

Titles, texts and metadata are content, which can be erased; events hold hashes.
"""
