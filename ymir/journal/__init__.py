"""What infer and mining found out so far, on disk, so that a task that is started again goes on."""
