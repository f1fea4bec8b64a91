"""The desk's pages of the Studio: its policy, test conversations, channels, conversations and corrections."""
