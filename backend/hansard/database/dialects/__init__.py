"""Execute scripts, each database in the way that suits it; everything that differs between them is here."""
