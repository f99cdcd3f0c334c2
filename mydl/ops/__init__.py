"""Every differentiable primitive, a family a file: an `Op` with backward beside forward, and the function on it."""
