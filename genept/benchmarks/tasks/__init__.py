"""Benchmark tasks on genes, pairs of genes and cells, in memory and as steps of the lake."""
