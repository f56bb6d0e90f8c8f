//! Who is asking, and what they may do: API keys, tokens, roles, and the one table of rules.
