"""What people and systemd start: python -m gateway."""
