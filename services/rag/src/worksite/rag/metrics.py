"""What is counted of ingestion in more than one place."""

from __future__ import annotations

from prometheus_client import Counter

CHUNKS = Counter("rag_ingest_chunks_total", "Chunks written to and removed from the index", ["change"])
ERRORS = Counter("rag_ingest_errors_total", "What could not be indexed, or not at once", ["source"])
