"""The traffic of a gateway, where its owner asked for it: requests with their answers, and what people said of them."""
