"""Knowledge: documents that are read, split and embedded, and searches of them."""
