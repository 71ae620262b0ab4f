"""Everything that runs on Ray; nothing else imports it."""
