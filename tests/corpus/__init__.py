"""Raw answers of real servers, replayed through Chatwatch and through what else reads such answers."""
