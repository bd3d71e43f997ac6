"""A module whose import would be seen: nothing imports it but a hostile config, if it could."""

raise AssertionError("a config file had a module imported")
