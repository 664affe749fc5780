"""The RAG engine: indexes documents and blueprints, and answers searches over them."""
