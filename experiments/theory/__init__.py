"""The theory lab: what is known exactly and the toy results of the literature, as commands."""
