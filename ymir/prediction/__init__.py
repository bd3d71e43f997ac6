"""Infer and mining: candidates through the network once, for each job that was asked for."""
