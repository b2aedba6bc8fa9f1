"""What runs of workflows do in the world: nodes begun and ended, expressions evaluated where the texts are."""
