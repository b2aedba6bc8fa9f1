"""Ali: the front door.

What stands out in the views, and which agents a task wants.
"""
