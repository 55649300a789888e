"""Rolling up: minutes, hours and days of looks, and what is judged from them."""
