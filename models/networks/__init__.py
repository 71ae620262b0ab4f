"""The networks of the models, made of layers whose arithmetic is here."""
