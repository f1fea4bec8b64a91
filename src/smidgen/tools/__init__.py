"""Tools: queries and requests that a desk may make for a customer, with the customer's consent.

`definition` says what a tool is. `tool_file` reads tools from a TOML file, which may choose operations of an OpenAPI document
(`openapi_documents`) and tools of an MCP server (`mcp_servers`). `arguments` checks the arguments of a call, and `toolbox` runs it, by
`sql_calls`, `http_calls` and `mcp_servers`; `results` cleans what comes back. `demo_shop` is the sample shop's own system.
"""
