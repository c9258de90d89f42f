"""Many runs from few compiled programs, on this machine or on a Ray cluster."""
