"""What the console's pages read: frozen rows of plain values, each by one query or a few. Instants are domain time."""
