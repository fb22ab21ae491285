"""A likely cause of a difference: operations replaced one by one until the recorded numbers come back."""
