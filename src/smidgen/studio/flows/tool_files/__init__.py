"""A desk's own files in the Studio: its tools, its policy and its test conversations, each changed by forms or as text."""
