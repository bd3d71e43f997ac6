"""Image files by their headers: how large they are and whether they are whole, without decoding them."""
