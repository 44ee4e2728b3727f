"""Is everything stored that the services told? What they counted beside what the backends have."""
