"""What models share: their settings, training, losses and errors."""
