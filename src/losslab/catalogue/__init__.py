"""The losses to be looked at: their cards as text (imports no torch), their curves, and a page of all of them."""
