"""What may be asked of losslab, stated by cards and checked before anything is trained. Nothing here imports Hydra or torch."""
