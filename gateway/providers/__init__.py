"""What a provider is, and what it says. Pure: no Flask, no Ray, no sockets."""
