"""A stand-in for the LLM providers' servers, over real HTTP on loopback: the only fake in the
test-suite."""
