"""What keeps the store from growing for ever."""
