"""What runs leave on the disk: records, folders, locks."""
