"""The judge: numbers about images that nobody can fool, himself included, and the page that they stand on."""
