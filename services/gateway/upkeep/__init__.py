"""What runs beside the server: accounts and the audit trail are kept in order."""
