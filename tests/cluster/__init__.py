"""Workers and commands killed on purpose, on the engines that start them."""
