"""A server that speaks the Messages API and plays scripts: validates, caches, fails and bills, but never thinks."""
