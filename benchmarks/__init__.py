"""Side by side with others, each a command; results as JSON with the machine they ran on."""
