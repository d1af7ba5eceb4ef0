"""What `tests/run` is made of: a cache, the environments in it, real servers, and the list of steps."""
