"""Talents: the people of a tenant, their skills, and the finding of the right one.

Their names, e-mail addresses and other texts are content, so that they can be erased; events contain hashes.
"""
