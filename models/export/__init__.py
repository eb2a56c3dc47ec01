"""A network in the forms that other software runs: what each writes, and how it is read back to be checked."""
