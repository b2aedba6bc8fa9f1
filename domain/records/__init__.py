"""Records of people and projects: documents, histories, integer ids and tables that several concepts share."""
