"""Tools: queries and requests that a desk may make for a customer, with the customer's consent.

`definition` says what a tool is, `tool_file` reads tools from a TOML file, `arguments` checks the arguments of a call. `toolbox` runs them:
`sql_calls` and `http_calls` make the calls, `results` cleans what comes back. `demo_shop` is the sample shop's own system.
"""
