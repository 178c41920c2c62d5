"""Tables that people keep in files: CSV as any program writes it, and Excel's own. For the command
bulk and for the page, which asks for them in a process of its own (__main__.py)."""
