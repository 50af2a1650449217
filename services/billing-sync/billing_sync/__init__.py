"""billing-sync: one charging record for every segment a carrier accepted, in numbered files that the billing system
fetches.

Fed by dispatch's outcomes alone; what it owes is exactness: no record twice, none missing, whatever crashes or repeats.
"""
