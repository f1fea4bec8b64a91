"""Floor 2: the rules between a request and the small model: certificates, routing, the cache, upstreams."""
