"""How the parts are configured, put together and started."""
