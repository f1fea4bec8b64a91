"""The traffic of a gateway, if its owner asked for it: requests with their answers, and people's feedback on them."""
