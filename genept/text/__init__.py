"""What is known about a gene as text, the text as a vector, and the cache that never pays twice."""
