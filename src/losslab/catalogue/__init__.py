"""The catalogue of losses: their cards as text (without torch), their curves, and a page of all of them."""
