"""What incidents are made of. No wire, no store, no clock."""
