"""Ways out: events, the exchange folder, and the SFTP server over it."""
