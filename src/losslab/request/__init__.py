"""From the words of a command line to checked requests, by Hydra."""
