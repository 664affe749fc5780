"""How good a ranking is: test collections, measures, and a table of both. For engines in process and over HTTP."""
