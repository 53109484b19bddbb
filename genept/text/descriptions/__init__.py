"""Gene descriptions: recipes, what is known of each gene, and the text composed of it."""
