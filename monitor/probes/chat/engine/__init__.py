"""What a model server of one's own says about itself, read beside the outside look."""
