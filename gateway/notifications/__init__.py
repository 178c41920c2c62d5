"""Telling a person: what is so, in sentences, to robots, webhooks and mail. Imports neither Flask
nor Ray."""
