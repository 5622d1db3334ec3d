"""The database: tables by area, the session shell, the claim and the migrations."""
