"""Taking rows down: what a request names, what that touches, how it leaves the store, and the gate that keeps it out."""
